//! The text for the model about a failure: what happened, whether it may have taken effect, and what to do now.

use std::future::pending;
use std::time::Duration;

use sandbox_runtime::{Budget, CircuitBreaker, Policy, Tool, execute_with_controls};

const POLICY_LIMIT: Duration = Duration::from_millis(1_500);
const POLICY: Policy = Policy::new()
    .timeout(POLICY_LIMIT)
    .max_retries(2)
    .backoff_base(Duration::from_millis(100));

/// The text with which a call of this tool ends.
async fn text<A>(policy: Policy, breaker: &CircuitBreaker, attempt: impl Fn() -> A) -> String
where
    A: Future<Output = Result<(), String>>,
{
    execute_with_controls(policy, breaker, Tool::new("search", attempt))
        .await
        .expect_err("the call ends with a text")
}

#[tokio::test(start_paused = true)]
async fn timeouts() {
    assert_eq!(
        text(POLICY, &CircuitBreaker::new(5), pending).await,
        "`search` timed out after 1.5 s, in the last of 3 attempts. Calling it again does no harm, but the same request is unlikely to \
         be answered: ask for less, or go on without it."
    );
    assert_eq!(
        text(POLICY.idempotent(false), &CircuitBreaker::new(5), pending).await,
        "`search` timed out after 1.5 s. It may have taken effect: check before you call it again."
    );
}

/// Only the failure that opens the breaker knows, and only if it is still open.
#[tokio::test(start_paused = true)]
async fn the_failure_that_opens_the_breaker() {
    let breaker = CircuitBreaker::new(3);
    assert_eq!(
        text(POLICY, &breaker, pending).await,
        "`search` timed out after 1.5 s, in the last of 3 attempts. It is switched off for 30 s now: go on without it."
    );
    let run = Budget::new().deadline(Duration::ZERO);
    assert_eq!(
        run.scope(text(POLICY, &breaker, pending)).await,
        "`search` was not called: there is no time left. No tool will be called any more in this run. Finish with what you have.",
        "no attempt was made, so nothing is known of the tool"
    );
    let breaker = CircuitBreaker::new(3);
    let tool = Tool::new("search", || {
        breaker.force_open();
        pending::<Result<(), String>>()
    });
    let cancelled = execute_with_controls(
        POLICY,
        &breaker,
        tool.cancelled_by(tokio::time::sleep(POLICY_LIMIT / 2)),
    );
    assert_eq!(
        cancelled.await.unwrap_err(),
        "`search` was cancelled. Do not call it again unless you are asked to.",
        "that is all that counts"
    );
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_millis(26_001));
    breaker.record_failure();
    assert_eq!(
        text(POLICY, &breaker, pending).await,
        "`search` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again \
         for 27 s; go on without it.",
        "whole seconds, not too few"
    );
    tokio::time::advance(Duration::from_millis(26_001)).await;
    let probe = breaker.admit().expect("the cooldown is over");
    assert_eq!(
        text(POLICY, &breaker, pending).await,
        "`search` was not called: it has failed before, and is being tried now by another call. Try again shortly."
    );
    drop(probe);
    breaker.force_open();
    assert_eq!(
        text(POLICY, &breaker, pending).await,
        "`search` is switched off (its circuit breaker is held open) and was not called. Do not call it again; go on \
         without it."
    );
}

#[tokio::test(start_paused = true)]
async fn deadlines() {
    let short = POLICY.deadline(Duration::from_millis(1_750));
    assert_eq!(
        text(short, &CircuitBreaker::new(5), pending).await,
        "`search` did not finish in the 1.75 s that it had. Ask for less, or go on without it."
    );
}

#[tokio::test(start_paused = true)]
async fn panics() {
    assert_eq!(
        text(POLICY, &CircuitBreaker::new(5), || async { panic!("bad index!") }).await,
        "`search` crashed. The same call is likely to crash again: change it, or go on without it."
    );
    let once = POLICY.idempotent(false);
    assert_eq!(
        text(once, &CircuitBreaker::new(5), || async { panic!("bad index") }).await,
        "`search` crashed. It may have taken effect: check before you call it again."
    );
}

#[tokio::test(start_paused = true)]
async fn cancellations() {
    let tool = Tool::new("search", pending::<Result<(), String>>);
    let cancelled = tool.cancelled_by(std::future::ready(()));
    assert_eq!(
        execute_with_controls(POLICY, &CircuitBreaker::new(5), cancelled).await,
        Err(String::from(
            "`search` was cancelled. Do not call it again unless you are asked to."
        ))
    );
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_attempt_before_is_quoted() {
    let mut attempts = 0;
    let tool = Tool::new("search", || {
        attempts += 1;
        let fails = attempts < 3;
        async move { if fails { Err("503 busy") } else { pending().await } }
    })
    .keep_last_error();
    let text = std::cell::RefCell::new(String::new());
    let tool = tool.on_failure(|failure| {
        *text.borrow_mut() = failure.for_model();
        Ok(())
    });
    execute_with_controls(POLICY, &CircuitBreaker::new(5), tool)
        .await
        .expect("the call ended with a failure");
    assert_eq!(
        text.take(),
        "`search` timed out after 1.5 s, in the last of 3 attempts. An earlier attempt failed: 503 busy. Calling it again does no harm, \
         but the same request is unlikely to be answered: ask for less, or go on without it."
    );
}
