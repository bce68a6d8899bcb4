//! A request that its client cancels ends the tool, and counts for nothing.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::State;

/// Notifies when the attempt that holds it is dropped.
struct Guard<'a>(&'a State);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.ended.notify_one();
    }
}

async fn hang(state: &State) -> CallToolResult {
    state.attempt();
    let _guard = Guard(state);
    std::future::pending().await
}

servers! {
    {
        #[sandboxed(cancel = context.ct, breaker = &self.0.breaker)]
        #[tool]
        async fn by_context(&self, context: RequestContext<RoleServer>) -> CallToolResult {
            assert!(!context.ct.is_cancelled(), "cancelled before its client did so");
            hang(&self.0).await
        }
    }
    {
        #[sandboxed(cancel = context.ct, breaker = &self.0.breaker)]
        #[tool]
        async fn by_context_that_the_tool_has_no_use_for(&self, context: RequestContext<RoleServer>) -> CallToolResult {
            hang(&self.0).await
        }
    }
    {
        #[sandboxed(cancel = token, breaker = &self.0.breaker)]
        #[tool]
        async fn by_token(&self, token: CancellationToken) -> CallToolResult {
            hang(&self.0).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_once_and_without_a_mark() {
    for tool in ["by_context", "by_context_that_the_tool_has_no_use_for", "by_token"] {
        for client in clients().await {
            let began = Instant::now();
            tokio::select! {
                // When its future is dropped, rmcp's client notifies the server of the cancellation.
                _ = client.call(tool, json!({})) => panic!("{tool} answered"),
                () = sleep(Duration::from_secs(1)) => {}
            }
            client.server.ended.notified().await;
            assert_eq!(began.elapsed(), Duration::from_secs(1), "{tool}");
            // What it would be for if it were retried.
            sleep(Duration::from_secs(60)).await;
            assert_eq!(client.server.attempts.load(Relaxed), 1, "{tool}");
            assert_eq!(client.server.breaker.failure_count(), 0, "{tool}");
        }
    }
}
