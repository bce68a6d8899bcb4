//! What the engine reports when the tool has no outcome to return: everything it knows, as data, as a sentence and as an error.

use std::time::Duration;

use sandbox_runtime::{
    CircuitBreaker, Failure, FailureKind, Policy, SandboxError, Tool, Verdict, execute_with_controls,
};
use serde_json::json;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .max_retries(1)
    .backoff_base(Duration::from_millis(100));

/// The failure with which a call of a tool ends.
async fn failure<A: Future<Output = ()>>(
    policy: Policy,
    breaker: &CircuitBreaker,
    attempt: impl FnMut() -> A,
) -> Failure {
    let mut attempt = attempt;
    let tool = Tool::new("search", || {
        let attempt = attempt();
        async {
            attempt.await;
            None
        }
    })
    .classify(|_| Verdict::Success)
    .on_failure(Some);
    execute_with_controls(policy, breaker, tool)
        .await
        .expect("the tool worked")
}

#[tokio::test(start_paused = true)]
async fn a_timeout() {
    let breaker = CircuitBreaker::new(5);
    let failure = failure(POLICY, &breaker, std::future::pending).await;
    assert_eq!(
        failure.to_string(),
        "`search` timed out after 1000 ms, in the last of 2 attempts"
    );
    assert_eq!(
        serde_json::to_value(&failure).unwrap(),
        json!({
            "kind": "timeout",
            "tool": "search",
            "call_id": failure.call_id.to_string(),
            "attempts": 2,
            "max_attempts": 2,
            "elapsed_ms": 2_100,
            "timeout_ms": 1_000,
            "deadline_ms": null,
            "retry_after_ms": null,
            "may_have_executed": true,
            "idempotent": true,
            "last_error": null,
        })
    );
    let error = SandboxError::from(failure);
    assert!(
        error.is_timeout() && !error.is_circuit_open() && !error.is_panic(),
        "an error of another kind: {error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(27));
    breaker.record_failure();
    let failure = failure(POLICY, &breaker, std::future::pending).await;
    assert_eq!(
        failure.to_string(),
        "`search` was not called: its circuit breaker is open after 1 failure; try again in 27000 ms"
    );
    assert_eq!((failure.attempts, failure.may_have_executed), (0, false));
    assert_eq!(failure.retry_after_ms, Some(27_000));
    let json = serde_json::to_value(&failure).unwrap();
    assert_eq!(
        (&json["kind"], &json["threshold"]),
        (&json!("circuit_breaker_open"), &json!(1)),
        "flat: {json}"
    );
    let error = SandboxError::from(failure);
    assert!(error.is_circuit_open(), "an error of another kind: {error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline() {
    let breaker = CircuitBreaker::new(5);
    let policy = POLICY.deadline(Duration::from_millis(1_200));
    let failure = failure(policy, &breaker, std::future::pending).await;
    assert_eq!(
        failure.to_string(),
        "`search` ran out of time in attempt 2: 1200 ms for the whole call"
    );
    assert_eq!(
        (failure.kind, failure.elapsed_ms, failure.deadline_ms),
        (FailureKind::DeadlineExceeded, 1_200, Some(1_200))
    );
    let error = SandboxError::from(failure);
    assert_eq!(error.to_string(), "deadline exceeded: no answer within 1200 ms");
    assert!(error.is_deadline_exceeded(), "an error of another kind: {error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic() {
    let breaker = CircuitBreaker::new(5);
    let failure = failure(POLICY, &breaker, || async { panic!("index out of bounds") }).await;
    assert_eq!(failure.to_string(), "`search` panicked: index out of bounds");
    assert_eq!((failure.attempts, failure.may_have_executed), (1, true));
    let error = SandboxError::from(failure);
    assert_eq!(error.to_string(), "the tool panicked: index out of bounds");
}

/// The failure of a tool whose first attempt returns `first`, and whose second does this.
async fn failure_after<A>(first: &'static str, policy: Policy, second: fn() -> A) -> Failure
where
    A: Future<Output = ()>,
{
    let breaker = CircuitBreaker::new(5);
    let mut attempts = 0;
    let tool = Tool::new("search", || {
        attempts += 1;
        let attempt = attempts;
        async move {
            if attempt == 1 {
                return Err(first);
            }
            second().await;
            Ok(())
        }
    })
    .keep_last_error();
    let failure = std::cell::RefCell::new(None);
    let tool = tool.on_failure(|ended| {
        *failure.borrow_mut() = Some(ended);
        Err("")
    });
    let answer = execute_with_controls(policy, &breaker, tool).await;
    assert_eq!(answer, Err(""));
    failure.take().expect("the call ended with a failure")
}

#[tokio::test(start_paused = true)]
async fn an_error_before_an_attempt_that_came_to_nothing() {
    let failure = failure_after("503\n\u{1b}[1mbusy", POLICY, std::future::pending::<()>).await;
    assert_eq!(
        (failure.kind, failure.attempts, failure.last_error.as_deref()),
        (FailureKind::Timeout, 2, Some("503 [1mbusy")),
        "after a timeout"
    );
    assert_eq!(
        failure.to_string(),
        "`search` timed out after 1000 ms, in the last of 2 attempts; an earlier attempt failed: 503 [1mbusy"
    );

    let short = POLICY.deadline(Duration::from_millis(1_050));
    let failure = failure_after("503", short, std::future::pending::<()>).await;
    assert_eq!(
        (failure.kind, failure.last_error.as_deref()),
        (FailureKind::DeadlineExceeded, Some("503")),
        "after a deadline"
    );

    let failure = failure_after("503", POLICY, || async { panic!("index out of bounds") }).await;
    assert_eq!(
        (failure.kind, failure.last_error.as_deref(), failure.panic_message()),
        (FailureKind::Panicked, Some("503"), Some("index out of bounds")),
        "a panic has a message beside"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_error_is_cut() {
    static LONG: [u8; 10_000] = [b'x'; 10_000];
    let text = std::str::from_utf8(&LONG).unwrap();
    let failure = failure_after(text, POLICY, std::future::pending::<()>).await;
    assert_eq!(failure.last_error.as_deref(), Some(&*format!("{}…", &text[..500])));
}

/// One error of each kind, made from data: a refusal cannot be made by hand.
fn errors() -> [SandboxError; 6] {
    [
        json!({ "kind": "timeout", "elapsed_ms": 5, "limit_ms": 5 }),
        json!({ "kind": "circuit_breaker_open", "consecutive_failures": 1, "threshold": 1, "retry_after_ms": null }),
        json!({ "kind": "execution_failed", "attempts": 1, "reason": "down" }),
        json!({ "kind": "deadline_exceeded", "elapsed_ms": 5, "limit_ms": 5 }),
        json!({ "kind": "panicked", "message": "oops" }),
        json!({ "kind": "cancelled" }),
    ]
    .map(|value| serde_json::from_value(value).unwrap())
}

#[test]
fn each_question_about_an_error_is_true_of_one_kind() {
    type Question = fn(&SandboxError) -> bool;
    let questions: [(&str, Question); 5] = [
        ("timeout", SandboxError::is_timeout),
        ("circuit_breaker_open", SandboxError::is_circuit_open),
        ("deadline_exceeded", SandboxError::is_deadline_exceeded),
        ("panicked", SandboxError::is_panic),
        ("cancelled", SandboxError::is_cancelled),
    ];
    for (kind, question) in questions {
        let answers: Vec<_> = errors()
            .iter()
            .filter(|error| question(error))
            .map(|error| json!(error)["kind"].clone())
            .collect();
        assert_eq!(answers, [kind]);
    }
}

#[test]
fn an_io_error_of_what_ran_out_of_time_has_timed_out() {
    let kinds = errors().map(|error| std::io::Error::from(error).kind());
    let [timeout, refusal, failure, deadline, panic, cancellation] = kinds;
    assert_eq!([timeout, deadline], [std::io::ErrorKind::TimedOut; 2]);
    assert_eq!([refusal, failure, panic, cancellation], [std::io::ErrorKind::Other; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_in_an_attempt() {
    let breaker = CircuitBreaker::new(5);
    let tool = Tool::new("search", std::future::pending)
        .cancelled_by(tokio::time::sleep(Duration::from_millis(50)))
        .on_failure(|failure| Err::<(), _>(failure.to_string()));
    let result = execute_with_controls(POLICY, &breaker, tool).await;
    assert_eq!(result, Err("`search` was cancelled in attempt 1".to_owned()));
}
