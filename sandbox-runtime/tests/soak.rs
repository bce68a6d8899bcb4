//! A few hundred thousand random calls on several threads, with faults, cancellations, panics, and batches of which the rest
//! is dropped at the first error, after the first result, or in between. At the end every attempt that began has ended once,
//! the breaker has lost no probe slot, and a tool that is well is reached again within a few batches.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{join_all, select_all, try_join_all};
use sandbox_runtime::{
    BreakerState, CircuitBreaker, Failure, Policy, Tool, Verdict, execute_with_controls, sandboxed, tool,
};
use tokio::task::JoinSet;

const THREADS: u64 = 4;
const CALLS: u64 = 75_000;
const PROBES: u32 = 3;

/// Zero time for an attempt and for a delay: whatever has to wait times out when it first reads the clock, so that nothing
/// here sleeps.
const POLICY: Policy = Policy::new()
    .timeout(Duration::ZERO)
    .max_retries(2)
    .backoff_base(Duration::ZERO);

/// For calls side by side, which have to wait while others are begun.
const BATCH_POLICY: Policy = POLICY.timeout(Duration::from_secs(60));

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

struct Attempt<'a>(&'a Counts);

impl<'a> Attempt<'a> {
    fn begin(counts: &'a Counts) -> Self {
        counts.begun.fetch_add(1, Ordering::Relaxed);
        Attempt(counts)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A small random generator (xorshift), one for each thread: the standard library has none.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

async fn attempt(counts: &Counts, fault: u64) -> Result<(), String> {
    let _attempt = Attempt::begin(counts);
    match fault {
        0..40 => Ok(()),
        40..60 => Err("failed".into()),
        60..70 => Err("ignored".into()),
        70..80 => panic!("soaked"),
        80..90 => std::future::pending().await,
        _ => {
            tokio::task::yield_now().await;
            Ok(())
        }
    }
}

fn verdict(result: &Result<(), String>) -> Verdict {
    match result {
        Ok(()) => Verdict::Success,
        Err(text) if text == "ignored" => Verdict::Ignore,
        Err(_) => Verdict::RETRY,
    }
}

fn failed(counts: &Counts, failure: &Failure) -> Result<(), String> {
    if failure.attempts == 0 {
        counts.refused.fetch_add(1, Ordering::Relaxed);
    }
    Err(String::new())
}

/// Ends with an error unless the call succeeds or its attempt is ignored.
#[sandboxed(policy = policy, breaker = breaker, classify = verdict, on_failure = |failure| failed(counts, &failure))]
async fn call(policy: Policy, breaker: &CircuitBreaker, counts: &Counts, faults: [u64; 3]) -> Result<(), String> {
    let number = sandbox_runtime::Attempt::current().unwrap().number() as usize;
    attempt(counts, faults[number - 1]).await
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

/// A few calls side by side, of which the rest is dropped when one has failed, when one has ended, or in between.
async fn batch(breaker: &CircuitBreaker, counts: &Counts, random: &mut Random) {
    let mut faults = || match random.below(90) {
        // Instead of one that never ends.
        80.. => 90,
        fault => fault,
    };
    let faults: Vec<_> = (0..5).map(|_| [faults(), faults(), faults()]).collect();
    let calls = faults
        .into_iter()
        .map(|faults| Box::pin(call(BATCH_POLICY, breaker, counts, faults)));
    match random.below(3) {
        0 => drop(try_join_all(calls).await),
        1 => drop(select_all(calls).await),
        _ => poll_and_drop(join_all(calls), random.below(3)).await,
    }
}

async fn calls(breaker: &CircuitBreaker, counts: &Counts, seed: u64) {
    let mut random = Random(seed | 1);
    for _ in 0..CALLS {
        let faults = [random.below(100), random.below(100), random.below(100)];
        let call = call(POLICY, breaker, counts, faults);
        match random.below(20) {
            0 | 1 => {
                counts.dropped.fetch_add(1, Ordering::Relaxed);
                poll_and_drop(call, random.below(3)).await;
            }
            2 => batch(breaker, counts, &mut random).await,
            _ => drop(call.await),
        }
        match random.below(10_000) {
            0 => breaker.force_open(),
            1..20 => breaker.reset(),
            _ => {}
        }
    }
}

fn soak(breaker: &'static CircuitBreaker) {
    let counts = Counts::default();
    let recorded_before = tool("call").unwrap().status().counters;
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let counts = &counts;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime.block_on(calls(breaker, counts, seed.wrapping_add(thread)));
            });
        }
    });
    println!("{counts:?}, {breaker:?}");
    let recorded = tool("call").unwrap().status().counters;
    let ended: u64 = recorded.ends.values().sum();
    let is_whole = recorded.active == 0 && recorded.calls == ended;
    assert!(
        is_whole,
        "calls were recorded that have not ended (seed {seed}): {recorded:?}"
    );
    let (begun, ended) = (counts.begun.into_inner(), counts.ended.into_inner());
    assert_eq!(
        recorded.attempts - recorded_before.attempts,
        begun,
        "attempts began that were not recorded, or recorded twice (seed {seed})"
    );
    assert_eq!(
        begun, ended,
        "attempts began and did not end, or ended twice (seed {seed})"
    );
    assert!(begun > CALLS / 10, "hardly any attempt was admitted (seed {seed})");
    assert!(
        counts.refused.into_inner() > 0,
        "nothing was ever refused (seed {seed})"
    );

    half_open(breaker);
    let probes: Vec<_> = (0..PROBES).map(|_| breaker.admit()).collect();
    assert!(probes.iter().all(Result::is_ok), "a probe slot is lost (seed {seed})");
    for probe in probes {
        probe.unwrap().success();
    }
    assert_eq!(breaker.state(), BreakerState::Closed, "seed {seed}");

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(reach_a_tool_that_is_well(breaker));
}

/// Straight there, with a cooldown of zero.
fn half_open(breaker: &CircuitBreaker) {
    breaker.reset();
    while !matches!(breaker.state(), BreakerState::HalfOpen) {
        breaker.record_failure();
    }
}

/// By batches that end at the first refusal, in each way that callers have of dropping the rest.
async fn reach_a_tool_that_is_well(breaker: &'static CircuitBreaker) {
    async fn well(breaker: &CircuitBreaker) -> Result<(), String> {
        let tool = Tool::new("well", || async {
            tokio::task::yield_now().await;
            Ok::<_, String>(())
        });
        execute_with_controls(BATCH_POLICY, breaker, tool).await
    }
    for calls in [1, 2, 10, 25] {
        let all = || (0..calls).map(|_| well(breaker));
        for way in ["try_join_all", "a set of tasks", "a race"] {
            half_open(breaker);
            let mut is_reached = false;
            for _ in 0..10 {
                is_reached |= match way {
                    "try_join_all" => try_join_all(all()).await.is_ok(),
                    "a race" => select_all(all().map(Box::pin)).await.0.is_ok(),
                    _ => {
                        let mut tasks: JoinSet<_> = all().collect();
                        let mut is_whole = true;
                        while let Some(ended) = tasks.join_next().await {
                            if ended.is_ok_and(|result| result.is_err()) {
                                is_whole = false;
                                tasks.abort_all();
                            }
                        }
                        is_whole
                    }
                };
            }
            assert!(is_reached, "{calls} calls by {way} were refused ten times: {breaker:?}");
        }
    }
}

#[test]
fn nothing_is_lost_and_nothing_wedges() {
    // Hides the messages of tens of thousands of expected panics.
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("soaked") {
            eprintln!("{info}");
        }
    }));
    soak(&IN_A_ROW);
    soak(&WINDOWED);
}

static IN_A_ROW: CircuitBreaker = CircuitBreaker::new(3).cooldown(Duration::ZERO).probes(PROBES);
static WINDOWED: CircuitBreaker = CircuitBreaker::windowed(10, 0.5)
    .cooldown(Duration::ZERO)
    .probes(PROBES);
