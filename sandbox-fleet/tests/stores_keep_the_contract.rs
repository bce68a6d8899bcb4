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
#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn servers() {
    use sandbox_fleet::store::redis::RedisStore;

    for server in server::Server::all().await {
        println!("checking {}", server.version());
        let run = server::service("contract");
        let make = async |service: &str| {
            let service = format!("{run} {service}");
            RedisStore::connect(&server.url(), &service)
                .await
                .expect("the server runs")
        };
        contract::check(make).await;
    }
}
