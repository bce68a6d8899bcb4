//! A tool that is not idempotent is never run again after an attempt whose effect is unknown.

use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Policy, execute_with_controls};

use crate::support::{Script, Step, timed};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .backoff_base(Duration::from_millis(100))
    .idempotent(false);

#[tokio::test(start_paused = true)]
async fn a_timeout_is_not_retried() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Hang, Step::Answer]);
    let (result, elapsed) = timed(execute_with_controls(POLICY, &breaker, || script.run())).await;
    let error = result.unwrap_err();
    assert!(error.is_timeout(), "ended by something else: {error}");
    assert_eq!((script.attempts(), elapsed), (1, 1_000));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_the_tool_returned_is_retried() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Fail, Step::Answer]);
    let result = execute_with_controls(POLICY, &breaker, || script.run()).await;
    assert_eq!(result.unwrap().attempts, 2, "the tool itself reported that it failed");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_not_retried() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Panic, Step::Answer]);
    let result = execute_with_controls(POLICY, &breaker, || script.run()).await;
    let error = result.unwrap_err();
    assert!(error.is_panic(), "ended by something else: {error}");
    assert_eq!(script.attempts(), 1);
}
