//! When the last attempt comes to nothing, the text tells how the one before it failed.

use rmcp::ErrorData;
use rmcp::handler::server::wrapper::Json;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde_json::json;

use crate::support::State;

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
        #[sandboxed(timeout_ms = 500, max_retries = 1)]
        #[tool]
        async fn result(&self) -> CallToolResult {
            fails(&self.0, full).await
        }
    }
    {
        #[sandboxed(timeout_ms = 500, max_retries = 1)]
        #[tool]
        async fn response(&self) -> CallToolResponse {
            fails(&self.0, full).await.into()
        }
    }
    {
        #[sandboxed(timeout_ms = 500, max_retries = 1)]
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
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_text_and_in_the_data() {
    for (tool, earlier) in [
        ("result", "the queue is full"),
        ("response", "the queue is full"),
        ("result_of_either", "the queue is full"),
        ("result_or_result", "the queue is full"),
        ("json_or_result", "the queue is full"),
        ("result_or_text", "the queue is full"),
        ("result_or_error", "-32603: the queue is full"),
        ("response_or_error", "-32603: the queue is full"),
        ("json_or_error", "-32603: the queue is full"),
    ] {
        for client in clients().await {
            let (text, data) = match client.call(tool, json!({})).await {
                Ok(result) => (
                    result["content"][0]["text"].as_str().unwrap().to_owned(),
                    result["_meta"]["io.crates.sandbox-runtime/failure"].clone(),
                ),
                Err(error) => (error.message.into_owned(), error.data.unwrap()),
            };
            let expected = format!(
                "`{tool}` timed out: 2 attempts of up to 500 ms. An earlier attempt failed: {earlier}. Calling it again \
                 does no harm, but the same request is unlikely to be answered: ask for less, or go on without it."
            );
            assert_eq!(text, expected, "{tool}");
            assert_eq!(data["last_error"], earlier, "{tool}");
        }
    }
}
