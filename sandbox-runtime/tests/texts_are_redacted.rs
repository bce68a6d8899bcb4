//! What a redactor takes out of the texts of errors is in no text that leaves the process, wherever in it and however long it is.
//! In a process of its own: a redactor concerns the whole of it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::time::Duration;

use sandbox_runtime::{
    CircuitBreaker, Failure, Policy, SandboxError, Tool, ToolExecutionResult, execute_with_controls, sandboxed, text,
    tool, tools,
};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(10))
    .max_retries(1)
    .backoff_base(Duration::ZERO);

/// The failure of a call whose first attempt returns `error`, and whose second hangs.
async fn failure_after(error: &str) -> Failure {
    let breaker = CircuitBreaker::disabled();
    let attempts = Cell::new(0);
    let failure = RefCell::new(None);
    let tool = Tool::new("search", async || {
        attempts.set(attempts.get() + 1);
        match attempts.get() {
            1 => Err(error.to_owned()),
            _ => pending().await,
        }
    })
    .keep_last_error()
    .on_failure(|ended| {
        *failure.borrow_mut() = Some(ended);
        Ok(())
    });
    execute_with_controls(POLICY, &breaker, tool)
        .await
        .expect("the call ended with a failure");
    failure.into_inner().expect("the call ended with a failure")
}

#[sandboxed(max_retries = 0)]
async fn look_up(error: &str) -> Result<(), String> {
    Err(error.to_owned())
}

async fn report_of(error: &str) -> String {
    let call = async { Err::<(), _>(error.to_owned()) };
    let report = ToolExecutionResult::of(call).await.unwrap();
    report.error.unwrap()
}

async fn panic_with(message: &'static str) -> String {
    let breaker = CircuitBreaker::disabled();
    let call = || async { panic!("{message}") };
    match execute_with_controls(POLICY, &breaker, call).await {
        Err(SandboxError::Panicked { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn everywhere() {
    let _ = tools();
    assert_eq!(report_of("key sk-1").await, "key sk-1", "before there is a redactor");

    text::redact(|text| {
        assert!(!text.contains("too much"), "the redactor is out of its depth");
        text.replace("sk-1\n2", "[key]")
    });
    let failure = failure_after("bad key sk-1\n2 for Ada").await;
    assert_eq!(failure.last_error.as_deref(), Some("bad key [key] for Ada"));
    assert!(
        failure.for_model().contains("bad key [key] for Ada"),
        "{}",
        failure.for_model()
    );
    assert!(!failure.to_string().contains("sk-1"), "{failure}");
    assert!(!serde_json::to_string(&failure).unwrap().contains("sk-1"));
    assert_eq!(report_of("key sk-1\n2").await, "key [key]");
    assert_eq!(panic_with("key sk-1\n2").await, "key [key]");

    look_up("bad key sk-1\n2").await.unwrap_err();
    let last = tool("look_up").unwrap().status().last_failure.unwrap();
    assert_eq!(last.error.as_deref(), Some("bad key [key]"), "in the record");

    // Where the text would be cut, and behind that.
    let long = format!("{}sk-1\n2", "x".repeat(498));
    assert_eq!(report_of(&long).await, format!("{}[k…", "x".repeat(498)));
    let endless = format!("sk-1\n2 {}", "ä".repeat(1_000_000));
    let report = report_of(&endless).await;
    assert!(report.starts_with("[key] ä") && report.ends_with('…'), "{report}");

    assert_eq!(report_of("too much").await, "[redacted]", "a redactor that panics");

    text::redact(|text| text.to_uppercase());
    assert_eq!(report_of("sk-1\n2").await, "SK-1 2", "a later one replaces it");
}
