//! In a cluster a service is in one node: another one refuses each step, and the error names the right one.

#![cfg(feature = "redis")]
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod server;

use sandbox_fleet::Fleet;
use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::store::{Beat, Store as _};

use self::server::{Cluster, programs, unique};

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn the_others_refuse_it() {
    for program in programs() {
        let cluster = Cluster::start(&program).await;
        // Names that are in several nodes.
        for _ in 0..8 {
            let service = unique("service");
            let (node, others) = cluster.nodes_of(&service).await;
            for other in others {
                let expected = format!(
                    "the store is a cluster, and this service is in another node of it; name `127.0.0.1:{}` in the URL",
                    node.port()
                );
                let error = RedisStore::connect(&other.url(), &service).await.unwrap_err();
                assert_eq!(error.to_string(), expected, "by a connection");
                let store = RedisStore::new(&other.url(), &service).unwrap();
                let beat = Beat {
                    replica: "a".to_owned(),
                    says: String::new(),
                };
                let error = store.pulse(&beat).await.unwrap_err();
                assert_eq!(error.to_string(), expected, "by a script");
                let member = Fleet::connect(&other.url()).service(&service).join().await.unwrap();
                assert!(!member.status().is_told, "a replica goes on by itself");
            }
            let member = Fleet::connect(&node.url()).service(&service).join().await.unwrap();
            assert!(member.status().is_told, "the node that the errors name takes it");
            member.leave().await;
        }
    }
}
