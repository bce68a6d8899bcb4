//! `cargo bench -p sandbox-fleet`: what many replicas cost while nothing happens, and how soon all know of a trip, as Markdown tables.
//!
//! The figures of `docs/fleet.md` come from here. The replicas are members in this one process, each in a scope of its own, over one
//! server on a free port: `redis-server`, or the program that the variable `SERVER` names. A thousand of them need 2,000 open files
//! here and in the server, and the use of processors is read from `/proc`. It ends with an error if a trip is known too late.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/server/mod.rs"]
mod server;

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::store::{
    Beat, Claim, Found, Granted, Lease, Pulse, Replica, Shared, Store, StoreError, Trip, Versioned,
};
use sandbox_fleet::{Fleet, Member};
use sandbox_runtime::{BreakerState, fleet, sandboxed, testing, tool};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::server::{Server, unique};

/// Counted after all have joined, and have agreed on how many they are.
const SETTLES: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(10);
const TRIPS: usize = 9;
/// What trips are known in: at the median with messages, and always without.
const SOON: Duration = Duration::from_millis(250);
const AT_LAST: Duration = Duration::from_millis(1_500);

#[sandboxed(timeout_ms = 500, max_retries = 0, breaker(threshold = 1, cooldown_ms = 600_000))]
async fn look_up() -> Result<(), std::io::Error> {
    Err(std::io::Error::other("down"))
}

/// The one in Redis, whose messages may all be lost.
struct Line {
    store: RedisStore,
    is_deaf: bool,
}

impl Store for Line {
    async fn pulse(&self, beat: &Beat) -> Result<Pulse, StoreError> {
        self.store.pulse(beat).await
    }
    async fn time(&self) -> Result<u64, StoreError> {
        self.store.time().await
    }
    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.store.leave(replica).await
    }
    async fn report_trip(&self, trip: &Trip) -> Result<Shared, StoreError> {
        self.store.report_trip(trip).await
    }
    async fn withdraw_trip(&self, tool: &str, replica: &str) -> Result<(), StoreError> {
        self.store.withdraw_trip(tool, replica).await
    }
    async fn take_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        self.store.take_lease(lease).await
    }
    async fn settle(&self, found: &Found) -> Result<Shared, StoreError> {
        self.store.settle(found).await
    }
    async fn claim(&self, claim: &Claim) -> Result<Granted, StoreError> {
        self.store.claim(claim).await
    }
    async fn settings(&self) -> Result<Versioned, StoreError> {
        self.store.settings().await
    }
    async fn put_settings(&self, expected: u64, new: &Versioned) -> Result<bool, StoreError> {
        self.store.put_settings(expected, new).await
    }
    async fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        self.store.replicas().await
    }
    async fn subscribe(&self) -> Result<mpsc::Receiver<()>, StoreError> {
        let heard = self.store.subscribe().await?;
        if !self.is_deaf {
            return Ok(heard);
        }
        let (sender, unheard) = mpsc::channel(1);
        // As long as somebody listens: a sender that is gone would be a connection that has ended.
        tokio::spawn(async move {
            let _heard = heard;
            sender.closed().await;
        });
        Ok(unheard)
    }
}

/// Replicas that have joined. Dropped, they end.
struct Crowd {
    _tasks: JoinSet<()>,
    /// To trip so many of them.
    trip: broadcast::Sender<u32>,
    /// How many breakers are open.
    open: Arc<AtomicU32>,
}

impl Crowd {
    async fn joined(server: &Server, number: u32, is_deaf: bool) -> Crowd {
        let (service, (trip, _)) = (unique("crowd"), broadcast::channel(1));
        let (mut tasks, open, (joined, mut have_joined)) = (JoinSet::new(), Arc::default(), mpsc::channel(1));
        for replica in 0..number {
            let store = RedisStore::new(&server.url(), &service).unwrap();
            let scope = replicate(
                replica,
                Line { store, is_deaf },
                joined.clone(),
                trip.subscribe(),
                Arc::clone(&open),
            );
            tasks.spawn(testing::isolated(scope));
            // Not all at one moment, as those of a service do not, and so that their pulses are spread.
            sleep(Duration::from_millis(1_000 / u64::from(number.min(200)))).await;
        }
        for _ in 0..number {
            have_joined.recv().await.expect("all join");
        }
        sleep(SETTLES).await;
        Crowd {
            _tasks: tasks,
            trip,
            open,
        }
    }

    /// Trips as many as are needed, and returns how long it takes until all breakers are open.
    async fn trip(&self, needed: u32, all: u32) -> Duration {
        let began = Instant::now();
        self.trip.send(needed).expect("they listen");
        while self.open.load(SeqCst) < all {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{} of {all} know",
                self.open.load(SeqCst)
            );
            sleep(Duration::from_millis(1)).await;
        }
        began.elapsed()
    }
}

async fn replicate(
    number: u32,
    store: Line,
    joined: mpsc::Sender<()>,
    mut trip: broadcast::Receiver<u32>,
    open: Arc<AtomicU32>,
) {
    let (member, task) = Fleet::over(store).replica(number.to_string()).enter().await.unwrap();
    joined.send(()).await.unwrap();
    tokio::select! {
        () = task => {}
        () = obey(number, member, &mut trip, &open) => {}
    }
}

/// Trips if it is among those who are to, and tells when its breaker is open.
async fn obey(number: u32, _member: Member<Line>, trip: &mut broadcast::Receiver<u32>, open: &AtomicU32) {
    let needed = trip.recv().await.unwrap_or_default();
    if number < needed {
        let _ = look_up().await;
    }
    let breaker = tool("look_up")
        .and_then(|tool| tool.breaker())
        .expect("it is annotated");
    loop {
        let changed = fleet::changed();
        if matches!(breaker.state(), BreakerState::Open { .. }) {
            open.fetch_add(1, SeqCst);
            return std::future::pending().await;
        }
        changed.await;
    }
}

/// What the server has counted.
struct Counted {
    pulses: u64,
    commands: u64,
    bytes: u64,
    /// Of a processor, in this process and in the server.
    used: [Duration; 2],
}

impl Counted {
    async fn now(server: &Server) -> Counted {
        let told: String = server.ask(&["INFO", "everything"]).await;
        let told: HashMap<&str, &str> = told
            .lines()
            .filter_map(|line| line.trim_end().split_once(':'))
            .collect();
        let number = |name: &str| told.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let calls = |line: &str| -> Option<u64> { line.strip_prefix("calls=")?.split(',').next()?.parse().ok() };
        Counted {
            pulses: told.get("cmdstat_evalsha").and_then(|line| calls(line)).unwrap_or(0),
            commands: number("total_commands_processed"),
            bytes: number("total_net_input_bytes") + number("total_net_output_bytes"),
            used: [used("self"), used(told.get("process_id").expect("it has one"))],
        }
    }
}

/// The time for which a process has used processors, by the kernel: in hundredths of a second.
fn used(process: &str) -> Duration {
    let told = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux has it");
    // The name may have spaces in it, and nothing after it has.
    let (_, fields) = told.rsplit_once(')').expect("it has a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

async fn idle(server: &Server, number: u32) {
    let crowd = Crowd::joined(server, number, false).await;
    let (before, began) = (Counted::now(server).await, Instant::now());
    sleep(IDLE).await;
    let (after, took) = (Counted::now(server).await, began.elapsed().as_secs_f64());
    let rate = |before: u64, after: u64| f64::from(u32::try_from(after - before).unwrap()) / took;
    let share = |of: usize| 100.0 * (after.used[of] - before.used[of]).as_secs_f64() / took;
    println!(
        "| {number} | {:.0} | {:.0} | {:.0} | {:.1} % | {:.1} % |",
        rate(before.pulses, after.pulses),
        rate(before.commands, after.commands),
        rate(before.bytes, after.bytes) / 1000.0,
        share(0),
        share(1),
    );
    drop(crowd);
}

async fn trips(server: &Server, number: u32, is_deaf: bool) -> (Duration, Duration) {
    let mut took = Vec::new();
    for _ in 0..TRIPS {
        let crowd = Crowd::joined(server, number, is_deaf).await;
        took.push(crowd.trip(number.div_ceil(3), number).await);
    }
    took.sort_unstable();
    let (median, longest) = (took[TRIPS / 2], took[TRIPS - 1]);
    let messages = if is_deaf { "all lost" } else { "all heard" };
    println!("| {number} | {messages} | {median:.0?} | {longest:.0?} |");
    (median, longest)
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = std::env::var("SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let server = Server::start(program.into(), &[]).await;
    println!("{}\n", server.version());
    println!(
        "| replicas | messages to the server a second | commands that it runs | kB, both ways | replicas, of one core | server |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    for number in [50, 200, 1_000] {
        idle(&server, number).await;
    }
    println!("\n| replicas | messages of the store | all know, at the median | at most, of {TRIPS} |");
    println!("|---:|---|---:|---:|");
    let (heard, _) = trips(&server, 50, false).await;
    let (_, unheard) = trips(&server, 50, true).await;
    if heard > SOON || unheard > AT_LAST {
        eprintln!("error: a trip is known too late");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
