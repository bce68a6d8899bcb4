//! Stores keep the contract: the one in memory, and Redis and Valkey, of which `sandbox-fleet/tests/servers/run` starts servers.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::sync::Mutex;

use sandbox_fleet::store::contract;
use sandbox_fleet::store::memory::MemoryStore;

#[tokio::test(start_paused = true)]
async fn the_store_in_memory() {
    let services: Mutex<HashMap<String, MemoryStore>> = Mutex::default();
    let make = async |service: &str| services.lock().unwrap().entry(service.to_owned()).or_default().clone();
    contract::check(make).await;
}

#[cfg(feature = "redis")]
mod server;

#[cfg(feature = "redis")]
mod servers {
    use std::time::Duration;

    use sandbox_fleet::store::contract;
    use sandbox_fleet::store::redis::RedisStore;

    use tokio::time::sleep;

    use super::server::{Server, unique};

    #[tokio::test]
    #[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
    async fn by_themselves() {
        for server in Server::all(&[]).await {
            check(&server).await;
        }
    }

    #[tokio::test]
    #[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
    async fn in_a_cluster() {
        for server in Server::all(&["--cluster-enabled", "yes"]).await {
            let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
            let assign: Vec<&str> = ["CLUSTER", "ADDSLOTS"]
                .into_iter()
                .chain(slots.iter().map(String::as_str))
                .collect();
            server.ask::<()>(&assign).await;
            while !server
                .ask::<String>(&["CLUSTER", "INFO"])
                .await
                .contains("cluster_state:ok")
            {
                sleep(Duration::from_millis(10)).await;
            }
            check(&server).await;
        }
    }

    async fn check(server: &Server) {
        println!("checking {}", server.version());
        let run = unique("contract");
        let make = async |service: &str| {
            let service = format!("{run} {service}");
            RedisStore::connect(&server.url(), &service)
                .await
                .expect("the server runs")
        };
        contract::check(make).await;
    }
}
