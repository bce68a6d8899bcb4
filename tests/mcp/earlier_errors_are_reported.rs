//! When the last attempt yields nothing, the text reports how the attempt before it failed.

use rmcp::ErrorData;
use rmcp::handler::server::wrapper::Json;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use sandbox_runtime::mcp::Sandboxed;
use serde_json::{Value, json};

use crate::support::{Client, State};

/// The first attempt fails, the second hangs.
async fn fails<F>(state: &State, failure: impl FnOnce() -> F) -> F {
    match state.attempt() {
        1 => failure(),
        _ => std::future::pending().await,
    }
}

fn full() -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text("the queue"), ContentBlock::text("is full")])
}

servers! {
{
    #[sandboxed(timeout_ms = 500, max_retries = 1, is_error = retry)]
    #[tool]
    async fn result(&self) -> CallToolResult {
        fails(&self.0, full).await
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1, is_error = retry)]
    #[tool]
    async fn response(&self) -> CallToolResponse {
        fails(&self.0, full).await.into()
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1, is_error = retry)]
    #[tool]
    async fn result_of_either(&self) -> Result<CallToolResult, ErrorData> {
        Ok(fails(&self.0, full).await)
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1)]
    #[tool]
    async fn result_or_result(&self) -> Result<CallToolResult, CallToolResult> {
        Err(fails(&self.0, full).await)
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1)]
    #[tool]
    async fn json_or_result(&self) -> Result<Json<u32>, CallToolResult> {
        Err(fails(&self.0, full).await)
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1)]
    #[tool]
    async fn result_or_text(&self) -> Result<CallToolResult, String> {
        Err(fails(&self.0, || "the queue is full".to_owned()).await)
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1)]
    #[tool]
    async fn result_or_error(&self) -> Result<CallToolResult, ErrorData> {
        Err(fails(&self.0, || ErrorData::internal_error("the queue is full", None)).await)
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1)]
    #[tool]
    async fn response_or_error(&self) -> Result<CallToolResponse, ErrorData> {
        Err(fails(&self.0, || ErrorData::internal_error("the queue is full", None)).await)
    }
}
{
    #[sandboxed(timeout_ms = 500, max_retries = 1)]
    #[tool]
    async fn json_or_error(&self) -> Result<Json<u32>, ErrorData> {
        Err(fails(&self.0, || ErrorData::internal_error("the queue is full", None)).await)
    }
}}

const TOOLS: [(&str, &str); 9] = [
    ("result", "the queue is full"),
    ("response", "the queue is full"),
    ("result_of_either", "the queue is full"),
    ("result_or_result", "the queue is full"),
    ("json_or_result", "the queue is full"),
    ("result_or_text", "the queue is full"),
    ("result_or_error", "the queue is full"),
    ("response_or_error", "the queue is full"),
    ("json_or_error", "the queue is full"),
];

/// Checks the answer of a tool that failed before its last attempt timed out.
fn check(tool: &str, earlier: &str, text: &str, data: &Value) {
    let expected = format!(
        "`{tool}` timed out after 500 ms, in the last of 2 attempts. An earlier attempt failed: {earlier}. Calling it again does no \
         harm, but the same request is unlikely to be answered: ask for less, or go on without it."
    );
    assert_eq!(text, expected, "{tool}");
    assert_eq!(data["last_error"], earlier, "{tool}");
}

fn check_result(tool: &str, earlier: &str, result: &Value) {
    let text = result["content"][0]["text"].as_str().unwrap();
    check(tool, earlier, text, &result["_meta"]["sandboxed/failure"]);
}

#[tokio::test(start_paused = true)]
async fn in_the_text_and_in_the_data() {
    for (tool, earlier) in TOOLS {
        for client in clients().await {
            match client.call(tool, json!({})).await {
                Ok(result) => check_result(tool, earlier, &result),
                Err(error) => check(tool, earlier, &error.message, &error.data.unwrap()),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn also_in_a_server_that_reports_failures() {
    for (tool, earlier) in TOOLS {
        let above = Client::of(|state| Sandboxed::new(Above(state))).await;
        let below = Client::of(|state| Sandboxed::new(Below(state))).await;
        for client in [above, below] {
            check_result(tool, earlier, &client.call(tool, json!({})).await.unwrap());
        }
    }
}
