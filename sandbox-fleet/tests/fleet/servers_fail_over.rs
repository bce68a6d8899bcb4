//! A real server fails over to a copy behind one address: no call fails or waits, all replicas agree, what the copy has is kept, and what
//! it lacks fences off whoever still goes by it.

use std::path::PathBuf;
use std::time::Duration;

use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::store::{Beat, Found, Lease, Quorum, Shared, Store as _, Trip, Versioned};

use crate::server::address::Address;
use crate::server::{Server, programs};
use crate::support_for_servers::ServiceOverServer;

const TOOL: &str = "shop::stock";
/// Long enough not to end within the test.
const LONG: Duration = Duration::from_secs(600);

/// A server, and a copy of it over a link that may be silent.
struct Pair {
    server: Server,
    copy: Server,
    link: Address,
}

impl Pair {
    async fn start(program: PathBuf) -> Pair {
        let server = Server::start(program.clone(), &["--repl-diskless-sync-delay", "0"]).await;
        println!("failing over {}", server.version());
        let link = Address::of(server.port()).await;
        let copy = Server::start(program, &["--replicaof", "127.0.0.1", &link.port().to_string()]).await;
        Pair { server, copy, link }
    }

    /// Calls until the copy has what the server has.
    async fn is_copied(&self, service: &ServiceOverServer) {
        let copy = RedisStore::new(&self.copy.url(), &service.name).unwrap();
        let expected = service.store().settings().await.unwrap();
        service
            .calls_until("the copy has the settings", async || {
                copy.settings().await.is_ok_and(|settings| settings == expected)
            })
            .await;
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn the_server_is_killed() {
    for program in programs() {
        let mut pair = Pair::start(program).await;
        let service = ServiceOverServer::over(&pair.server).await;
        service.operator().disable("switched", "before", None).await.unwrap();
        service.is_off_for("before").await;
        pair.is_copied(&service).await;
        let copied = service.store().settings().await.unwrap();
        pair.server.kill();
        // Not promoted yet: it takes no writes.
        service.address.lead_to(pair.copy.port());
        service.is_alone_for(Duration::ZERO).await;
        pair.copy.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        service.agrees(&pair.copy).await;
        service.is_off_for("before").await;
        let kept = service.store().settings().await.unwrap();
        assert_eq!(kept, copied, "nothing was lost, and nobody has given anything back");
    }
}

/// Its connections stay: nobody learns from them that it is not the one any more.
#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn the_server_stands_still_and_the_copy_lacks_the_last_write() {
    for program in programs() {
        let pair = Pair::start(program).await;
        let service = ServiceOverServer::over(&pair.server).await;
        service.operator().disable("switched", "before", None).await.unwrap();
        service.is_off_for("before").await;
        pair.is_copied(&service).await;
        pair.link.be_silent(true);
        service.operator().disable("switched", "after", None).await.unwrap();
        service.is_off_for("after").await;
        let lost = service.store().settings().await.unwrap();
        pair.server.signal("STOP");
        pair.copy.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        service.address.lead_to(pair.copy.port());
        service.is_alone_for(Duration::ZERO).await;
        service.agrees(&pair.copy).await;
        service.is_off_for("after").await;
        service
            .calls_until("the copy is given back what was in force", async || {
                let settings = service.store().settings().await;
                settings.is_ok_and(|settings| settings.text == lost.text && settings.version > lost.version)
            })
            .await;
        let version = lost.version + 1;
        let stale = Versioned {
            version,
            ..lost.clone()
        };
        let is_put = service.store().put_settings(lost.version, &stale).await;
        assert_eq!(is_put, Ok(false), "who goes by what was lost changes nothing");
        service.operator().enable("switched").await.unwrap();
        service.operator().disable("switched", "now", None).await.unwrap();
        service.is_off_for("now").await;
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn leases_and_epochs_that_the_copy_lacks_count_no_longer() {
    for program in programs() {
        let pair = Pair::start(program).await;
        let service = ServiceOverServer::over(&pair.server).await;
        let store = service.store();
        let first = open(&store).await;
        let copy = RedisStore::new(&pair.copy.url(), &service.name).unwrap();
        let key = format!("sandboxed:1:{{{}}}:breakers", service.name);
        service
            .calls_until("the copy has the opening", async || {
                pair.copy.ask::<u32>(&["HEXISTS", &key, TOOL]).await == 1
            })
            .await;
        pair.link.be_silent(true);
        assert_eq!(store.take_lease(&lease(first.epoch)).await, Ok(true));
        let second = store.settle(&found(first.epoch)).await.unwrap();
        assert_eq!(
            second.epoch,
            first.epoch + 1,
            "it has opened again, for who has the lease"
        );
        pair.server.signal("KILL");
        pair.copy.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        service.address.lead_to(pair.copy.port());
        service.is_alone_for(Duration::ZERO).await;
        service.agrees(&pair.copy).await;
        let settled = copy.settle(&found(first.epoch)).await;
        assert_eq!(settled, Ok(first), "there is no lease of it in the copy");
        assert_eq!(
            copy.take_lease(&lease(second.epoch)).await,
            Ok(false),
            "that opening is not known"
        );
        assert_eq!(
            copy.settle(&found(second.epoch)).await,
            Ok(first),
            "nor what it has led to"
        );
    }
}

/// Open for all, and to be tried at once.
async fn open(store: &RedisStore) -> Shared {
    let beat = Beat {
        replica: "a".to_owned(),
        says: String::new(),
    };
    store.pulse(&beat).await.unwrap();
    let trip = Trip {
        tool: TOOL.to_owned(),
        replica: "a".to_owned(),
        window: LONG,
        cooldown: Duration::ZERO,
        quorum: Quorum::Of(1),
        most: None,
    };
    let shared = store.report_trip(&trip).await.unwrap();
    // So that only the service's own replicas are live.
    store.leave("a").await.unwrap();
    shared
}

fn lease(epoch: u64) -> Lease {
    Lease {
        tool: TOOL.to_owned(),
        epoch,
        replica: "a".to_owned(),
        lasts: LONG,
    }
}

fn found(epoch: u64) -> Found {
    Found {
        tool: TOOL.to_owned(),
        epoch,
        replica: "a".to_owned(),
        open_for: Some(LONG),
    }
}
