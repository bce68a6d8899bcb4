//! A result that is marked as an error is the tool's last word: it comes back as it is, is not retried, and leaves no mark. With
//! `is_error = retry` it counts as a failure and is retried.

use std::sync::atomic::Ordering::Relaxed;

use rmcp::ErrorData;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, MetaObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{State, error, text};

#[derive(Deserialize, JsonSchema)]
struct Order {
    /// The attempt that works.
    works: u32,
}

fn attempt(state: &State, works: u32) -> CallToolResult {
    match state.attempt() {
        attempt if attempt >= works => CallToolResult::success(vec![ContentBlock::text("done")]),
        attempt => {
            let mut meta = MetaObject::new();
            meta.0.insert("attempt".to_owned(), attempt.into());
            CallToolResult::error(vec![ContentBlock::text("busy")]).with_meta(Some(meta))
        }
    }
}

servers! {
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result(&self, Parameters(Order { works }): Parameters<Order>) -> CallToolResult {
            attempt(&self.0, works)
        }
    }
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn response(&self, Parameters(Order { works }): Parameters<Order>) -> CallToolResponse {
            attempt(&self.0, works).into()
        }
    }
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result_or_error(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResult, ErrorData> {
            Ok(attempt(&self.0, works))
        }
    }
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result_or_text(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResult, String> {
            Ok(attempt(&self.0, works))
        }
    }
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result_or_result(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResult, CallToolResult> {
            Ok(attempt(&self.0, works))
        }
    }
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker, retry_if = |_| false, ignore_if = |_| true)]
        #[tool]
        async fn result_or_picky_error(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResult, ErrorData> {
            Ok(attempt(&self.0, works))
        }
    }
    {
        #[sandboxed(is_error = retry, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn response_or_error(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResponse, ErrorData> {
            Ok(attempt(&self.0, works).into())
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn json_or_result(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<Json<u32>, CallToolResult> {
            match attempt(&self.0, works) {
                result if result.is_error == Some(true) => Err(result),
                _ => Ok(Json(works)),
            }
        }
    }
    {
        #[sandboxed(is_error = retry, idempotent = false, retry_if = |_| true, breaker = &self.0.breaker)]
        #[tool]
        async fn not_idempotent(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResult, ErrorData> {
            Ok(attempt(&self.0, works))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn last_word(&self, Parameters(Order { works }): Parameters<Order>) -> CallToolResult {
            attempt(&self.0, works)
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn last_word_or_response(&self, Parameters(Order { works }): Parameters<Order>) -> CallToolResponse {
            attempt(&self.0, works).into()
        }
    }
    {
        #[sandboxed(is_error = last_word, backoff_base_ms = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn last_word_or_error(
            &self,
            Parameters(Order { works }): Parameters<Order>,
        ) -> Result<CallToolResult, ErrorData> {
            Ok(attempt(&self.0, works))
        }
    }
}

const TOOLS: [&str; 8] = [
    "result",
    "response",
    "result_or_error",
    "result_or_text",
    "result_or_result",
    "result_or_picky_error",
    "response_or_error",
    "json_or_result",
];

#[tokio::test(start_paused = true)]
async fn which_are_retried() {
    for tool in TOOLS {
        for client in clients().await {
            let answer = client.call(tool, json!({ "works": 3 })).await;
            let expected = if tool == "json_or_result" { "3" } else { "done" };
            assert_eq!(answer.unwrap()["content"], text(expected)["content"], "{tool}");
            assert_eq!(client.server.attempts.load(Relaxed), 3, "{tool}");
            assert_eq!(
                client.server.breaker.failure_count(),
                0,
                "{tool}: a success clears the count"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn and_the_last_one_is_untouched() {
    for tool in TOOLS {
        for client in clients().await {
            let mut last = error("busy");
            last["_meta"] = json!({ "attempt": 3 });
            assert_eq!(client.call(tool, json!({ "works": 4 })).await, Ok(last), "{tool}");
            assert_eq!(client.server.breaker.failure_count(), 1, "{tool}: a mark for the call");
        }
    }
}

/// What a predicate about errors accepts says nothing about results.
#[tokio::test(start_paused = true)]
async fn and_are_not_retried_where_they_may_have_done_something() {
    for client in clients().await {
        client.call("not_idempotent", json!({ "works": 2 })).await.unwrap();
        assert_eq!(client.server.attempts.load(Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_that_the_first_one_is_the_last_word() {
    for tool in ["last_word", "last_word_or_response", "last_word_or_error"] {
        for client in clients().await {
            let mut first = error("busy");
            first["_meta"] = json!({ "attempt": 1 });
            assert_eq!(client.call(tool, json!({ "works": 3 })).await, Ok(first), "{tool}");
            assert_eq!(client.server.attempts.load(Relaxed), 1, "{tool}: not retried");
            assert_eq!(client.server.breaker.failure_count(), 0, "{tool}: no mark");
        }
    }
}
