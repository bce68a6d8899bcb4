//! Dropping a call counts for nothing and frees everything, wherever it was.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, execute_with_controls};

use crate::support::{Script, Step};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .backoff_base(Duration::from_millis(100));

/// Polls a call of `step` so many times, then drops it. Whether it was still under way.
fn poll_and_drop(breaker: &CircuitBreaker, step: Step, polls: usize) -> bool {
    let script = Script::new(&[step]);
    let mut call = pin!(execute_with_controls(&POLICY, breaker, || script.run()));
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).all(|_| matches!(call.as_mut().poll(&mut context), Poll::Pending))
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_while_its_tool_runs_moves_no_count() {
    for polls in 0..3 {
        let breaker = CircuitBreaker::new(2);
        breaker.record_failure();
        assert!(poll_and_drop(&breaker, Step::Hang, polls));
        assert_eq!(
            (breaker.failure_count(), breaker.state()),
            (1, BreakerState::Closed),
            "after {polls} polls"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_in_its_backoff_keeps_what_was_counted() {
    for polls in 1..4 {
        let breaker = CircuitBreaker::new(5);
        assert!(poll_and_drop(&breaker, Step::Fail, polls));
        assert_eq!(
            breaker.failure_count(),
            1,
            "after {polls} polls: one attempt was made and failed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_frees_its_place_at_once() {
    for polls in 0..3 {
        let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
        breaker.record_failure();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(poll_and_drop(&breaker, Step::Hang, polls));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let next = breaker.admit();
        assert!(next.is_ok_and(|permit| permit.is_probe()), "after {polls} polls");
    }
}
