//! `ToolExecutionResult::of` reports on any sandboxed call as the call of a plain closure would have ended.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sandbox_runtime::{
    Budget, CircuitBreaker, Policy, SandboxError, SandboxResult, Tool, ToolExecutionResult, execute_with_controls,
};
use serde::Serialize;
use serde_json::json;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .max_retries(2)
    .backoff_base(Duration::from_millis(100));

#[derive(Debug, Serialize)]
struct Hit {
    title: &'static str,
}

#[derive(Debug, thiserror::Error)]
enum SearchError {
    #[error("no\nindex")]
    NoIndex,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// A report on a call whose attempts end like this, the last again and again.
async fn report(breaker: &CircuitBreaker, attempts: &[Attempt]) -> SandboxResult<ToolExecutionResult> {
    let begun = Cell::new(0);
    let tool = Tool::new("search", || {
        let attempt = attempts[begun.get().min(attempts.len() - 1)];
        begun.set(begun.get() + 1);
        async move {
            match attempt {
                Attempt::Finds => Ok(vec![Hit { title: "cats" }]),
                Attempt::Fails => Err(SearchError::NoIndex),
                Attempt::Hangs => pending().await,
                Attempt::Panics => panic!("index out of bounds"),
            }
        }
    });
    ToolExecutionResult::of(execute_with_controls(POLICY, breaker, tool)).await
}

#[derive(Clone, Copy)]
enum Attempt {
    Finds,
    Fails,
    Hangs,
    Panics,
}

#[tokio::test(start_paused = true)]
async fn successes_with_the_true_number_of_attempts() {
    let breaker = CircuitBreaker::new(5);
    let report = report(&breaker, &[Attempt::Fails, Attempt::Hangs, Attempt::Finds]).await;
    assert_eq!(
        serde_json::to_value(report.unwrap()).unwrap(),
        json!({ "success": true, "attempts": 3, "output": [{ "title": "cats" }], "error": null })
    );
}

#[tokio::test(start_paused = true)]
async fn the_tools_own_error() {
    let report = report(&CircuitBreaker::new(5), &[Attempt::Fails]).await.unwrap();
    assert_eq!((report.success, report.attempts), (false, 3));
    assert_eq!(report.error.as_deref(), Some("no index"), "on one line");
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_engine_are_errors() {
    let error = report(&CircuitBreaker::new(5), &[Attempt::Hangs]).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");

    let error = report(&CircuitBreaker::new(5), &[Attempt::Panics]).await.unwrap_err();
    assert!(error.is_panic(), "{error}");

    let error = report(&CircuitBreaker::new(0), &[Attempt::Finds]).await.unwrap_err();
    assert!(error.is_circuit_open(), "{error}");

    let error = report(&CircuitBreaker::new(2), &[Attempt::Hangs]).await.unwrap_err();
    assert!(
        error.is_circuit_open(),
        "opened by the second of three attempts: {error}"
    );

    let run = Budget::new().deadline(Duration::from_millis(500));
    let breaker = CircuitBreaker::new(5);
    let error = run.scope(report(&breaker, &[Attempt::Hangs])).await.unwrap_err();
    assert!(error.is_deadline_exceeded(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn of_calls_within_calls_the_outer_one() {
    let (outer, inner) = (CircuitBreaker::new(5), CircuitBreaker::new(0));
    let tool = Tool::new("outer", || async {
        report(&inner, &[Attempt::Finds]).await.map(|report| report.attempts)
    });
    let error = ToolExecutionResult::of(execute_with_controls(POLICY.max_retries(1), &outer, tool)).await;
    assert!(
        matches!(&error, Ok(report) if report.attempts == 1 && !report.success),
        "the inner refusal is the outer tool's own error, and is not retried: {error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_future_without_a_sandboxed_call() {
    let report = ToolExecutionResult::of(async { Ok::<_, String>(1) }).await.unwrap();
    assert_eq!((report.attempts, report.output), (1, Some(json!(1))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_json() {
    let answer = async { Ok::<_, String>(HashMap::from([((1, 2), 3)])) };
    let report = ToolExecutionResult::of(answer).await.unwrap();
    assert_eq!(
        report.error.as_deref(),
        Some("the answer cannot be written as JSON: key must be a string")
    );
}

#[test]
fn a_report_is_send_when_the_call_is() {
    fn assert_send<T: Send>(_: &T) {}
    static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
    let tool = Tool::new("send", || async { Ok::<_, SandboxError>(1) });
    assert_send(&ToolExecutionResult::of(execute_with_controls(POLICY, &BREAKER, tool)));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_task_that_inherits_has_its_true_number_of_attempts() {
    let report = ToolExecutionResult::of(async {
        static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
        static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
        let tool = Tool::new("flaky", || {
            let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed) + 1;
            std::future::ready(if attempt < 3 { Err(String::from("down")) } else { Ok(7) })
        });
        let call = execute_with_controls(POLICY.max_retries(2), &BREAKER, tool);
        tokio::spawn(Budget::inherit(call)).await.unwrap()
    });
    assert_eq!(report.await.unwrap().attempts, 3);
}
