//! Over a real server, a key that enough replicas have found open is open in one that has never called it, until one of them finds it well.

use std::sync::Arc;
use std::time::Duration;

use sandbox_fleet::store::redis::RedisStore;
use tokio::time::{sleep, timeout};

use crate::server::{Server, unique};
use crate::support::is_open;
use crate::support_for_keys::{Here, Replica, World, lasting, map};

/// Ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn until_one_finds_it_well() {
    for server in Server::all(&[]).await {
        let (service, world) = (unique("keys"), Arc::<World>::default());
        let mut replicas = Vec::new();
        for number in 0..3 {
            let here = Here {
                number,
                hosts: map(10, lasting(Duration::from_millis(300))),
                world: Arc::clone(&world),
            };
            let store = RedisStore::new(&server.url(), &service).unwrap();
            replicas.push(Replica::joined(here, store, 10).await);
        }
        // A key that would be read as more than one word of the protocol.
        let host = "down.example.org:443]\r\n[";
        world.is_down_for(0..2, host);
        until("it is open in the one that has not called it", async || {
            for replica in &replicas[..2] {
                drop(replica.fetch(host));
            }
            replicas[2]
                .here
                .hosts
                .get(host)
                .is_some_and(|breaker| breaker.is_open())
        })
        .await;
        world.is_well();
        until("it is closed in all, and takes part no more", async || {
            let answers = replicas.iter().map(|replica| replica.fetch(host));
            let others = answers.filter(|answer| answer.is_err() && !is_open(answer)).count();
            assert_eq!(others, 0, "a call is refused, or succeeds");
            replicas
                .iter()
                .all(|replica| replica.keys().is_empty() && replica.fetch(host).is_ok())
        })
        .await;
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waits = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, waits).await.is_ok(), "{what}");
}
