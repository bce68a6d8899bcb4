//! Who may try whether a dependency is well, and whose result counts?

use std::time::Duration;

use tokio::time::sleep;

use super::steps::{is, opened, pulse, report, same, settle, take, trip, well};
use super::{LONG, SHORT, Shared, Store, TOOL, Trip};

pub(super) async fn leases_are_given_when_due<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("leases").await;
    is(
        !take(&store, "a", 0, LONG).await,
        "a breaker that was never open gives no lease",
    );
    pulse(&store, "a").await;
    let open = report(&store, "a", 1).await;
    is(
        !take(&store, "a", open.epoch, LONG).await,
        "an open breaker gives no lease during its cooldown",
    );

    let store = make("due leases").await;
    let open = opened(&store, "a").await;
    is(
        !take(&store, "a", open.epoch - 1, LONG).await,
        "an earlier epoch gives no lease",
    );
    is(
        !take(&store, "a", open.epoch + 1, LONG).await,
        "a later epoch gives no lease",
    );
    let (one, other) = tokio::join!(take(&store, "a", open.epoch, LONG), take(&store, "b", open.epoch, LONG));
    is(one != other, "of two replicas that ask for a lease, one gets it");
    is(
        !take(&store, "a", open.epoch, LONG).await,
        "a lease is given once, also to who has it",
    );
    same(
        pulse(&store, "a").await.breakers,
        vec![(TOOL.to_owned(), open)],
        "a lease changes no breaker",
    );
}

pub(super) async fn leases_end<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("lapsed leases").await;
    let open = opened(&store, "a").await;
    is(
        take(&store, "a", open.epoch, SHORT).await,
        "an open breaker that is due gives a lease",
    );
    sleep(SHORT * 2).await;
    let late = settle(&store, "a", open.epoch, None).await;
    same(late, open, "a result changes nothing when its lease is over");
    is(
        take(&store, "b", open.epoch, LONG).await,
        "a lease that is over is given to another one",
    );
    let late = settle(&store, "a", open.epoch, None).await;
    same(late, open, "a result changes nothing when another one has the lease");
    is(
        settle(&store, "b", open.epoch, None).await.epoch > open.epoch,
        "the holder's result counts",
    );
}

pub(super) async fn results_without_a_lease_change_nothing<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("results").await;
    same(
        settle(&store, "a", 0, None).await,
        Shared::default(),
        "what was never open has no result",
    );
    let open = opened(&store, "a").await;
    same(
        settle(&store, "a", open.epoch, None).await,
        open,
        "a result without a lease changes nothing",
    );
    take(&store, "a", open.epoch, LONG).await;
    for epoch in [open.epoch - 1, open.epoch + 1] {
        same(
            settle(&store, "a", epoch, None).await,
            open,
            "a result of another epoch changes nothing",
        );
    }
    let again = settle(&store, "a", open.epoch, Some(LONG)).await;
    same(
        settle(&store, "a", open.epoch, None).await,
        again,
        "a result counts once",
    );
    same(
        settle(&store, "a", again.epoch, None).await,
        again,
        "a new epoch has no lease yet",
    );
}

pub(super) async fn any_time_can_be_given<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("any time").await;
    pulse(&store, "a").await;
    for (tool, window) in [("no window", Duration::ZERO), ("longest window", Duration::MAX)] {
        let trip = Trip {
            tool: tool.to_owned(),
            window,
            cooldown: Duration::MAX,
            ..trip("a", 1)
        };
        let open = well(store.report_trip(&trip).await);
        is(
            open.open_until.is_some(),
            "a report counts when it is made, whatever its window",
        );
    }
    let open = opened(&store, "a").await;
    take(&store, "a", open.epoch, Duration::ZERO).await;
    sleep(SHORT).await;
    is(
        take(&store, "a", open.epoch, Duration::MAX).await,
        "a lease that lasts for no time is over",
    );
    let again = settle(&store, "a", open.epoch, Some(Duration::MAX)).await;
    is(
        again.open_until > open.open_until,
        "a breaker may be open for as long as there is",
    );
}
