//! A service over a real server, behind an address that may lead to another one.

use std::sync::Arc;
use std::time::Duration;

use sandbox_fleet::Operator;
use sandbox_fleet::store::redis::RedisStore;
use sandbox_runtime::{SandboxError, sandboxed};
use tokio::time::{Instant, sleep, timeout};

use crate::server::address::Address;
use crate::server::{Server, unique};
use crate::support::{Replica, World, at_once};

pub(crate) const REPLICAS: usize = 3;
/// Ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// What operators switch off.
#[sandboxed(max_retries = 0)]
async fn switched() -> Result<(), SandboxError> {
    Ok(())
}

pub(crate) struct ServiceOverServer {
    pub(crate) address: Address,
    pub(crate) name: String,
    pub(crate) replicas: Vec<Replica>,
}

impl ServiceOverServer {
    /// One whose replicas all know each other, and have been told so.
    pub(crate) async fn over(server: &Server) -> ServiceOverServer {
        let (world, mut service) = (
            Arc::<World>::default(),
            ServiceOverServer {
                address: Address::of(server.port()).await,
                name: unique("service"),
                replicas: Vec::new(),
            },
        );
        for number in 0..REPLICAS {
            let replica = Replica::joined(number, service.store(), &world).await;
            service.replicas.push(replica);
        }
        service.agrees(server).await;
        service
    }

    /// A store of its own, which nobody else's connection is.
    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::new(&self.address.url(), &self.name).expect("the URL is right")
    }

    pub(crate) fn operator(&self) -> Operator<RedisStore> {
        Operator::of(self.store())
    }

    /// Calls the tool in all replicas until this is so. No call may fail, or wait for anything.
    pub(crate) async fn calls_until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let called = async {
            while !is_so().await {
                for replica in &self.replicas {
                    assert_eq!(replica.call().await, Ok(()), "a call until {what}");
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(PATIENCE, called).await;
        assert!(in_time.is_ok(), "{what}");
    }

    /// Until every replica goes on by itself, and knows nothing that is newer than so long.
    pub(crate) async fn is_alone_for(&self, age: Duration) {
        self.calls_until("no replica is told anything", async || {
            for replica in &self.replicas {
                let status = replica.status().await;
                let view_age = status.view_age_ms.map(Duration::from_millis);
                if status.is_told || view_age.is_none_or(|view_age| view_age < age) {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Until every replica is told again by this server, of all of them and by messages. Prints how long that has taken.
    pub(crate) async fn agrees(&self, server: &Server) {
        let start = Instant::now();
        let channel = format!("sandboxed:1:{{{}}}:changes", self.name);
        self.calls_until("all replicas agree", async || {
            for replica in &self.replicas {
                let status = replica.status().await;
                // Younger than two pulses.
                let is_young = status.view_age_ms.is_some_and(|age| age < 2_000);
                if !status.is_told || status.live as usize != REPLICAS || !is_young {
                    return false;
                }
            }
            let (_, listening): (String, usize) = server.ask(&["PUBSUB", "NUMSUB", &channel]).await;
            listening == REPLICAS
        })
        .await;
        println!("all replicas agree after {:?}", start.elapsed());
    }

    /// Until the tool is off for this reason in every replica.
    pub(crate) async fn is_off_for(&self, reason: &str) {
        self.calls_until(&format!("it is off: {reason}"), async || {
            for replica in &self.replicas {
                let answer = replica.ask(|_| at_once(switched())).await;
                let is_off = matches!(answer, Some(Err(SandboxError::Disabled { reason: told, .. })) if told == reason);
                if !is_off {
                    return false;
                }
            }
            true
        })
        .await;
    }
}
