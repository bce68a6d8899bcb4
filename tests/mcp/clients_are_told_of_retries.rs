//! A client that asks for progress is told of each retry: which attempt has ended, of how many, why, and when the next begins. The
//! values of its progress increase, whatever the attempts count.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{NumberOrString, ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use rmcp::{tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{Verdict, sandboxed};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{RawClient, State};

struct Server(Arc<State>);

#[tool_router(server_handler)]
impl Server {
    #[sandboxed(timeout_ms = 2_000)]
    #[tool]
    async fn search(&self) -> Result<String, String> {
        match self.0.attempt() {
            1 => Err("the index is busy".into()),
            2 => std::future::pending().await,
            _ => Ok("found".into()),
        }
    }

    #[sandboxed(classify = |_: &Result<String, String>| Verdict::Retry { after: Some(Duration::from_secs(5)) }, max_retries = 1)]
    #[tool]
    async fn hinted(&self) -> Result<String, String> {
        Err(String::new())
    }

    /// Two calls, each of which has a retry.
    #[tool]
    async fn twice(&self) -> Result<String, String> {
        let _ = self.now().await;
        self.now().await
    }

    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = off)]
    async fn now(&self) -> Result<String, String> {
        Err("down".into())
    }

    /// Counts to 2 in each attempt.
    #[sandboxed(backoff_base_ms = 1_000)]
    #[tool]
    async fn counts(&self, peer: Peer<RoleServer>) -> Result<String, String> {
        for step in [1.0, 2.0] {
            let token = ProgressToken(NumberOrString::String("token".into()));
            let progress = ProgressNotificationParam::new(token, step).with_total(2.0);
            peer.notify_progress(progress).await.unwrap();
        }
        sleep(Duration::from_millis(10)).await;
        match self.0.attempt() {
            3 => Ok("counted".into()),
            _ => Err("again".into()),
        }
    }
}

/// The parameters of all messages before the answer.
async fn progress_of(tool: &str) -> Vec<Value> {
    let mut client = RawClient::of(|state| Sandboxed::new(Server(state))).await;
    client.call(1, tool, json!({})).await;
    let (before, _) = client.read_until(1).await;
    let told = before.into_iter().map(|message| {
        assert_eq!(message["method"], "notifications/progress", "{message}");
        assert_eq!(message["params"]["progressToken"], "token", "{message}");
        message["params"].clone()
    });
    told.collect()
}

fn told(progress: f64, total: Option<f64>, message: Option<&str>) -> Value {
    let mut told = json!({ "progressToken": "token", "progress": progress });
    if let Some(total) = total {
        told["total"] = total.into();
    }
    if let Some(message) = message {
        told["message"] = message.into();
    }
    told
}

#[tokio::test(start_paused = true)]
async fn with_what_has_happened_and_what_comes() {
    let first = "`search`: attempt 1 of 3 failed: the index is busy; the next begins in 500 ms";
    let second = "`search`: attempt 2 of 3 timed out after 2 s; the next begins in 1 s";
    assert_eq!(
        progress_of("search").await,
        [told(1.0, Some(3.0), Some(first)), told(2.0, Some(3.0), Some(second))]
    );
    let hinted = "`hinted`: attempt 1 of 2 failed; the next begins in 5 s, as was asked for";
    assert_eq!(progress_of("hinted").await, [told(1.0, Some(2.0), Some(hinted))]);
}

#[tokio::test(start_paused = true)]
async fn of_several_calls_in_values_that_increase() {
    let now = "`now`: attempt 1 of 2 failed: down; the next begins now";
    assert_eq!(
        progress_of("twice").await,
        [told(1.0, Some(2.0), Some(now)), told(2.0, None, Some(now))]
    );
}

#[tokio::test(start_paused = true)]
async fn beside_what_the_tool_itself_counts() {
    let retry =
        |attempt: u32, wait: &str| format!("`counts`: attempt {attempt} of 3 failed: again; the next begins in {wait}");
    assert_eq!(
        progress_of("counts").await,
        [
            told(1.0, Some(2.0), None),
            told(2.0, Some(2.0), None),
            told(3.0, Some(5.0), Some(&retry(1, "1 s"))),
            told(4.0, Some(5.0), None),
            told(5.0, Some(5.0), None),
            told(7.0, Some(8.0), Some(&retry(2, "2 s"))),
            told(8.0, Some(9.0), None),
            told(9.0, Some(9.0), None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn and_not_one_that_does_not_ask() {
    let mut client = RawClient::of(|state| Sandboxed::new(Server(state))).await;
    let params = json!({ "name": "search", "arguments": {} });
    client
        .send(json!({ "id": 1, "method": "tools/call", "params": params }))
        .await;
    let (before, answer) = client.read_until(1).await;
    assert_eq!(before, Vec::<Value>::new());
    assert_eq!(answer["content"][0]["text"], "found");
}
