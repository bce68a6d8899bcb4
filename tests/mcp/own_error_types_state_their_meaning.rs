//! An error type that states what its values mean is asked, beside whatever answer it stands.

use std::sync::atomic::Ordering::Relaxed;

use rmcp::handler::server::wrapper::Json;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, IntoContents};
use sandbox_runtime::{ErrorVerdict, SandboxError};
use serde_json::json;

use crate::support::State;

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum OrderError {
    #[error("there is no such order")]
    #[verdict(ignore)]
    NoOrder,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl IntoContents for OrderError {
    fn into_contents(self) -> Vec<ContentBlock> {
        self.to_string().into_contents()
    }
}

fn no_order(state: &State) -> OrderError {
    state.attempt();
    OrderError::NoOrder
}

servers! {
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result(&self) -> Result<CallToolResult, OrderError> {
            Err(no_order(&self.0))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn response(&self) -> Result<CallToolResponse, OrderError> {
            Err(no_order(&self.0))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn json(&self) -> Result<Json<u32>, OrderError> {
            Err(no_order(&self.0))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn plain_text(&self) -> Result<String, OrderError> {
            Err(no_order(&self.0))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker, on_failure = |error| Err(SandboxError::from(error).into()))]
        #[tool]
        async fn with_on_failure(&self) -> Result<CallToolResult, OrderError> {
            Err(no_order(&self.0))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn returned_at_once_and_without_a_mark() {
    for tool in ["result", "response", "json", "plain_text", "with_on_failure"] {
        for client in clients().await {
            let answer = client.call(tool, json!({})).await.unwrap();
            assert_eq!(answer["isError"], true, "{tool}");
            assert_eq!(answer["content"][0]["text"], "there is no such order", "{tool}");
            assert_eq!(client.server.attempts.load(Relaxed), 1, "{tool}");
            assert_eq!(client.server.breaker.failure_count(), 0, "{tool}");
        }
    }
}
