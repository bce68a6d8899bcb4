//! A call that is cancelled by a token counts for nothing and frees everything. `dropped_anywhere.rs` shows the same of a
//! call that is dropped.

use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, Tool, execute_with_controls};
use tokio_util::sync::CancellationToken;

use crate::support::{Script, Step, timed};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .backoff_base(Duration::from_millis(100));

/// Calls a tool and cancels it after `millis` milliseconds.
async fn cancelled_after(
    breaker: &CircuitBreaker,
    script: &Script,
    millis: u64,
) -> (Result<serde_json::Value, String>, u128) {
    let token = CancellationToken::new();
    let tool = Tool::new("tool", || script.run()).cancelled_by(token.cancelled());
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        token.cancel();
        std::future::pending().await
    };
    timed(async {
        tokio::select! {
            result = execute_with_controls(POLICY, breaker, tool) => result,
            () = cancel => unreachable!("it never ends"),
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_an_attempt_under_way_and_counts_nothing() {
    let breaker = CircuitBreaker::new(5);
    breaker.record_failure();
    let script = Script::new(&[Step::Hang]);
    let (result, elapsed) = cancelled_after(&breaker, &script, 50).await;
    assert_eq!(
        result,
        Err("`tool` was cancelled. Do not call it again unless you are asked to.".into())
    );
    assert_eq!((elapsed, breaker.failure_count()), (50, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_a_delay_with_the_last_attempts_own_error() {
    let breaker = CircuitBreaker::new(5);
    let script = Script::new(&[Step::Fail]);
    let (result, elapsed) = cancelled_after(&breaker, &script, 50).await;
    assert_eq!(result, Err("attempt 1 failed".to_owned()));
    assert_eq!(
        (elapsed, breaker.failure_count()),
        (50, 0),
        "the retry that might have succeeded was the caller's to cancel"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_cancelled_before_the_call_keeps_the_tool_from_being_called() {
    let breaker = CircuitBreaker::new(5);
    let script = Script::new(&[Step::Answer]);
    let tool = Tool::new("tool", || script.run())
        .cancelled_by(std::future::ready(()))
        .on_failure(|failure| Err(failure.to_string()));
    let result = execute_with_controls(POLICY, &breaker, tool).await;
    assert_eq!(result, Err("`tool` was cancelled before it began".to_owned()));
    assert_eq!(script.attempts(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_frees_a_probes_place_at_once() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    breaker.record_failure();
    tokio::time::advance(Duration::from_secs(1)).await;
    let script = Script::new(&[Step::Hang]);
    let (result, _) = cancelled_after(&breaker, &script, 50).await;
    assert!(result.is_err(), "a hanging probe has answered: {result:?}");
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    let next = breaker.admit();
    assert!(
        next.as_ref().is_ok_and(sandbox_runtime::Permit::is_probe),
        "its place is not free: {next:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_never_cancelled_changes_nothing() {
    let breaker = CircuitBreaker::new(5);
    let token = CancellationToken::new();
    let script = Script::new(&[Step::Fail, Step::AnswerAfter(50)]);
    let tool = Tool::new("tool", || script.run()).cancelled_by(token.cancelled());
    let (result, elapsed) = timed(execute_with_controls(POLICY, &breaker, tool)).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(elapsed, 100 + 50);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_an_attempt_cancels_ends_the_call_before_a_retry_without_delay() {
    let breaker = CircuitBreaker::disabled();
    let token = CancellationToken::new();
    let attempts = std::cell::Cell::new(0);
    let tool = Tool::new("tool", || {
        attempts.set(attempts.get() + 1);
        token.cancel();
        async { Err::<(), _>(String::from("503")) }
    })
    .cancelled_by(token.cancelled());
    let policy = Policy::new().max_retries(50).backoff_base(Duration::ZERO);
    let result = execute_with_controls(policy, &breaker, tool).await;
    assert_eq!((result, attempts.get()), (Err("503".into()), 1));
}
