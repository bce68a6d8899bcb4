//! A call that has failed again and again with the same arguments is answered without being made, if its server was asked to.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolRequestParams;
use rmcp::{ServiceExt, tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{Failure, sandboxed};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{RawClient, State};

#[derive(Deserialize, JsonSchema)]
struct Path {
    path: String,
    #[serde(default)]
    depth: u32,
}

#[derive(Clone)]
struct Files(Arc<State>);

#[tool_router(server_handler)]
impl Files {
    /// Knows one path only.
    #[sandboxed(max_retries = 0, breaker = off)]
    #[tool]
    async fn read_file(&self, Parameters(Path { path, depth }): Parameters<Path>) -> Result<String, String> {
        let attempt = self.0.attempt();
        match (&*path, depth) {
            ("there", _) => Ok(format!("attempt {attempt}")),
            _ => Err(format!("no such file: attempt {attempt}")),
        }
    }

    /// Has nothing that could be changed.
    #[sandboxed(max_retries = 0, breaker = off)]
    #[tool]
    async fn free_space(&self) -> Result<String, String> {
        Err(format!("no disk: attempt {}", self.0.attempt()))
    }

    /// Never makes an attempt.
    #[sandboxed(breaker = &self.0.breaker, on_failure = |failure: Failure| Err(failure.for_model()))]
    #[tool]
    async fn behind_an_open_breaker(&self) -> Result<String, String> {
        Ok("open".to_owned())
    }
}

fn three_times(state: Arc<State>) -> Sandboxed<Files> {
    Sandboxed::new(Files(state)).refuse_repeated_failures(3)
}

/// The text of the answer.
async fn call(client: &mut RawClient, tool: &str, arguments: Value) -> String {
    client.call(7, tool, arguments).await;
    let (_, answer) = client.read_until(7).await;
    answer["content"][0]["text"].as_str().unwrap().to_owned()
}

const REFUSED: &str = "`read_file` has failed 3 times in a row with exactly these arguments, and was not called again. \
                       Change them, or go on without it.";

#[tokio::test(start_paused = true)]
async fn from_the_fourth_time_on() {
    let mut client = RawClient::of(three_times).await;
    for attempt in 1..=3 {
        let text = call(&mut client, "read_file", json!({ "path": "gone", "depth": 1 })).await;
        assert_eq!(text, format!("no such file: attempt {attempt}"));
    }
    for _ in 0..5 {
        let text = call(&mut client, "read_file", json!({ "depth": 1, "path": "gone" })).await;
        assert_eq!(text, REFUSED, "in whatever order the keys are");
    }
    assert_eq!(client.server.attempts.load(Relaxed), 3, "it was not run");
    client.call(8, "read_file", json!({ "depth": 1, "path": "gone" })).await;
    let (_, answer) = client.read_until(8).await;
    let data = json!({
        "kind": "repeated_failure",
        "tool": "read_file",
        "attempts": 0,
        "consecutive_failures": 3,
        "retry_after_ms": 600_000,
        "may_have_executed": false,
    });
    assert_eq!(answer["_meta"]["sandboxed/failure"], data, "as data");
    let text = call(&mut client, "read_file", json!({ "path": "there" })).await;
    assert_eq!(text, "attempt 4", "other arguments");
    let text = call(&mut client, "read_file", json!({ "path": "gone", "depth": 1 })).await;
    assert_eq!(text, "no such file: attempt 5", "it starts anew");
}

#[tokio::test(start_paused = true)]
async fn without_arguments_for_some_time() {
    let mut client = RawClient::of(three_times).await;
    for attempt in 1..=3 {
        let text = call(&mut client, "free_space", json!({})).await;
        assert_eq!(text, format!("no disk: attempt {attempt}"));
    }
    tokio::time::advance(Duration::from_millis(9_500)).await;
    let refused = "`free_space` has failed 3 times in a row without arguments, and was not called again. \
                   Do not call it like that for 591 s; go on without it.";
    for none in [json!({}), Value::Null] {
        let text = call(&mut client, "free_space", none.clone()).await;
        assert_eq!(text, refused, "with {none} for its arguments");
    }
    tokio::time::advance(Duration::from_millis(590_500)).await;
    let text = call(&mut client, "free_space", json!({})).await;
    assert_eq!(text, "no disk: attempt 4", "when that time is over");
}

/// Also of a server that is copied for each.
#[tokio::test(start_paused = true)]
async fn each_connection_counts_for_itself() {
    let server = three_times(State::new());
    for connection in 0..2 {
        let (near, far) = tokio::io::duplex(65_536);
        let server = server.clone();
        tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
        let client = ().serve(near).await.unwrap();
        for number in 1..=5 {
            let call = CallToolRequestParams::new("read_file").with_arguments(rmcp::object!({ "path": "gone" }));
            let answer = serde_json::to_value(client.call_tool(call).await.unwrap()).unwrap();
            let expected = match number {
                1..=3 => format!("no such file: attempt {}", connection * 3 + number),
                _ => REFUSED.to_owned(),
            };
            assert_eq!(
                answer["content"][0]["text"], expected,
                "call {number} of connection {connection}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_made_is_no_failure() {
    let mut client = RawClient::of(three_times).await;
    while !client.server.breaker.is_open() {
        client.server.breaker.record_failure();
    }
    for _ in 0..9 {
        let text = call(&mut client, "behind_an_open_breaker", json!({})).await;
        assert!(
            text.contains("is unavailable"),
            "its own words, with the time until the next try: {text}"
        );
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(call(&mut client, "behind_an_open_breaker", json!({})).await, "open");
}
