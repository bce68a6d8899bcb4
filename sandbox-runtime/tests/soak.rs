//! A few hundred thousand random calls on several threads, with faults, cancellations and panics. At the end every attempt
//! that began has ended once, the breaker has lost no probe slot, and it still admits.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, Tool, Verdict, execute_with_controls};

const THREADS: u64 = 4;
const CALLS: u64 = 75_000;
const PROBES: u32 = 3;

/// Zero time for an attempt and for a delay: whatever has to wait times out when it first reads the clock, so that nothing
/// here sleeps.
const POLICY: Policy = Policy::new()
    .timeout(Duration::ZERO)
    .max_retries(2)
    .backoff_base(Duration::ZERO);

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

async fn calls(breaker: &CircuitBreaker, counts: &Counts, seed: u64) {
    let mut random = Random(seed | 1);
    for _ in 0..CALLS {
        let faults = [random.below(100), random.below(100), random.below(100)];
        let mut next = faults.into_iter();
        let tool = Tool::new("soaked", || attempt(counts, next.next().unwrap_or(0)))
            .classify(|result| match result {
                Ok(()) => Verdict::Success,
                Err(text) if text == "ignored" => Verdict::Ignore,
                Err(_) => Verdict::RETRY,
            })
            .on_failure(|failure| {
                if failure.attempts == 0 {
                    counts.refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(String::new())
            });
        let call = execute_with_controls(POLICY, breaker, tool);
        if random.below(10) == 0 {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            let mut call = pin!(call);
            for _ in 0..random.below(3) {
                if poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_ready() {
                    break;
                }
            }
        } else {
            let _ = call.await;
        }
        match random.below(10_000) {
            0 => breaker.force_open(),
            1..20 => breaker.reset(),
            _ => {}
        }
    }
}

fn soak(breaker: &CircuitBreaker) {
    let counts = Counts::default();
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
    let (begun, ended) = (counts.begun.into_inner(), counts.ended.into_inner());
    assert_eq!(
        begun, ended,
        "attempts began and did not end, or ended twice (seed {seed})"
    );
    assert!(begun > CALLS / 10, "hardly any attempt was admitted (seed {seed})");
    assert!(
        counts.refused.into_inner() > 0,
        "nothing was ever refused (seed {seed})"
    );

    // Straight to half-open, with a cooldown of zero: every probe slot must be free.
    breaker.reset();
    while !matches!(breaker.state(), BreakerState::HalfOpen) {
        breaker.record_failure();
    }
    let probes: Vec<_> = (0..PROBES).map(|_| breaker.admit()).collect();
    assert!(probes.iter().all(Result::is_ok), "a probe slot is lost (seed {seed})");
    for probe in probes {
        probe.unwrap().success();
    }
    assert_eq!(breaker.state(), BreakerState::Closed, "seed {seed}");
}

#[test]
fn nothing_is_lost_and_nothing_wedges() {
    // Hides the messages of tens of thousands of expected panics.
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("soaked") {
            eprintln!("{info}");
        }
    }));
    soak(&CircuitBreaker::new(3).cooldown(Duration::ZERO).probes(PROBES));
    soak(
        &CircuitBreaker::windowed(10, 0.5)
            .cooldown(Duration::ZERO)
            .probes(PROBES),
    );
}
