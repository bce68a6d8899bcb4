//! Delays are spread within their bounds, independently for each call, and repeatably with a seed.

use std::collections::HashSet;
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Jitter, Policy, execute_with_controls};

use crate::support::{Script, Step, timed};

const POLICY: Policy = Policy::new()
    .max_retries(3)
    .backoff_base(Duration::from_secs(10))
    .backoff_max(Duration::from_secs(30));

/// How long a call with three delays takes.
async fn call(policy: Policy) -> u128 {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Fail]);
    timed(execute_with_controls(policy, &breaker, || script.run())).await.1
}

#[tokio::test(start_paused = true)]
async fn without_jitter_the_delays_are_the_backoff_up_to_its_maximum() {
    assert_eq!(call(POLICY).await, 10_000 + 20_000 + 30_000);
}

#[tokio::test(start_paused = true)]
async fn jitter_stays_within_its_bounds() {
    for _ in 0..100 {
        assert!(
            call(POLICY.jitter(Jitter::Full)).await <= 60_003,
            "more than the plain delays"
        );
        let equal = call(POLICY.jitter(Jitter::Equal)).await;
        // A timer ends on a whole millisecond at or after its time: up to one more for each delay.
        assert!(
            (30_000..=60_003).contains(&equal),
            "{equal} is outside half the plain delays and them"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn calls_draw_their_delays_independently() {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        seen.insert(call(POLICY.jitter(Jitter::Full)).await);
    }
    assert!(seen.len() > 15, "20 calls in step: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_seed_makes_them_repeatable() {
    let policy = POLICY.jitter(Jitter::Full).jitter_seed(42);
    assert_eq!(call(policy).await, call(policy).await);
    assert_ne!(call(policy).await, call(policy.jitter_seed(43)).await);
}
