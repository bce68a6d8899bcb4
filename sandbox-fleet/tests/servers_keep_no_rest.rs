//! A replica that is gone leaves nothing in a server, a service that is gone only its breakers and settings, and a key that nobody tries no
//! longer its place.

#![cfg(feature = "redis")]
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod server;

use std::time::Duration;

use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::store::{Beat, Claim, Lease, Quorum, REMEMBERED, Store as _, Trip, UNUSED, Versioned};

use self::server::{Server, unique};

const WINDOW: Duration = Duration::from_secs(600);

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn replicas_that_are_gone() {
    for server in Server::all(&[]).await {
        let service = unique("gone");
        let store = RedisStore::new(&server.url(), &service).unwrap();
        let key = |name: &str| format!("sandboxed:1:{{{service}}}:{name}");
        for tool in ["shop::stock", "shop::price"] {
            report(&store, "gone", tool).await;
        }
        report(&store, "here", "shop::stock").await;
        let seconds: Vec<String> = server.ask(&["TIME"]).await;
        let long_ago = seconds[0].parse::<u128>().unwrap() * 1000 - REMEMBERED.as_millis() - 1000;
        for number in 0..25 {
            let name = format!("gone {number}");
            server
                .ask::<()>(&["ZADD", &key("replicas"), &long_ago.to_string(), &name])
                .await;
            server.ask::<()>(&["HSET", &key("says"), &name, "something"]).await;
        }
        server
            .ask::<()>(&["ZADD", &key("replicas"), &long_ago.to_string(), "gone"])
            .await;
        for _ in 0..3 {
            pulse(&store, "here").await;
        }
        for (list, replicas) in [("replicas", "ZRANGE"), ("trips:shop::stock", "ZRANGE")] {
            let left: Vec<String> = server.ask(&[replicas, &key(list), "0", "-1"]).await;
            assert_eq!(left, ["here"], "who is left in {list}");
        }
        assert_eq!(
            server.ask::<Vec<String>>(&["HKEYS", &key("says")]).await,
            ["here"],
            "who is left in says"
        );
        assert_eq!(
            server.ask::<u32>(&["EXISTS", &key("trips:shop::price")]).await,
            0,
            "nobody is left in it"
        );
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn services_that_are_gone() {
    for server in Server::all(&[]).await {
        let store = server.store("gone");
        report(&store, "a", "shop::stock").await;
        let brief = Trip {
            window: Duration::from_millis(1),
            ..trip("a", "shop::stock")
        };
        store.report_trip(&brief).await.unwrap();
        let open = Trip {
            quorum: Quorum::Of(1),
            cooldown: Duration::ZERO,
            ..trip("a", "shop::price")
        };
        let epoch = store.report_trip(&open).await.unwrap().epoch;
        let lease = Lease {
            tool: open.tool,
            epoch,
            replica: "a".to_owned(),
            lasts: WINDOW,
        };
        assert!(store.take_lease(&lease).await.unwrap(), "the breaker is open and due");
        let claim = Claim {
            tool: "shop::stock".to_owned(),
            replica: "a".to_owned(),
            turn: 1,
            calls: 10,
            per: Duration::from_millis(1),
            share: 0,
            used: 0,
            wanted: 5,
            stays: true,
        };
        assert_eq!(
            store.claim(&claim).await.unwrap().share,
            7,
            "what is wanted, and half of the rest"
        );
        let settings = Versioned {
            version: 1,
            text: String::new(),
        };
        store.put_settings(0, &settings).await.unwrap();

        let of_a_map = |tool: &str, window| Trip {
            window,
            most: Some(1),
            ..trip("a", tool)
        };
        let forgotten = of_a_map("hosts[x]", Duration::from_millis(1));
        store.report_trip(&forgotten).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        store.report_trip(&of_a_map("hosts[y]", WINDOW)).await.unwrap();

        let keys: Vec<String> = server.ask(&["KEYS", "*"]).await;
        assert_eq!(
            keys.len(),
            12,
            "each key of the documentation is there, one of them three times: {keys:?}"
        );
        for key in keys {
            let left: i64 = server.ask(&["PTTL", &key]).await;
            let name = key.split_once("}:").expect("each key has the service").1;
            let lasts = match name {
                "breakers" | "settings" | "epochs" | "keys:hosts" => None,
                _ if name.starts_with("shares:") => Some(REMEMBERED),
                "replicas" | "says" => Some(REMEMBERED),
                _ => Some(WINDOW),
            };
            match lasts {
                None => assert_eq!(left, -1, "{name} stays"),
                // Less than the half is left if the test takes longer than any machine lets it.
                Some(lasts) => {
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
                    assert!(
                        lasts / 2 <= left && left <= lasts,
                        "{name} lasts for another {left:?} of {lasts:?}"
                    );
                }
            }
        }
    }
}

async fn report(store: &RedisStore, replica: &str, tool: &str) {
    pulse(store, replica).await;
    store.report_trip(&trip(replica, tool)).await.unwrap();
}

async fn pulse(store: &RedisStore, replica: &str) {
    let beat = Beat {
        replica: replica.to_owned(),
        says: "something".to_owned(),
    };
    store.pulse(&beat).await.unwrap();
}

fn trip(replica: &str, tool: &str) -> Trip {
    Trip {
        tool: tool.to_owned(),
        replica: replica.to_owned(),
        window: WINDOW,
        cooldown: WINDOW,
        quorum: Quorum::Of(9),
        most: None,
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn keys_that_nobody_tries() {
    for server in Server::all(&[]).await {
        let service = unique("keys");
        let store = RedisStore::new(&server.url(), &service).unwrap();
        let places = format!("sandboxed:1:{{{service}}}:keys:hosts");
        let trip_of = |key: &str| Trip {
            quorum: Quorum::Of(1),
            cooldown: Duration::ZERO,
            most: Some(1),
            ..trip("a", key)
        };
        pulse(&store, "a").await;
        let open = store.report_trip(&trip_of("hosts[x]")).await.unwrap();
        let lease = Lease {
            tool: "hosts[x]".to_owned(),
            epoch: open.epoch,
            replica: "a".to_owned(),
            lasts: WINDOW,
        };
        let seconds: Vec<String> = server.ask(&["TIME"]).await;
        let now = seconds[0].parse::<u64>().unwrap() * 1000;
        let until: u64 = server.ask(&["ZSCORE", &places, "hosts[x]"]).await;
        let left = Duration::from_millis(until - now);
        assert!(
            UNUSED * 9 / 10 < left && left < UNUSED * 11 / 10,
            "a key that is open keeps its place for another {left:?}"
        );
        let is_over = async || {
            let over = (now - 1_000).to_string();
            server.ask::<()>(&["ZADD", &places, &over, "hosts[x]"]).await;
        };
        is_over().await;
        assert!(store.take_lease(&lease).await.unwrap(), "it is open and due");
        let other = store.report_trip(&trip_of("hosts[y]")).await.unwrap();
        assert_eq!(other.epoch, 0, "a trial lets it keep its place");
        is_over().await;
        let other = store.report_trip(&trip_of("hosts[y]")).await.unwrap();
        assert_eq!(other.epoch, 2, "one that nobody tries gives its place away");
    }
}
