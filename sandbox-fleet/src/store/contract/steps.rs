//! The steps of the contract, which have to be made, and what it says when a promise is broken.

use std::fmt::Debug;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{Beat, Found, LONG, Lease, PATIENCE, Pulse, Quorum, Shared, Store, StoreError, TOOL, Trip, Versioned};

/// Two replicas, the second one being `b`, have opened the tool's breaker for all, and it may be tried at once.
pub(super) async fn opened<S: Store>(store: &S, replica: &str) -> Shared {
    let mut shared = Shared::default();
    for replica in [replica, "b"] {
        pulse(store, replica).await;
        let trip = Trip {
            cooldown: Duration::ZERO,
            ..trip(replica, 2)
        };
        shared = well(store.report_trip(&trip).await);
    }
    is(shared.open_until.is_some(), "a breaker opens if enough replicas say so");
    let until = shared.open_until.unwrap_or_default();
    while pulse(store, replica).await.now < until {
        sleep(Duration::from_millis(1)).await;
    }
    shared
}

pub(super) async fn pulse<S: Store>(store: &S, replica: &str) -> Pulse {
    let beat = Beat {
        replica: replica.to_owned(),
        says: format!("{replica} says"),
    };
    well(store.pulse(&beat).await)
}

pub(super) async fn pulse_all<S: Store>(store: &S, replicas: &[&str]) {
    for replica in replicas {
        pulse(store, replica).await;
    }
}

pub(super) async fn names<S: Store>(store: &S) -> Vec<String> {
    well(store.replicas().await)
        .into_iter()
        .map(|replica| replica.name)
        .collect()
}

pub(super) async fn report<S: Store>(store: &S, replica: &str, quorum: u32) -> Shared {
    well(store.report_trip(&trip(replica, quorum)).await)
}

pub(super) async fn take<S: Store>(store: &S, replica: &str, epoch: u64, lasts: Duration) -> bool {
    let lease = Lease {
        tool: TOOL.to_owned(),
        epoch,
        replica: replica.to_owned(),
        lasts,
    };
    well(store.take_lease(&lease).await)
}

pub(super) async fn settle<S: Store>(store: &S, replica: &str, epoch: u64, open_for: Option<Duration>) -> Shared {
    let found = Found {
        tool: TOOL.to_owned(),
        epoch,
        replica: replica.to_owned(),
        open_for,
    };
    well(store.settle(&found).await)
}

pub(super) async fn told(messages: &mut mpsc::Receiver<()>, change: &str) {
    match timeout(PATIENCE, messages.recv()).await {
        Ok(Some(())) => {}
        Ok(None) => broken(&format!("a subscription has ended before a message came of {change}")),
        Err(_) => broken(&format!("no message came within {PATIENCE:?} of {change}")),
    }
}

pub(super) fn trip(replica: &str, quorum: u32) -> Trip {
    Trip {
        tool: TOOL.to_owned(),
        replica: replica.to_owned(),
        window: LONG,
        cooldown: LONG,
        quorum: Quorum::Of(quorum),
        most: None,
    }
}

pub(super) fn versioned(version: u64, text: &str) -> Versioned {
    Versioned {
        version,
        text: text.to_owned(),
    }
}

#[track_caller]
pub(super) fn well<T>(made: Result<T, StoreError>) -> T {
    made.unwrap_or_else(|error| broken(&format!("a step has failed: {error}")))
}

#[track_caller]
pub(super) fn is(is_so: bool, promise: &str) {
    if !is_so {
        broken(promise);
    }
}

#[track_caller]
pub(super) fn same<T: PartialEq + Debug>(found: T, expected: T, promise: &str) {
    if found != expected {
        broken(&format!("{promise}: expected {expected:?}, found {found:?}"));
    }
}

#[track_caller]
pub(super) fn broken(promise: &str) -> ! {
    panic!("the store does not keep its contract: {promise}")
}
