//! The tool's own errors are returned unchanged. Their kind decides how the call continues and what the breaker counts.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rig_core::tool::{ToolErrorKind, ToolExecutionError};
use sandbox_runtime::{BreakerState, CircuitBreaker, sandboxed};

#[sandboxed(backoff_base_ms = 0, breaker = breaker)]
async fn fail(
    error: ToolExecutionError,
    breaker: &CircuitBreaker,
    attempts: &AtomicU32,
) -> Result<(), ToolExecutionError> {
    attempts.fetch_add(1, Relaxed);
    Err(error)
}

const THRESHOLD: u32 = 10;

/// How many attempts a call makes that fails with `error` each time, and how many of them the breaker counts.
async fn counts(error: ToolExecutionError) -> (u32, u32) {
    let (breaker, attempts) = (CircuitBreaker::new(THRESHOLD), AtomicU32::new(0));
    let (kind, message) = (error.kind(), error.message().to_owned());
    let returned = fail(error, &breaker, &attempts).await.unwrap_err();
    assert_eq!((returned.kind(), returned.message()), (kind, message.as_str()));
    (attempts.into_inner(), THRESHOLD - failures_left(&breaker))
}

/// How many failures it takes to open `breaker`.
fn failures_left(breaker: &CircuitBreaker) -> u32 {
    let mut failures = 0;
    while breaker.state() == BreakerState::Closed {
        breaker.record_failure();
        failures += 1;
    }
    failures
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_caller_are_returned_at_once_and_leave_no_mark() {
    for error in [
        ToolExecutionError::invalid_args("no such unit"),
        ToolExecutionError::not_found("no such city"),
        ToolExecutionError::permission_denied("not for guests"),
        ToolExecutionError::refused("not on Sundays"),
        ToolExecutionError::cancelled("the user has left"),
    ] {
        let kind = error.kind();
        assert_eq!(counts(error).await, (1, 0), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_may_pass_are_retried() {
    use ToolErrorKind::{Network, Other, Provider, RateLimited, Timeout};

    for kind in [Network, Other, Provider, RateLimited, Timeout] {
        assert_eq!(counts(ToolExecutionError::new(kind, "busy")).await, (3, 1), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_are_not_retryable_end_the_call_as_a_failure() {
    let error = ToolExecutionError::provider("the plan has ended").with_retryable(false);
    assert_eq!(counts(error).await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_else_decides_the_status_of_a_response_does() {
    for (status, expected) in [(404, (1, 0)), (401, (1, 1)), (503, (3, 1)), (200, (3, 1))] {
        let error = ToolExecutionError::provider("see the status").with_http_status(status);
        assert_eq!(counts(error).await, expected, "{status}");
    }
    let told_otherwise = ToolExecutionError::provider("not yet")
        .with_http_status(404)
        .with_retryable(true);
    assert_eq!(counts(told_otherwise).await, (3, 1));
}
