//! When do breakers open and close for all?

use std::time::Duration;

use tokio::time::sleep;

use super::steps::{is, opened, pulse, pulse_all, report, same, settle, take, trip, well};
use super::{LIVE, LONG, Quorum, SHORT, Shared, Store, TOOL, Trip};

pub(super) async fn breakers_open_by_quorum<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("quorum").await;
    pulse_all(&store, &["a", "b", "c", "d"]).await;
    same(
        report(&store, "a", 3).await,
        Shared::default(),
        "one report opens nothing if it takes three",
    );
    same(
        report(&store, "a", 3).await,
        Shared::default(),
        "a replica's reports count once",
    );
    same(
        report(&store, "b", 3).await,
        Shared::default(),
        "two reports open nothing if it takes three",
    );
    well(store.withdraw_trip(TOOL, "b").await);
    well(store.withdraw_trip(TOOL, "nobody").await);
    same(
        report(&store, "c", 3).await,
        Shared::default(),
        "a report that was withdrawn does not count",
    );
    same(
        pulse(&store, "a").await.breakers,
        vec![],
        "a breaker that was never open is not listed",
    );
    let open = report(&store, "b", 3).await;
    same(open.epoch, 1, "the first opening is the first epoch");
    same(
        report(&store, "d", 3).await,
        open,
        "a report changes nothing while the breaker is open",
    );
}

pub(super) async fn open_breakers_are_known<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("open").await;
    pulse(&store, "a").await;
    let open = report(&store, "a", 0).await;
    same(open.epoch, 1, "none are needed, and one says so: the breaker opens");
    let now = pulse(&store, "a").await;
    let until = open.open_until.unwrap_or_default();
    is(
        now.now < until && until <= now.now + 600_000,
        "a breaker is open for its cooldown, by the store's time",
    );
    same(
        now.breakers,
        vec![(TOOL.to_owned(), open)],
        "a pulse has the breakers that are open",
    );
    pulse(&store, "b").await;
    let other = Trip {
        tool: "shop::price".to_owned(),
        ..trip("b", 2)
    };
    same(
        well(store.report_trip(&other).await),
        Shared::default(),
        "each tool has its own reports",
    );
}

pub(super) async fn a_third_is_a_quorum<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("third").await;
    let third = |tool: &str, replica: &str| Trip {
        tool: tool.to_owned(),
        quorum: Quorum::Third,
        ..trip(replica, 0)
    };
    pulse(&store, "a").await;
    same(
        well(store.report_trip(&third("few", "a")).await).epoch,
        0,
        "a third is two at least",
    );
    pulse(&store, "b").await;
    same(
        well(store.report_trip(&third("few", "b")).await).epoch,
        1,
        "two of two are enough",
    );
    pulse_all(&store, &["c", "d", "e", "f", "g"]).await;
    well(store.report_trip(&third("many", "a")).await);
    same(
        well(store.report_trip(&third("many", "b")).await).epoch,
        0,
        "a third of seven, rounded up, is more than two",
    );
    same(
        well(store.report_trip(&third("many", "c")).await).epoch,
        1,
        "three of seven are enough",
    );
}

pub(super) async fn reports_count_for_their_window<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("windows").await;
    let brief = |replica: &str| Trip {
        window: SHORT,
        ..trip(replica, 2)
    };
    pulse_all(&store, &["a", "b"]).await;
    // Not live, so that it never counts. A store that lets all reports of a tool lapse together has to keep this one.
    report(&store, "never seen", 2).await;
    well(store.report_trip(&brief("a")).await);
    sleep(SHORT * 2).await;
    let lapsed = well(store.report_trip(&brief("b")).await);
    same(
        lapsed,
        Shared::default(),
        "a report does not count when its window is over",
    );
    sleep(SHORT * 2).await;
    let renewed = Trip {
        window: LONG,
        ..brief("a")
    };
    let lapsed = well(store.report_trip(&renewed).await);
    same(
        lapsed,
        Shared::default(),
        "a report counts for its own window, not for that of the next one",
    );
    sleep(SHORT * 2).await;
    let counted = well(store.report_trip(&brief("b")).await);
    same(counted.epoch, 1, "a report counts while its own window lasts");
}

pub(super) async fn only_live_reports_count<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("reports").await;
    pulse_all(&store, &["a", "b"]).await;
    report(&store, "a", 2).await;
    let stranger = report(&store, "never seen", 2).await;
    same(
        stranger,
        Shared::default(),
        "a report does not count without a heartbeat",
    );
    sleep(LIVE + SHORT).await;
    pulse(&store, "b").await;
    same(
        report(&store, "b", 2).await,
        Shared::default(),
        "a report does not count if its replica is dead",
    );
    pulse(&store, "a").await;
    same(
        report(&store, "b", 2).await.epoch,
        1,
        "a report counts again if its replica is live again",
    );
}

pub(super) async fn openings_are_new_epochs<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("epochs").await;
    let open = opened(&store, "a").await;
    take(&store, "a", open.epoch, LONG).await;
    let again = settle(&store, "a", open.epoch, Some(Duration::ZERO)).await;
    same(
        again.epoch,
        open.epoch + 1,
        "a breaker that opens again is in a new epoch",
    );
    is(again.open_until.is_some(), "a breaker that opens again is open");
    is(
        !take(&store, "a", open.epoch, LONG).await,
        "an epoch that is over gives no lease",
    );
    is(
        take(&store, "b", again.epoch, LONG).await,
        "a new epoch has a lease of its own",
    );
}

pub(super) async fn closings_are_new_epochs<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("closings").await;
    let open = opened(&store, "a").await;
    take(&store, "b", open.epoch, LONG).await;
    let closed = settle(&store, "b", open.epoch, None).await;
    let expected = Shared {
        epoch: open.epoch + 1,
        open_until: None,
    };
    same(closed, expected, "a breaker that closes is in a new epoch");
    let pulse = pulse(&store, "a").await;
    same(
        pulse.breakers,
        vec![(TOOL.to_owned(), closed)],
        "a breaker that has closed is still listed",
    );
    is(
        !take(&store, "b", closed.epoch, LONG).await,
        "a closed breaker gives no lease",
    );
    same(
        report(&store, "b", 2).await,
        closed,
        "a breaker that closes forgets the reports",
    );
    let reopened = opened(&store, "a").await;
    same(
        reopened.epoch,
        closed.epoch + 1,
        "a breaker that has closed opens in a new epoch",
    );
}
