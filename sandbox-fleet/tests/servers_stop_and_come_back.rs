//! A server that is stopped or killed lets steps fail in time, and when it is back the store works again.

#![cfg(feature = "redis")]
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod server;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use sandbox_fleet::store::redis::{RedisStore, STEP_LIMIT};
use sandbox_fleet::store::{Beat, Found, Lease, Pulse, Quorum, Shared, Store, StoreError, Trip, Versioned};
use tokio::time::{sleep, timeout};

use self::server::Server;

const TOOL: &str = "shop::stock";
/// Ends a test that would hang: a step that fails by its own limit has long failed.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn stopped() {
    for server in Server::all(&[]).await {
        println!("stopping {}", server.version());
        let (used, unused) = (server.store("stopped"), server.store("stopped"));
        let open = open(&used).await;
        server.signal("STOP");
        tokio::join!(
            all_steps_fail(&used, "not answered"),
            all_steps_fail(&unused, "not answered")
        );
        server.signal("CONT");
        let known = vec![(TOOL.to_owned(), open)];
        assert_eq!(
            pulse_at_last(&used).await.breakers,
            known,
            "a server that was stopped has what it had"
        );
        pulse_at_last(&unused).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn killed() {
    for mut server in Server::all(&[]).await {
        println!("killing {}", server.version());
        let (used, unused) = (server.store("killed"), server.store("killed"));
        open(&used).await;
        let mut messages = used.subscribe().await.unwrap();
        server.kill();
        let ended = timeout(PATIENCE, messages.recv())
            .await
            .expect("a subscription ends with the server");
        assert_eq!(ended, None, "nobody has changed anything");
        tokio::join!(all_steps_fail(&used, "could not"), all_steps_fail(&unused, "could not"));
        server.restart().await;
        let pulse = pulse_at_last(&used).await;
        assert_eq!(
            pulse.breakers,
            vec![],
            "a server that starts again without a file knows nothing"
        );
        let mut messages = used.subscribe().await.unwrap();
        assert_eq!(
            open(&used).await.epoch,
            1,
            "scripts run on a server that has never seen them"
        );
        let told = timeout(PATIENCE, messages.recv())
            .await
            .expect("a subscription works again");
        assert_eq!(told, Some(()), "a subscription works again");
        pulse_at_last(&unused).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn restarted_between_two_steps() {
    for mut server in Server::all(&[]).await {
        let store = server.store("restarted");
        open(&store).await;
        server.kill();
        server.restart().await;
        // Not more than one: the connection that is gone is given up by the step that finds it so.
        let _ = store.pulse(&beat()).await;
        let pulse = store.pulse(&beat()).await.expect("a step after a failed one connects");
        assert_eq!(
            pulse.breakers,
            vec![],
            "what was known of another life of the server is not told"
        );
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn dropped_steps() {
    for server in Server::all(&[]).await {
        let store = server.store("dropped");
        open(&store).await;
        assert!(
            format!("{store:?}").contains("is_connected: true"),
            "a connection is kept: {store:?}"
        );
        server.signal("STOP");
        let dropped = timeout(Duration::from_millis(10), store.time()).await;
        dropped.expect_err("a server that is stopped does not answer");
        assert!(
            format!("{store:?}").contains("is_connected: false"),
            "the next step connects: {store:?}"
        );
        server.signal("CONT");
        pulse_at_last(&store).await;
    }
}

/// All at once, because each may take its whole limit.
async fn all_steps_fail(store: &RedisStore, how: &str) {
    let (beat, trip, lease, found, settings) = (beat(), trip(), lease(), found(), Versioned::default());
    tokio::join!(
        fails(store.pulse(&beat), "pulse", how),
        fails(store.time(), "time", how),
        fails(store.leave("a"), "leave", how),
        fails(store.report_trip(&trip), "report_trip", how),
        fails(store.withdraw_trip(TOOL, "a"), "withdraw_trip", how),
        fails(store.take_lease(&lease), "take_lease", how),
        fails(store.settle(&found), "settle", how),
        fails(store.settings(), "settings", how),
        fails(store.put_settings(0, &settings), "put_settings", how),
        fails(store.replicas(), "replicas", how),
        fails(store.subscribe(), "subscribe", how),
    );
}

async fn fails<T: Debug>(step: impl Future<Output = Result<T, StoreError>>, name: &str, how: &str) {
    // As much again, because other tests use the same processors.
    let made = timeout(STEP_LIMIT * 2, step).await;
    let made = made.unwrap_or_else(|_| panic!("{name} takes longer than its limit"));
    let error = made
        .err()
        .unwrap_or_else(|| panic!("{name} has not failed without a server"));
    assert!(error.to_string().contains(how), "{name} fails as it should: {error}");
}

async fn pulse_at_last(store: &RedisStore) -> Pulse {
    let repeat = async {
        loop {
            match store.pulse(&beat()).await {
                Ok(pulse) => return pulse,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(PATIENCE, repeat).await.expect("the store works again")
}

async fn open(store: &RedisStore) -> Shared {
    store.pulse(&beat()).await.unwrap();
    let shared = store.report_trip(&trip()).await.unwrap();
    assert!(shared.open_until.is_some(), "one of one is enough");
    assert_eq!(
        store.pulse(&beat()).await.unwrap().breakers,
        vec![(TOOL.to_owned(), shared)],
        "it is told"
    );
    shared
}

fn beat() -> Beat {
    Beat {
        replica: "a".to_owned(),
        says: String::new(),
    }
}

fn trip() -> Trip {
    Trip {
        tool: TOOL.to_owned(),
        replica: "a".to_owned(),
        window: Duration::from_secs(600),
        cooldown: Duration::from_secs(600),
        quorum: Quorum::Of(1),
        most: None,
    }
}

fn lease() -> Lease {
    Lease {
        tool: TOOL.to_owned(),
        epoch: 1,
        replica: "a".to_owned(),
        lasts: Duration::from_secs(600),
    }
}

fn found() -> Found {
    Found {
        tool: TOOL.to_owned(),
        epoch: 1,
        replica: "a".to_owned(),
        open_for: None,
    }
}
