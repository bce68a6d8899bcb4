//! The plain contract: names, fields, defaults and outcomes of tools that answer with JSON.

use std::sync::Arc;

use sandbox_runtime::{
    CircuitBreaker, SandboxConfig, SandboxError, SandboxResult, ToolExecutionResult, execute_with_controls,
};
use serde_json::json;

use crate::support::{Script, Step, timed};

const CONFIG: SandboxConfig = SandboxConfig {
    timeout_ms: 1_000,
    max_retries: 2,
    backoff_base_ms: 10,
};

#[test]
fn the_config_defaults_to_30_s_2_retries_and_half_a_second() {
    let SandboxConfig {
        timeout_ms,
        max_retries,
        backoff_base_ms,
    } = SandboxConfig::default();
    assert_eq!((timeout_ms, max_retries, backoff_base_ms), (30_000, 2, 500));
}

#[test]
fn config_and_result_survive_json() {
    let text = serde_json::to_string(&CONFIG).unwrap();
    assert_eq!(text, r#"{"timeout_ms":1000,"max_retries":2,"backoff_base_ms":10}"#);
    assert_eq!(serde_json::from_str::<SandboxConfig>(&text).unwrap(), CONFIG);

    let result = ToolExecutionResult {
        success: false,
        attempts: 3,
        output: None,
        error: Some("down".into()),
    };
    let text = serde_json::to_string(&result).unwrap();
    assert_eq!(text, r#"{"success":false,"attempts":3,"output":null,"error":"down"}"#);
    assert_eq!(serde_json::from_str::<ToolExecutionResult>(&text).unwrap(), result);
}

#[test]
fn errors_are_errors_and_survive_json() {
    fn is_error<E: std::error::Error + Clone + Send + Sync + 'static>(_: &E) {}
    let error = SandboxError::Timeout {
        elapsed_ms: 50,
        limit_ms: 50,
    };
    is_error(&error);
    let text = serde_json::to_string(&error).unwrap();
    assert_eq!(text, r#"{"kind":"timeout","elapsed_ms":50,"limit_ms":50}"#);
    assert_eq!(serde_json::from_str::<SandboxError>(&text).unwrap(), error);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_works_is_reported_with_its_output_and_one_attempt() {
    let breaker = Arc::new(CircuitBreaker::new(5));
    let result = execute_with_controls(&CONFIG, &breaker, || async { Ok(json!({ "ok": true })) }).await;
    let expected = ToolExecutionResult {
        success: true,
        attempts: 1,
        output: Some(json!({ "ok": true })),
        error: None,
    };
    assert_eq!(result, Ok(expected));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_may_be_a_static() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
    let result = execute_with_controls(&CONFIG, &BREAKER, || async { Ok(json!(null)) }).await;
    assert!(result.as_ref().is_ok_and(|report| report.success), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_to_the_end_is_a_report_and_not_an_error() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Fail]);
    let result = execute_with_controls(&CONFIG, &breaker, || script.run()).await;
    let expected = ToolExecutionResult {
        success: false,
        attempts: 3,
        output: None,
        error: Some("attempt 3 failed".into()),
    };
    assert_eq!(result, Ok(expected), "the last attempt's own error is reported");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_on_the_last_attempt_is_an_error_whose_fields_both_are_the_limit() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Fail, Step::Fail, Step::Hang]);
    let result = execute_with_controls(&CONFIG, &breaker, || script.run()).await;
    let expected = SandboxError::Timeout {
        elapsed_ms: 1_000,
        limit_ms: 1_000,
    };
    assert_eq!(result, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_an_error_before_any_attempt() {
    let breaker = CircuitBreaker::new(1);
    breaker.record_failure();
    let script = Script::new(&[Step::Answer]);
    let result = execute_with_controls(&CONFIG, &breaker, || script.run()).await;
    let Err(SandboxError::CircuitBreakerOpen {
        consecutive_failures,
        threshold,
        ..
    }) = result
    else {
        panic!("expected a refusal, got {result:?}");
    };
    assert_eq!((consecutive_failures, threshold), (1, 1));
    assert_eq!(script.attempts(), 0, "the tool was called");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_during_the_call_is_an_error_at_once() {
    let breaker = CircuitBreaker::new(1);
    let script = Script::new(&[Step::Fail]);
    let (result, elapsed) = timed(execute_with_controls(&CONFIG, &breaker, || script.run())).await;
    assert!(
        matches!(
            result,
            Err(SandboxError::CircuitBreakerOpen {
                consecutive_failures: 1,
                threshold: 1,
                ..
            })
        ),
        "{result:?}"
    );
    assert_eq!(script.attempts(), 1);
    assert_eq!(
        elapsed, 0,
        "a backoff was waited out before a check that could only refuse"
    );
}

#[tokio::test(start_paused = true)]
async fn a_last_failure_that_opens_the_breaker_is_still_reported_as_such() {
    let breaker = CircuitBreaker::new(3);
    let script = Script::new(&[Step::Fail]);
    let result = execute_with_controls(&CONFIG, &breaker, || script.run()).await;
    assert!(breaker.is_open(), "the third failure has not opened it");
    assert_eq!(result.unwrap().error.as_deref(), Some("attempt 3 failed"));
}

#[test]
fn a_report_turns_into_its_output_or_an_error() {
    let report = |success, output, error| ToolExecutionResult {
        success,
        attempts: 2,
        output,
        error,
    };
    assert_eq!(report(true, Some(json!(7)), None).into_output(), Ok(json!(7)));
    let expected: SandboxResult<_> = Err(SandboxError::ExecutionFailed {
        attempts: 2,
        reason: "down".into(),
    });
    assert_eq!(report(false, None, Some("down".into())).into_output(), expected);
}
