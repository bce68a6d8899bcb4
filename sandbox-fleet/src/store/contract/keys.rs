//! How many keys of a map take part, and which ones?

use std::time::Duration;

use tokio::time::sleep;

use super::steps::{is, pulse, report, same, trip, well};
use super::{Found, LONG, Lease, Quorum, SHORT, Shared, Store, Trip};

/// After which another moment has come by the store's clock.
const MOMENT: Duration = Duration::from_millis(2);

/// A trip of a key by the only replica, which is enough. It may be tried at once.
fn trip_of(key: &str) -> Trip {
    Trip {
        tool: key.to_owned(),
        cooldown: Duration::ZERO,
        window: SHORT,
        most: Some(2),
        ..trip("a", 1)
    }
}

async fn trips<S: Store>(store: &S, key: &str) -> Shared {
    well(store.report_trip(&trip_of(key)).await)
}

/// Tries a key that is open, and finds that it is well.
async fn closes<S: Store>(store: &S, key: &str, epoch: u64) -> Shared {
    let lease = Lease {
        tool: key.to_owned(),
        epoch,
        replica: "a".to_owned(),
        lasts: LONG,
    };
    is(well(store.take_lease(&lease).await), "a key that is open gives a lease");
    let found = Found {
        tool: key.to_owned(),
        epoch,
        replica: "a".to_owned(),
        open_for: None,
    };
    well(store.settle(&found).await)
}

async fn paths<S: Store>(store: &S) -> Vec<String> {
    pulse(store, "a")
        .await
        .breakers
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

pub(super) async fn keys_are_bounded<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("keys").await;
    pulse(&store, "a").await;
    same(trips(&store, "hosts[x]").await.epoch, 1, "a key opens as a tool does");
    same(trips(&store, "hosts[y]").await.epoch, 1, "keys have their own breakers");
    sleep(SHORT * 2).await;
    same(
        trips(&store, "hosts[z]").await,
        Shared::default(),
        "a key without a place opens nothing",
    );
    same(
        paths(&store).await,
        ["hosts[x]", "hosts[y]"].map(str::to_owned).to_vec(),
        "keys that are open keep their places",
    );
    is(
        trips(&store, "hosts[y]").await.open_until.is_some(),
        "a key that has a place needs no other one",
    );
    same(trips(&store, "users[z]").await.epoch, 1, "each map has its own places");
    same(report(&store, "a", 1).await.epoch, 1, "tools need no places");
}

pub(super) async fn keys_give_way<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("keys that give way").await;
    pulse(&store, "a").await;
    let reported = |key: &str, window| Trip {
        quorum: Quorum::Of(9),
        window,
        ..trip_of(key)
    };
    let open = trips(&store, "hosts[x]").await;
    well(store.report_trip(&reported("hosts[y]", LONG)).await);
    let closed = closes(&store, "hosts[x]", open.epoch).await;
    sleep(MOMENT).await;
    let other = trips(&store, "hosts[z]").await;
    is(other.epoch > closed.epoch, "a key that is closed gives its place away");
    same(
        trips(&store, "hosts[w]").await,
        Shared::default(),
        "a key keeps its place while reports of it count",
    );
    same(
        paths(&store).await,
        ["hosts[z]".to_owned()].to_vec(),
        "a key that has given its place away is forgotten",
    );
    closes(&store, "hosts[z]", other.epoch).await;
    sleep(MOMENT).await;
    is(
        trips(&store, "hosts[x]").await.epoch > other.epoch,
        "a key that was forgotten has a later epoch",
    );

    well(store.report_trip(&reported("users[x]", SHORT)).await);
    trips(&store, "users[y]").await;
    sleep(SHORT * 2).await;
    same(
        trips(&store, "users[z]").await.epoch,
        1,
        "a key that is reported no more gives its place away",
    );
    well(store.report_trip(&reported("users[z]", SHORT)).await);
    sleep(SHORT * 2).await;
    same(
        trips(&store, "users[w]").await,
        Shared::default(),
        "a key that is open keeps its place, however short the window of its reports",
    );
}
