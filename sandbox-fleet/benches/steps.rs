//! `cargo bench -p sandbox-fleet --bench steps`: what the steps of a store take of a server, as a Markdown table.
//!
//! The figures of `docs/fleet.md` come from here. The server is on a free port: `redis-server`, or the program that the variable `SERVER`
//! names. What it has sent and received, and the time that its process has used, are what it says of itself.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/server/mod.rs"]
mod server;

use std::time::Duration;

use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::store::{Beat, Claim, Lease, Quorum, Store as _, Trip, Versioned};

use self::server::{Server, unique};

const TIMES: u64 = 500;
const BREAKERS: usize = 50;
const LONG: Duration = Duration::from_secs(600);

/// What the server has counted.
#[derive(Clone, Copy, Default)]
struct Counted {
    received: u64,
    sent: u64,
    micros: u64,
}

impl Counted {
    async fn now(server: &Server) -> Counted {
        let told: String = server.ask(&["INFO", "everything"]).await;
        let value = |name: &str| {
            let mut lines = told.lines();
            let value = lines.find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
            value.expect("every server tells it").to_owned()
        };
        let number = |name: &str| value(name).parse().expect("it is a number");
        // In seconds, with six digits after the point.
        let micros = |name: &str| value(name).replace('.', "").parse::<u64>().expect("it is a number");
        Counted {
            received: number("total_net_input_bytes"),
            sent: number("total_net_output_bytes"),
            micros: micros("used_cpu_user") + micros("used_cpu_sys"),
        }
    }

    fn since(self, before: Counted) -> Counted {
        Counted {
            received: self.received.saturating_sub(before.received),
            sent: self.sent.saturating_sub(before.sent),
            micros: self.micros.saturating_sub(before.micros),
        }
    }
}

/// What is counted while something happens, without what it takes to ask.
async fn counted(server: &Server, act: impl AsyncFnOnce()) -> Counted {
    let first = Counted::now(server).await;
    let before = Counted::now(server).await;
    act().await;
    let after = Counted::now(server).await;
    after.since(before).since(before.since(first))
}

fn row(step: &str, when: &str, counted: Counted) {
    let each = |all: u64| (all + TIMES / 2) / TIMES;
    println!(
        "| {step} | {when} | {} | {} | {} |",
        each(counted.received),
        each(counted.sent),
        each(counted.micros)
    );
}

fn path(number: usize) -> String {
    format!("shop::warehouse::shelves::look_up_n_{number:02}")
}

fn trip(tool: String, quorum: u32, most: Option<u32>) -> Trip {
    Trip {
        tool,
        replica: "0123456789abcdef".to_owned(),
        window: LONG,
        cooldown: Duration::ZERO,
        quorum: Quorum::Of(quorum),
        most,
    }
}

#[tokio::main]
async fn main() {
    let program = std::env::var("SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let server = Server::start(program.into(), &[]).await;
    let service = unique("steps");
    let store = RedisStore::new(&server.url(), &service).unwrap();
    let beat = Beat {
        replica: "0123456789abcdef".to_owned(),
        says: "{\"settings\":1,\"unknown\":[]}".to_owned(),
    };
    store.pulse(&beat).await.unwrap();
    for number in 0..BREAKERS {
        store.report_trip(&trip(path(number), 1, None)).await.unwrap();
    }
    let settings = Versioned {
        version: 1,
        text: "{}".to_owned(),
    };
    store.put_settings(0, &settings).await.unwrap();
    // All scripts are known to the server, and what is known of breakers is known here.
    let lease = Lease {
        tool: path(0),
        epoch: 1,
        replica: beat.replica.clone(),
        lasts: LONG,
    };
    assert!(store.take_lease(&lease).await.unwrap(), "it is open and due");
    let mut claim = Claim {
        tool: path(1),
        replica: beat.replica.clone(),
        turn: 1,
        calls: 100,
        per: Duration::from_secs(1),
        share: 0,
        used: 0,
        wanted: 5,
        stays: true,
    };
    store.claim(&claim).await.unwrap();
    store.pulse(&beat).await.unwrap();

    println!("{}, with {BREAKERS} breakers\n", server.version());
    println!("| step | when | bytes sent | bytes received | the server's processor, µs |");
    println!("|---|---|--:|--:|--:|");
    let quiet = counted(&server, async || {
        for _ in 0..TIMES {
            store.pulse(&beat).await.unwrap();
        }
    });
    row(
        "pulse, nothing has changed",
        "each second, of each replica",
        quiet.await,
    );

    let breakers = format!("sandboxed:1:{{{service}}}:breakers");
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let change = async |number: u64| {
        let mut change = redis::cmd("HSET");
        change.arg(&breakers).arg("").arg(format!("1.{number:04}"));
        let mut connection = connection.clone();
        change.query_async::<()>(&mut connection).await.unwrap();
    };
    change(9_999).await;
    let changes = counted(&server, async || {
        for number in 0..TIMES {
            change(number).await;
        }
    });
    let changes = changes.await;
    let all = counted(&server, async || {
        for number in 0..TIMES {
            change(TIMES + number).await;
            store.pulse(&beat).await.unwrap();
        }
    });
    row(
        "pulse, with all breakers",
        "after a change of one",
        all.await.since(changes),
    );

    for (step, when, most) in [
        ("report of a trip", "once for each trip of a replica", None),
        (
            "report of a key",
            "the same, and each 15 s while it is open here alone",
            Some(1_000),
        ),
    ] {
        let tool = if most.is_some() {
            "hosts[down.example.org]".to_owned()
        } else {
            path(99)
        };
        let report = counted(&server, async || {
            for _ in 0..TIMES {
                store.report_trip(&trip(tool.clone(), 9, most)).await.unwrap();
            }
        });
        row(step, when, report.await);
    }
    let leases = counted(&server, async || {
        for _ in 0..TIMES {
            store.take_lease(&lease).await.unwrap();
        }
    });
    row(
        "lease",
        "once a probe, and again while another one has it",
        leases.await,
    );
    let claims = counted(&server, async || {
        for turn in 0..TIMES {
            claim.turn = 2 + turn;
            store.claim(&claim).await.unwrap();
        }
    });
    row(
        "share of a rate",
        "each second, and each 100 ms while calls are held back",
        claims.await,
    );
    let reads = counted(&server, async || {
        for _ in 0..TIMES {
            store.settings().await.unwrap();
        }
    });
    row("settings", "after a change", reads.await);
}
