//! What a [`Store`] promises, as a test for those who write one.
//!
//! ```
//! # use sandbox_fleet::store::{contract, memory::MemoryStore};
//! use std::collections::HashMap;
//! use std::sync::Mutex;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let services: Mutex<HashMap<String, MemoryStore>> = Mutex::default();
//! contract::check(async |service: &str| services.lock().unwrap().entry(service.to_owned()).or_default().clone()).await;
//! # }
//! ```

mod breakers;
mod keys;
mod leases;
mod rates;
mod steps;

use std::time::Duration;

use tokio::time::sleep;

use self::steps::{is, names, opened, pulse, pulse_all, report, same, settle, take, told, versioned, well};
use super::{
    Beat, Claim, Found, Granted, LIVE, Lease, Pulse, Quorum, Replica, Shared, Store, StoreError, Trip, Versioned,
};

const TOOL: &str = "shop::stock";
/// Longer than the test.
const LONG: Duration = Duration::from_secs(600);
/// Over when the test has waited for it.
const SHORT: Duration = Duration::from_millis(50);
/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks that a store keeps what the trait promises, which takes some seconds of tokio's time.
///
/// `make` makes a store of the service of that name: the same service for the same name, and a new one for a new name. A name is not
/// unique beyond this call: a server that keeps what others have tested needs a part that is.
///
/// No times are measured, so the store may be slow. But a replica may be forgotten that has had no heartbeat for [`LIVE`]: a step has to
/// take less than a tenth of that.
///
/// # Panics
///
/// If a promise is broken, or the store fails.
pub async fn check<S: Store>(make: impl AsyncFn(&str) -> S) {
    tokio::join!(
        replicas_live_while_they_pulse(&make),
        replicas_leave(&make),
        breakers::breakers_open_by_quorum(&make),
        breakers::a_third_is_a_quorum(&make),
        breakers::open_breakers_are_known(&make),
        breakers::reports_count_for_their_window(&make),
        breakers::only_live_reports_count(&make),
        breakers::openings_are_new_epochs(&make),
        breakers::closings_are_new_epochs(&make),
        leases::leases_are_given_when_due(&make),
        leases::leases_end(&make),
        leases::results_without_a_lease_change_nothing(&make),
        leases::any_time_can_be_given(&make),
        keys::keys_are_bounded(&make),
        keys::keys_give_way(&make),
        rates::rates_are_shared_by_demand(&make),
        rates::short_rates_are_shared_evenly(&make),
        rates::what_has_begun_counts(&make),
        rates::shares_are_given_back(&make),
        rates::any_claims_are_answered_alike(&make),
        settings_are_compared_and_set(&make),
        changes_are_told(&make),
        services_are_apart(&make),
    );
}

async fn replicas_live_while_they_pulse<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let (one, other) = (make("live").await, make("live").await);
    let first = pulse(&one, "a").await;
    same(first.live, 1, "a replica is live by its first heartbeat");
    same(pulse(&one, "a").await.live, 1, "a replica counts once");
    let second = pulse(&other, "b").await;
    same(second.live, 2, "replicas count whichever connection they come by");
    let time = well(one.time().await);
    is(
        first.now <= second.now && second.now <= time,
        "the store's time does not go back",
    );
    same(
        names(&one).await,
        ["a", "b"].map(String::from).to_vec(),
        "live replicas are listed by name",
    );
    let told = Replica {
        name: "a".to_owned(),
        says: "a says".to_owned(),
    };
    same(
        well(one.replicas().await)[0].clone(),
        told,
        "what replicas say is listed",
    );
    sleep(LIVE + SHORT).await;
    let later = pulse(&one, "a").await;
    same(later.live, 1, "a replica without a heartbeat is not live");
    is(later.now - second.now >= 3_000, "the store's time is in milliseconds");
    same(names(&one).await, vec!["a".to_owned()], "only live replicas are listed");
    same(
        pulse(&other, "b").await.live,
        2,
        "a replica is live again by its next heartbeat",
    );
}

async fn replicas_leave<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("leave").await;
    well(store.leave("nobody").await);
    pulse_all(&store, &["a", "b", "c"]).await;
    report(&store, "a", 2).await;
    well(store.leave("a").await);
    same(pulse(&store, "b").await.live, 2, "a replica that has left is not live");
    pulse(&store, "a").await;
    let shared = report(&store, "b", 2).await;
    same(
        shared,
        Shared::default(),
        "a replica that leaves takes its reports along",
    );

    let open = opened(&store, "a").await;
    is(
        take(&store, "a", open.epoch, LONG).await,
        "an open breaker that is due gives a lease",
    );
    well(store.leave("b").await);
    is(
        !take(&store, "c", open.epoch, LONG).await,
        "a replica that leaves gives no lease back that another one has",
    );
    well(store.leave("a").await);
    is(
        take(&store, "b", open.epoch, LONG).await,
        "a replica that leaves gives its lease back",
    );
}

async fn settings_are_compared_and_set<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let (one, other) = (make("settings").await, make("settings").await);
    same(
        well(one.settings().await),
        Versioned::default(),
        "a new service has no settings",
    );
    same(
        pulse(&one, "a").await.settings,
        0,
        "a pulse has the version of no settings",
    );
    let text = "{ \"reason\": \"caf\u{e9}\r\n\0\" }";
    let (first, second, third) = (versioned(1, text), versioned(2, ""), versioned(u64::MAX, "long"));
    is(
        !well(one.put_settings(7, &first).await),
        "settings of another version are not replaced",
    );
    is(
        well(one.put_settings(0, &first).await),
        "settings of the expected version are replaced",
    );
    same(well(other.settings().await), first.clone(), "settings are what was put");
    let told = pulse(&other, "a").await;
    same(told.settings, 1, "a pulse has the version of the settings");
    is(
        !well(other.put_settings(0, &second).await),
        "settings are not replaced from an old view",
    );
    let (is_second, is_third) = tokio::join!(one.put_settings(1, &second), other.put_settings(1, &third));
    let (is_second, is_third) = (well(is_second), well(is_third));
    is(is_second != is_third, "of two that replace the same settings, one does");
    let kept = if is_second { second } else { third };
    same(
        well(one.settings().await),
        kept,
        "settings are of the one that has replaced them",
    );
    let (stamp, stays) = (
        pulse(&one, "a").await.settings_stamp,
        pulse(&other, "a").await.settings_stamp,
    );
    same(stamp, stays, "settings that stay keep their stamp");
    is(stamp != told.settings_stamp, "others have another one");
}

async fn changes_are_told<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let (one, other) = (make("changes").await, make("changes").await);
    let mut messages = well(one.subscribe().await);
    drop(well(one.subscribe().await));
    pulse_all(&other, &["a", "b"]).await;
    let open = opened(&other, "a").await;
    told(&mut messages, "a breaker that opens").await;
    take(&other, "a", open.epoch, LONG).await;
    let again = settle(&other, "a", open.epoch, Some(Duration::ZERO)).await;
    told(&mut messages, "a breaker that opens again").await;
    take(&other, "a", again.epoch, LONG).await;
    settle(&other, "a", again.epoch, None).await;
    told(&mut messages, "a breaker that closes").await;
    for version in 0..100 {
        let is_put = well(other.put_settings(version, &versioned(version + 1, "")).await);
        is(is_put, "changes do not wait for those who read messages");
    }
    told(&mut messages, "settings that are replaced").await;
}

async fn services_are_apart<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let (one, other) = (make("one service").await, make("another service").await);
    let open = opened(&one, "a").await;
    take(&one, "a", open.epoch, LONG).await;
    well(one.put_settings(0, &versioned(1, "settings")).await);
    same(
        names(&other).await,
        Vec::<String>::new(),
        "a service has its own replicas",
    );
    same(
        well(other.settings().await),
        Versioned::default(),
        "a service has its own settings",
    );
    let pulse = pulse(&other, "c").await;
    same(pulse.live, 1, "a service counts its own replicas");
    same(pulse.breakers, vec![], "a service has its own breakers");
    same(
        report(&other, "c", 2).await,
        Shared::default(),
        "a service has its own reports",
    );
    let open = opened(&other, "a").await;
    is(
        take(&other, "b", open.epoch, LONG).await,
        "a service has its own leases",
    );
}
