//! A deadline limits the whole call: it interrupts a running attempt, and a delay that it would interrupt is not begun.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Policy, SandboxError, Tool, execute_with_controls};

use crate::support::{Script, Step, timed};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .max_retries(10)
    .backoff_base(Duration::from_millis(100));

async fn call(policy: Policy, steps: &[Step]) -> (Result<u32, SandboxError>, u128, u32) {
    let breaker = CircuitBreaker::new(100);
    let script = Script::new(steps);
    let (result, elapsed) = timed(execute_with_controls(policy, &breaker, || script.run())).await;
    (result.map(|result| result.attempts), elapsed, breaker.failure_count())
}

#[tokio::test(start_paused = true)]
async fn a_running_attempt_is_cut_at_the_deadline() {
    let policy = POLICY.deadline(Duration::from_millis(1_500));
    let (result, elapsed, failures) = call(policy, &[Step::Hang]).await;
    let expected = SandboxError::DeadlineExceeded {
        elapsed_ms: 1_500,
        limit_ms: 1_500,
    };
    assert_eq!(result, Err(expected));
    assert_eq!(
        elapsed, 1_500,
        "a timeout at 1000, a delay of 100, and 400 of the second attempt"
    );
    assert_eq!(failures, 2, "an attempt that was cut has failed");
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_would_end_past_the_deadline_is_not_begun() {
    let policy = POLICY.deadline(Duration::from_millis(1_001));
    let (result, elapsed, failures) = call(policy, &[Step::Fail]).await;
    assert_eq!(result, Ok(4), "delays of 100, 200 and 400 fit; the one of 800 does not");
    assert_eq!((elapsed, failures), (700, 4));
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_would_end_just_at_the_deadline_leaves_no_time_and_is_not_begun() {
    let policy = POLICY
        .timeout(Duration::from_millis(100))
        .deadline(Duration::from_millis(300));
    assert_eq!(call(policy, &[Step::Fail]).await.0, Ok(2));
    let policy = policy.deadline(Duration::from_millis(301));
    assert_eq!(call(policy, &[Step::Fail]).await.0, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_without_time_for_another_attempt_is_a_timeout() {
    let policy = POLICY.deadline(Duration::from_millis(1_050));
    let (result, elapsed, _) = call(policy, &[Step::Hang]).await;
    assert!(result.unwrap_err().is_timeout(), "the attempt had its whole limit");
    assert_eq!(elapsed, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_answers_in_time_is_not_affected() {
    let policy = POLICY.deadline(Duration::from_millis(1_500));
    let (result, elapsed, _) = call(policy, &[Step::FailAfter(500), Step::AnswerAfter(800)]).await;
    assert_eq!(result, Ok(2));
    assert_eq!(elapsed, 500 + 100 + 800);
}

#[tokio::test(start_paused = true)]
async fn endless_retries_without_a_delay_end_at_the_deadline() {
    let policy = POLICY
        .max_retries(u32::MAX)
        .backoff_base(Duration::ZERO)
        .deadline(Duration::from_millis(2_000));
    let (result, elapsed, _) = call(policy, &[Step::FailAfter(150)]).await;
    let error = result.unwrap_err();
    assert!(error.is_deadline_exceeded(), "ended by something else: {error}");
    assert_eq!(elapsed, 2_000);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_would_be_cut_at_once_is_not_begun() {
    let breaker = CircuitBreaker::new(5);
    let attempts = std::cell::Cell::new(0);
    let tool = Tool::new("late", || {
        attempts.set(attempts.get() + 1);
        async { Err::<(), _>(String::from("503")) }
    });
    let policy = Policy::new()
        .timeout(Duration::from_millis(40))
        .deadline(Duration::from_millis(100))
        .backoff_base(Duration::from_millis(90));
    let mut call = std::pin::pin!(execute_with_controls(policy, &breaker, tool));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "in its delay");
    // The executor comes back late.
    tokio::time::advance(Duration::from_millis(150)).await;
    assert_eq!(call.await, Err("503".into()));
    assert_eq!((attempts.get(), breaker.failure_count()), (1, 1));
}
