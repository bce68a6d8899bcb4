//! Delays are spread within their bounds, independently for each call, and repeatably with a seed.

use std::cell::RefCell;
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Jitter, Policy, execute_with_controls};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::NUMBERS_OF_SEED_0;

const POLICY: Policy = Policy::new()
    .max_retries(3)
    .backoff_base(Duration::from_secs(10))
    .backoff_max(Duration::from_secs(30));

/// The delays without jitter, in nanoseconds.
const PLAIN: [u64; 3] = [10_000_000_000, 20_000_000_000, 30_000_000_000];

/// The delays of a call whose attempts all fail.
async fn delays(policy: Policy) -> [Duration; 3] {
    let breaker = CircuitBreaker::new(10);
    let attempts = RefCell::new(Vec::new());
    let call = execute_with_controls(policy, &breaker, || {
        attempts.borrow_mut().push(Instant::now());
        async { Err::<Value, _>(String::from("503")) }
    });
    let _ = call.await;
    match attempts.into_inner()[..] {
        [first, second, third, fourth] => [second - first, third - second, fourth - third],
        ref attempts => panic!("{} attempts instead of one and three retries", attempts.len()),
    }
}

/// The plain delays, each spread by the number that seed 0 yields for it. A timer ends on the first whole millisecond that
/// is not before its time.
fn spread(spread: fn(delay: u64, number: u64) -> u64) -> [Duration; 3] {
    let millis = |retry: usize| spread(PLAIN[retry], NUMBERS_OF_SEED_0[retry]).div_ceil(1_000_000);
    [0, 1, 2].map(|retry| Duration::from_millis(millis(retry)))
}

#[tokio::test(start_paused = true)]
async fn without_jitter_the_delays_are_the_backoff_up_to_its_maximum() {
    assert_eq!(delays(POLICY).await, spread(|delay, _| delay));
    assert_eq!(
        delays(POLICY.jitter_seed(0)).await,
        spread(|delay, _| delay),
        "a seed alone spreads them"
    );
}

#[tokio::test(start_paused = true)]
async fn full_jitter_spreads_them_from_nothing_to_the_delay() {
    let expected = spread(|delay, number| number % (delay + 1));
    let policy = POLICY.jitter(Jitter::Full).jitter_seed(0);
    assert_eq!(delays(policy).await, expected, "the numbers of seed 0 are others");
    assert_eq!(delays(policy).await, expected, "a second call does not repeat them");
}

#[tokio::test(start_paused = true)]
async fn equal_jitter_spreads_them_from_half_the_delay_to_the_delay() {
    let expected = spread(|delay, number| delay / 2 + number % (delay / 2 + 1));
    let policy = POLICY.jitter(Jitter::Equal).jitter_seed(0);
    assert_eq!(delays(policy).await, expected, "the numbers of seed 0 are others");
    assert_eq!(delays(policy).await, expected, "a second call does not repeat them");
}

#[tokio::test(start_paused = true)]
async fn another_seed_spreads_them_otherwise() {
    let policy = POLICY.jitter(Jitter::Full);
    let (first, second) = (delays(policy.jitter_seed(0)).await, delays(policy.jitter_seed(1)).await);
    assert!(
        first.iter().zip(second).all(|(first, second)| *first != second),
        "delays of two seeds coincide: {first:?}, {second:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_seed_each_call_draws_its_own() {
    // The range has so many milliseconds that two draws agree once in 10^11 times, and three pairs of draws never.
    const YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);
    let policy = POLICY.jitter(Jitter::Full).backoff_base(YEARS).backoff_max(YEARS);
    let (first, second) = (delays(policy).await, delays(policy).await);
    assert_ne!(first, second, "two calls wait in step");
}
