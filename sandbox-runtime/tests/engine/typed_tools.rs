//! A typed tool's caller gets the tool's own type, and its own error whenever its last attempt returned one.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Failure, Policy, SandboxError, Tool, execute_with_controls};

use crate::support::timed;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .backoff_base(Duration::from_millis(10));

#[derive(Debug, PartialEq)]
enum SearchError {
    Busy(u32),
    Sandbox(SandboxError),
}

impl From<SandboxError> for SearchError {
    fn from(error: SandboxError) -> Self {
        SearchError::Sandbox(error)
    }
}

#[tokio::test(start_paused = true)]
async fn the_value_comes_back_as_it_is() {
    let breaker = CircuitBreaker::new(5);
    // Neither `Send` nor `'static` is asked for.
    let text = String::from("hit");
    let shared = Rc::new(text.as_str());
    let tool = Tool::new("search", || async { Ok::<_, SearchError>(Rc::clone(&shared)) });
    assert_eq!(execute_with_controls(POLICY, &breaker, tool).await, Ok(Rc::new("hit")));
}

#[tokio::test(start_paused = true)]
async fn the_last_attempts_own_error_comes_back_untouched() {
    let breaker = CircuitBreaker::new(5);
    let attempts = Cell::new(0);
    let tool = Tool::new("search", || {
        attempts.set(attempts.get() + 1);
        let attempt = attempts.get();
        async move { Err::<(), _>(SearchError::Busy(attempt)) }
    });
    assert_eq!(
        execute_with_controls(POLICY, &breaker, tool).await,
        Err(SearchError::Busy(3))
    );
}

#[tokio::test(start_paused = true)]
async fn the_tools_own_error_comes_back_also_when_the_breaker_opens() {
    let breaker = CircuitBreaker::new(1);
    let tool = Tool::new("search", || async { Err::<(), _>(SearchError::Busy(7)) });
    let others = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        breaker.record_failure();
    };
    let call = timed(execute_with_controls(POLICY, &breaker, tool));
    let ((result, elapsed), ()) = tokio::join!(call, others);
    assert_eq!(result, Err(SearchError::Busy(7)));
    assert_eq!(elapsed, 10, "the retry was refused after its delay");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_comes_back_as_a_sandbox_error_also_when_it_opens_the_breaker() {
    let breaker = CircuitBreaker::new(1);
    let tool = Tool::new("search", std::future::pending::<Result<(), SearchError>>);
    let expected = SandboxError::Timeout {
        elapsed_ms: 100,
        limit_ms: 100,
    };
    assert_eq!(
        execute_with_controls(POLICY, &breaker, tool).await,
        Err(SearchError::Sandbox(expected))
    );
}

#[test]
fn the_call_is_send_when_the_tool_is() {
    fn assert_send<T: Send>(_: &T) {}
    static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
    let tool = Tool::new("send", || async {
        tokio::task::yield_now().await;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(1)
    });
    assert_send(&execute_with_controls(POLICY, &BREAKER, tool));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a call was polled after it had ended")]
async fn a_call_does_not_run_its_tool_again_when_polled_after_its_end() {
    let breaker = CircuitBreaker::new(5);
    let tool = Tool::new("once", || async { Ok::<_, String>(1) });
    assert_eq!(format!("{tool:?}"), "Tool { name: \"once\", .. }");
    let mut call = std::pin::pin!(execute_with_controls(POLICY, &breaker, tool));
    assert_eq!(call.as_mut().await, Ok(1));
    let _ = call.await;
}

#[tokio::test(start_paused = true)]
async fn a_call_by_hand_can_be_spawned() {
    let call = tokio::spawn(async {
        let breaker = CircuitBreaker::new(5);
        let tool = Tool::new("search", || async { Ok::<_, String>(1) });
        execute_with_controls(&POLICY, &breaker, tool).await
    });
    assert_eq!(call.await.unwrap(), Ok(1));
}

/// A name that is made at run time is kept once, however often it is made.
#[tokio::test(start_paused = true)]
async fn names_may_be_made_at_run_time() {
    let named = async |name: String| {
        let breaker = CircuitBreaker::disabled();
        let hang = Tool::new(name, std::future::pending::<Result<(), Failure>>).on_failure(Err);
        let failed = execute_with_controls(POLICY.max_retries(0), &breaker, hang).await;
        failed.unwrap_err().tool
    };
    let (one, same, other) = (
        named(format!("{}.search", "web")).await,
        named(format!("web.{}", "search")).await,
        named("files.search".to_owned()).await,
    );
    assert_eq!((one, other), ("web.search", "files.search"));
    assert!(std::ptr::eq(one, same), "kept twice");
}
