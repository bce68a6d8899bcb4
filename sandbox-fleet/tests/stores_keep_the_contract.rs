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
    use sandbox_fleet::store::contract;
    use sandbox_fleet::store::redis::RedisStore;

    use super::server::{Cluster, Server, programs, unique};

    #[tokio::test]
    #[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
    async fn by_themselves() {
        for server in Server::all(&[]).await {
            check(&server).await;
        }
    }

    /// Each service in the node that has its slot.
    #[tokio::test]
    #[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
    async fn in_a_cluster() {
        for program in programs() {
            let cluster = Cluster::start(&program).await;
            let run = unique("contract");
            let make = async |service: &str| {
                let service = format!("{run} {service}");
                let (node, _) = cluster.nodes_of(&service).await;
                RedisStore::connect(&node.url(), &service)
                    .await
                    .expect("this node has the service")
            };
            contract::check(make).await;
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
