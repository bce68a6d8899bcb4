//! A failure becomes rig's error with its kind, whether another call may help, a code, a line for the log, the text for the
//! model, and all data as the source.

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rig_core::tool::ToolErrorKind::{self, Cancelled, Other, Provider, Timeout};
use rig_core::tool::{ToolExecutionError, ToolOutput};
use sandbox_runtime::{Budget, CircuitBreaker, Failure, FailureKind, sandboxed};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

type Answer = Result<String, ToolExecutionError>;

/// What rig reads of `answer`: kind, whether another call may help, code, message, feedback for the model.
fn read(answer: &Answer) -> (ToolErrorKind, Option<bool>, &str, &str, &str) {
    let error = answer.as_ref().unwrap_err();
    let (code, feedback) = (error.code().unwrap(), error.model_feedback().unwrap());
    (error.kind(), error.retryable(), code, error.message(), feedback)
}

fn failure(answer: &Answer) -> &Failure {
    answer.as_ref().unwrap_err().downcast_ref().unwrap()
}

#[sandboxed(timeout_ms = 2_000, max_retries = 1, backoff_base_ms = 500)]
async fn search() -> Answer {
    pending().await
}

#[sandboxed(timeout_ms = 2_000, idempotent = false)]
async fn send() -> Answer {
    pending().await
}

#[sandboxed(timeout_ms = 2_000, backoff_base_ms = 500, deadline_ms = 3_000)]
async fn hurry() -> Answer {
    pending().await
}

static DOWN: CircuitBreaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(27));

#[sandboxed(breaker = &DOWN)]
async fn down() -> Answer {
    unreachable!("its breaker is open")
}

#[sandboxed]
async fn crash() -> Answer {
    panic!("bad index")
}

#[sandboxed(cancel = token)]
async fn stop(token: &CancellationToken) -> Answer {
    token.cancel();
    pending().await
}

async fn fail_or_hang(error: ToolExecutionError, attempts: &AtomicU32) -> Answer {
    match attempts.fetch_add(1, Relaxed) {
        0 => Err(error),
        _ => pending().await,
    }
}

#[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = off)]
async fn fail_and_hang(error: ToolExecutionError, attempts: &AtomicU32) -> Answer {
    fail_or_hang(error, attempts).await
}

#[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = off, on_failure = |failure| Err(failure.into()))]
async fn fail_and_hang_by_hand(error: ToolExecutionError, attempts: &AtomicU32) -> Answer {
    fail_or_hang(error, attempts).await
}

#[tokio::test(start_paused = true)]
async fn timeouts() {
    let answer = search().await;
    let expected = (
        Timeout,
        Some(true),
        "timeout",
        "`search` timed out after 2000 ms, in the last of 2 attempts",
        "`search` timed out after 2 s, in the last of 2 attempts. Calling it again does no harm, but the same request is unlikely to \
         be answered: ask for less, or go on without it.",
    );
    assert_eq!(read(&answer), expected);
    let Failure { kind, elapsed_ms, .. } = failure(&answer);
    assert_eq!((*kind, *elapsed_ms), (FailureKind::Timeout, 4_500));
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_tools_that_are_not_idempotent() {
    let answer = send().await;
    let expected = (
        Timeout,
        Some(false),
        "timeout",
        "`send` timed out after 2000 ms",
        "`send` timed out after 2 s. It may have taken effect: check before you call it again.",
    );
    assert_eq!(read(&answer), expected);
    assert!(failure(&answer).may_have_executed);
}

#[tokio::test(start_paused = true)]
async fn deadlines() {
    let answer = hurry().await;
    let expected = (
        Timeout,
        Some(true),
        "deadline_exceeded",
        "`hurry` ran out of time in attempt 2: 3000 ms for the whole call",
        "`hurry` did not finish in the 3 s that it had. Ask for less, or go on without it.",
    );
    assert_eq!(read(&answer), expected);
    assert_eq!(failure(&answer).kind, FailureKind::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    DOWN.record_failure();
    let answer = down().await;
    let expected = (
        Provider,
        Some(false),
        "circuit_breaker_open",
        "`down` was not called: its circuit breaker is open after 1 failure; try again in 27000 ms",
        "`down` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again \
         for 27 s; go on without it.",
    );
    assert_eq!(read(&answer), expected);
    assert_eq!(failure(&answer).retry_after_ms, Some(27_000));
}

#[tokio::test]
async fn panics() {
    let answer = crash().await;
    let expected = (
        Other,
        Some(false),
        "panicked",
        "`crash` panicked: bad index",
        "`crash` crashed. The same call is likely to crash again: change it, or go on without it.",
    );
    assert_eq!(read(&answer), expected);
    assert_eq!(failure(&answer).kind, FailureKind::Panicked);
}

#[tokio::test(start_paused = true)]
async fn cancellations() {
    let answer = stop(&CancellationToken::new()).await;
    let expected = (
        Cancelled,
        Some(false),
        "cancelled",
        "`stop` was cancelled in attempt 1",
        "`stop` was cancelled. Do not call it again unless you are asked to.",
    );
    assert_eq!(read(&answer), expected);
    assert_eq!(failure(&answer).kind, FailureKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn of_the_attempt_before_what_was_meant_for_models() {
    let earlier = async |error: ToolExecutionError| {
        let answer = fail_and_hang(error.clone(), &AtomicU32::new(0)).await;
        let by_hand = fail_and_hang_by_hand(error, &AtomicU32::new(0)).await;
        assert_eq!(failure(&answer).last_error, failure(&by_hand).last_error);
        failure(&answer).last_error.clone()
    };
    let error = ToolExecutionError::provider("503 busy");
    assert_eq!(earlier(error).await.as_deref(), Some("503 busy"));
    let secret = ToolExecutionError::from_error(std::io::Error::other("wrong password for admin@db.internal"));
    assert_eq!(earlier(secret).await.as_deref(), Some("the tool failed"));
    let structured = ToolExecutionError::provider("admin@db.internal").with_model_output(ToolOutput::json(Value::Null));
    assert_eq!(earlier(structured).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_over() {
    let answer = Budget::new().deadline(Duration::ZERO).scope(search()).await;
    let expected = (
        Timeout,
        Some(false),
        "deadline_exceeded",
        "`search` was not called: no time was left",
        "`search` was not called: there is no time left. No tool will be called any more in this run. Finish with what you have.",
    );
    assert_eq!(read(&answer), expected);
}
