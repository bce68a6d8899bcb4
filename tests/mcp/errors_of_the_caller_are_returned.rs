//! An error about the request itself is returned at once and leaves no mark on the breaker; any other error is retried, and
//! the last one is returned unchanged.

use std::sync::atomic::Ordering::Relaxed;

use rmcp::ErrorData;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResponse, CallToolResult, ErrorCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{State, error};

#[derive(Deserialize, JsonSchema)]
struct Order {
    code: i32,
}

fn attempt(state: &State, code: i32) -> ErrorData {
    let attempt = state.attempt();
    ErrorData::new(ErrorCode(code), "no", Some(json!({ "attempt": attempt })))
}

servers! {
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result(&self, Parameters(Order { code }): Parameters<Order>) -> Result<CallToolResult, ErrorData> {
            Err(attempt(&self.0, code))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn response(&self, Parameters(Order { code }): Parameters<Order>) -> Result<CallToolResponse, ErrorData> {
            Err(attempt(&self.0, code))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn json(&self, Parameters(Order { code }): Parameters<Order>) -> Result<Json<u32>, ErrorData> {
            Err(attempt(&self.0, code))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn plain_text(&self, Parameters(Order { code }): Parameters<Order>) -> Result<String, ErrorData> {
            Err(attempt(&self.0, code))
        }
    }
}

/// Checks how many attempts every tool makes, and how many failures its breaker counts, when it fails with `code`.
async fn check(code: ErrorCode, attempts: u32, failures: u32) {
    for tool in ["result", "response", "json", "plain_text"] {
        for client in clients().await {
            let last = ErrorData::new(code, "no", Some(json!({ "attempt": attempts })));
            assert_eq!(client.call(tool, json!({ "code": code.0 })).await, Err(last), "{tool}");
            assert_eq!(client.server.attempts.load(Relaxed), attempts, "{tool}");
            assert_eq!(client.server.breaker.failure_count(), failures, "{tool}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_once_and_without_a_mark() {
    for code in [
        ErrorCode::INVALID_PARAMS,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::METHOD_NOT_FOUND,
        ErrorCode::RESOURCE_NOT_FOUND,
        ErrorCode::PARSE_ERROR,
        ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION,
        ErrorCode::HEADER_MISMATCH,
    ] {
        check(code, 1, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn and_others_are_retried() {
    for code in [ErrorCode::INTERNAL_ERROR, ErrorCode(-32_000)] {
        check(code, 3, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn and_parameters_that_do_not_fit_never_reach_the_tool() {
    for client in clients().await {
        let answer = client.call("result", json!({ "code": "none" })).await;
        let text = "failed to deserialize parameters: invalid type: string \"none\", expected i32";
        assert_eq!(answer, Ok(error(text)), "the answer is not that of rmcp");
        assert_eq!(client.server.attempts.load(Relaxed), 0, "the tool was called");
    }
}
