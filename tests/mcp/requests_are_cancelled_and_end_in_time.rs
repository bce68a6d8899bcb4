//! A request's calls end when its client cancels it, without a word in the tool, and before its client would give it up.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{NumberOrString, ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use rmcp::{tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{RawClient, State};

/// Notifies when the attempt that holds it is dropped.
struct Guard<'a>(&'a State);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.ended.notify_one();
    }
}

struct Server(Arc<State>);

#[tool_router(server_handler)]
impl Server {
    #[sandboxed(breaker = &self.0.breaker)]
    #[tool]
    async fn hang(&self) -> Result<String, String> {
        self.0.attempt();
        let _guard = Guard(&self.0);
        std::future::pending().await
    }

    #[sandboxed(backoff_base_ms = 10_000, breaker = &self.0.breaker)]
    #[tool]
    async fn fail(&self) -> Result<String, String> {
        self.0.attempt();
        let _guard = Guard(&self.0);
        Err("down".into())
    }

    #[sandboxed(timeout_ms = off, breaker = &self.0.breaker)]
    #[tool]
    async fn hang_for_ever(&self) -> Result<String, String> {
        self.0.attempt();
        std::future::pending().await
    }

    /// Tells its progress every 40 s.
    #[sandboxed(timeout_ms = off)]
    #[tool]
    async fn work(&self, peer: Peer<RoleServer>) -> Result<String, String> {
        for step in [1.0, 2.0, 3.0] {
            sleep(Duration::from_secs(40)).await;
            let token = ProgressToken(NumberOrString::String("token".into()));
            peer.notify_progress(ProgressNotificationParam::new(token, step))
                .await
                .unwrap();
        }
        sleep(Duration::from_secs(100)).await;
        Ok("done".into())
    }

    /// Sandboxed calls one after the other.
    #[tool]
    async fn one_after_the_other(&self) -> Result<String, String> {
        let first = self.hang().await;
        let second = self.hang().await;
        Err(format!("{} {}", first.unwrap_err(), second.unwrap_err()))
    }
}

fn server(state: Arc<State>) -> Sandboxed<Server> {
    Sandboxed::new(Server(state))
}

#[tokio::test(start_paused = true)]
async fn in_an_attempt_and_in_a_delay_without_a_mark() {
    for (tool, attempts) in [("hang", 1), ("fail", 1)] {
        let mut client = RawClient::of(server).await;
        client.call(1, tool, json!({})).await;
        let began = Instant::now();
        sleep(Duration::from_secs(1)).await;
        client
            .send(json!({ "method": "notifications/cancelled", "params": { "requestId": 1 } }))
            .await;
        client.server.ended.notified().await;
        // What an attempt that goes on would count, and what the next one would.
        sleep(Duration::from_secs(300)).await;
        assert_eq!(client.server.attempts.load(Relaxed), attempts, "{tool}");
        assert_eq!(client.server.breaker.failure_count(), 0, "{tool}");
        // Nothing is answered to what was cancelled: the next message is about the next call.
        client.call(2, "hang_for_ever", json!({})).await;
        let (before, _) = client.read_until(2).await;
        let retries = before.iter().filter(|message| message["params"]["progress"] != 1.0);
        assert_eq!(retries.count(), 0, "{tool}: {before:?}");
        assert!(began.elapsed() > Duration::from_secs(300));
    }
}

/// The text of a failed call, and how long it took.
async fn text_of(client: &mut RawClient, tool: &str) -> (Value, Duration) {
    let began = Instant::now();
    client.call(1, tool, json!({})).await;
    let (_, answer) = client.read_until(1).await;
    (answer["content"][0]["text"].clone(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn before_the_client_gives_it_up() {
    let mut client = RawClient::of(server).await;
    let (text, took) = text_of(&mut client, "hang_for_ever").await;
    assert_eq!(
        text,
        "`hang_for_ever` did not finish in the 55 s that it had. Ask for less, or go on without it."
    );
    assert_eq!(took, Duration::from_secs(55));
    assert_eq!(
        client.server.breaker.failure_count(),
        0,
        "the end of the request is not the tool's fault"
    );
}

#[tokio::test(start_paused = true)]
async fn in_total_whatever_the_number_of_calls_and_attempts() {
    let mut client = RawClient::of(server).await;
    // Three attempts of 30 s would be 90 s, and another call as much.
    let (text, took) = text_of(&mut client, "one_after_the_other").await;
    assert_eq!(took, Duration::from_secs(55));
    let text = text.as_str().unwrap();
    assert!(
        text.contains("`hang` did not finish in the 55 s that it had."),
        "{text}"
    );
    assert!(text.contains("`hang` was not called: there is no time left."), "{text}");
    assert_eq!(client.server.attempts.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn after_another_time_or_none() {
    let mut client = RawClient::of(|state| server(state).request_limit(Duration::from_secs(7))).await;
    let (_, took) = text_of(&mut client, "hang_for_ever").await;
    assert_eq!(took, Duration::from_secs(7));
    let mut client = RawClient::of(|state| server(state).without_request_limit()).await;
    let (_, took) = text_of(&mut client, "one_after_the_other").await;
    // Of the first call: its timeouts open the breaker for the second.
    assert_eq!(took, Duration::from_secs(3 * 30) + Duration::from_millis(500 + 1_000));
}

#[tokio::test(start_paused = true)]
async fn later_if_the_tool_tells_its_progress_and_that_counts() {
    let mut client = RawClient::of(server).await;
    let (text, took) = text_of(&mut client, "work").await;
    assert_eq!(
        took,
        Duration::from_secs(55),
        "progress counts only if it was asked to: {text}"
    );
    let mut client = RawClient::of(|state| server(state).extended_by_progress()).await;
    let (text, took) = text_of(&mut client, "work").await;
    assert_eq!(took, Duration::from_secs(3 * 40 + 55), "{text}");
    assert!(text.as_str().unwrap().contains("did not finish in the 175 s"), "{text}");
}
