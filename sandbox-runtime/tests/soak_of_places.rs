//! A few hundred thousand calls on several threads, among three places, that succeed, fail, panic, hang, wait, call themselves and
//! are dropped, while an operator changes the number of places: never do more of them run than there are places, and in the end none
//! is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{Future, pending, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;

use futures_util::future::{join_all, select_all, try_join_all};
use sandbox_runtime::{Overrides, sandboxed};

const THREADS: u64 = 4;
const CALLS: u64 = 50_000;
const PLACES: u32 = 3;

static RUNNING: AtomicU32 = AtomicU32::new(0);
static MOST: AtomicU32 = AtomicU32::new(0);
static RUNS: AtomicU64 = AtomicU64::new(0);

/// A run of the tool, until it is dropped.
struct Run;

impl Run {
    fn begin() -> Run {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(running, Ordering::SeqCst);
        Run
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A small random generator (xorshift): the standard library has none.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Whatever has to wait times out when it first reads the clock; who has to wait for a place waits for as long as it takes.
#[sandboxed(
    max_concurrent = 3, queue_ms = 60_000, timeout_ms = 60_000, max_retries = 1, backoff_base_ms = 0, idempotent = true, breaker = off,
)]
async fn among_three(fate: u64) -> Result<(), String> {
    let run = Run::begin();
    match fate {
        0..50 => Ok(()),
        50..60 => Err("soaked".into()),
        60..65 => panic!("soaked"),
        65..70 => {
            // Within the call, in its place, so that it is one run with it.
            drop(run);
            Box::pin(among_three(80)).await
        }
        70..75 => pending().await,
        _ => {
            tokio::task::yield_now().await;
            Ok(())
        }
    }
}

/// Polls `future` a few times at most, then drops it.
async fn poll_and_drop(future: impl Future, polls: u64) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await.is_ready() {
            break;
        }
    }
}

async fn calls(seed: u64) {
    let mut random = Random(seed | 1);
    for _ in 0..CALLS / 5 {
        let polls = random.below(4);
        // One that hangs is among those that are dropped only.
        let fates = match random.below(4) {
            0 => 100,
            _ => 70,
        };
        let calls: Vec<_> = (0..5).map(|_| Box::pin(among_three(random.below(fates)))).collect();
        match random.below(4) {
            _ if fates == 100 => poll_and_drop(join_all(calls), polls).await,
            0 => drop(try_join_all(calls).await),
            1 => drop(select_all(calls).await),
            2 => poll_and_drop(join_all(calls), polls).await,
            _ => drop(join_all(calls).await),
        }
    }
}

/// Gives the tool fewer places, or another time limit, and takes that back, until the calls are over.
fn operate(is_over: &AtomicBool, seed: u64) {
    let mut random = Random(seed | 1);
    while !is_over.load(Ordering::Relaxed) {
        let settings = match random.below(4) {
            0 => r#"{ "timeout_ms": 50000 }"#.to_owned(),
            places => format!(r#"{{ "max_concurrent": {places} }}"#),
        };
        let overrides = format!(r#"{{ "version": 1, "tool": {{ "among_three": {settings} }} }}"#);
        serde_json::from_str::<Overrides>(&overrides).unwrap().apply().unwrap();
        if random.below(3) == 0 {
            Overrides::clear();
        }
        std::thread::yield_now();
    }
    Overrides::clear();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

#[test]
fn never_more_than_there_are_places_and_none_is_lost() {
    // Hides the messages of thousands of expected panics.
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("soaked") {
            eprintln!("{info}");
        }
    }));
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| operate(&is_over, !seed));
        let callers: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || runtime().block_on(calls(seed.wrapping_add(thread)))))
            .collect();
        let results: Vec<_> = callers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        operator.join().unwrap();
        assert!(
            results.iter().all(Result::is_ok),
            "a thread of calls panicked (seed {seed})"
        );
    });
    assert_eq!(RUNNING.load(Ordering::SeqCst), 0, "something runs on (seed {seed})");
    assert!(RUNS.load(Ordering::SeqCst) > CALLS, "hardly anything ran (seed {seed})");
    assert_eq!(
        MOST.load(Ordering::SeqCst),
        PLACES,
        "the most that ran at a time, of three places (seed {seed})"
    );
    runtime().block_on(every_place_is_free(seed));
}

/// So many calls as there are places run at a time.
async fn every_place_is_free(seed: u64) {
    let mut calls: Vec<_> = (0..PLACES).map(|_| Box::pin(among_three(70))).collect();
    for call in &mut calls {
        poll_and_drop(call.as_mut(), 1).await;
    }
    assert_eq!(RUNNING.load(Ordering::SeqCst), PLACES, "a place is lost (seed {seed})");
    let mut another = pin!(among_three(0));
    poll_and_drop(another.as_mut(), 1).await;
    assert_eq!(RUNNING.load(Ordering::SeqCst), PLACES, "a place too many (seed {seed})");
    drop(calls);
    assert!(
        another.await.is_ok(),
        "who waited has the place of one that was dropped (seed {seed})"
    );
}
