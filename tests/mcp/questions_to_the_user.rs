//! A tool that asks its user: a "no" is the user's, and is asked for once; and nobody is left with a question whose answer no
//! longer matters.

#![expect(deprecated, reason = "sampling: clients still have it")]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rmcp::model::{CreateMessageRequestParams, SamplingMessage};
use rmcp::service::{ElicitationError, Peer, RequestContext, ServiceError};
use rmcp::{RoleServer, elicit_safe, tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{ErrorVerdict, Failure, FromFailure, sandboxed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{RawClient, State};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Address {
    city: String,
}

elicit_safe!(Address);

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum AskError {
    #[error("the user was not asked: {0}")]
    #[verdict(source)]
    Elicitation(#[from] ElicitationError),
    #[error("the model was not asked: {0}")]
    #[verdict(source)]
    Service(#[from] ServiceError),
    #[error("{0}")]
    #[verdict(ignore)]
    Sandbox(Failure),
}

impl FromFailure for AskError {
    fn from_failure(failure: Failure) -> Self {
        AskError::Sandbox(failure)
    }
}

impl rmcp::handler::server::tool::IntoCallToolResult for AskError {
    fn into_call_tool_result(self) -> Result<rmcp::model::CallToolResponse, rmcp::ErrorData> {
        self.to_string().into_call_tool_result()
    }
}

struct Server(Arc<State>);

impl Server {
    async fn ask(&self, peer: &Peer<RoleServer>) -> Result<String, ElicitationError> {
        self.0.attempt();
        let address = peer.elicit::<Address>("Where do you live?").await?;
        Ok(address.map_or_else(String::new, |address| address.city))
    }
}

#[tool_router(server_handler)]
impl Server {
    #[sandboxed(timeout_ms = 60_000, backoff_base_ms = 0, breaker = &self.0.breaker)]
    #[tool]
    async fn typed(&self, context: RequestContext<RoleServer>) -> Result<String, AskError> {
        Ok(self.ask(&context.peer).await?)
    }

    #[sandboxed(timeout_ms = 60_000, backoff_base_ms = 0, breaker = &self.0.breaker)]
    #[tool]
    async fn text(&self, peer: Peer<RoleServer>) -> Result<String, String> {
        self.ask(&peer).await.map_err(|error| error.to_string())
    }

    #[sandboxed(timeout_ms = 60_000, backoff_base_ms = 0, breaker = &self.0.breaker)]
    #[tool]
    async fn sampling(&self, peer: Peer<RoleServer>) -> Result<String, AskError> {
        self.0.attempt();
        let messages = vec![SamplingMessage::user_text("Where is that?")];
        let answer = peer
            .create_message(CreateMessageRequestParams::new(messages, 10))
            .await?;
        Ok(answer.model)
    }

    /// Fails by itself, after it was answered.
    #[sandboxed(backoff_base_ms = 0, breaker = &self.0.breaker)]
    #[tool]
    async fn fails_later(&self, peer: Peer<RoleServer>) -> Result<String, String> {
        let _ = self.ask(&peer).await;
        sleep(Duration::from_secs(1)).await;
        Err("the map is down".into())
    }

    #[sandboxed(timeout_ms = 5_000, max_retries = 1, breaker = &self.0.breaker)]
    #[tool]
    async fn in_time(&self, peer: Peer<RoleServer>) -> Result<String, AskError> {
        Ok(self.ask(&peer).await?)
    }
}

async fn client() -> RawClient {
    RawClient::of(|state| Sandboxed::new(Server(state))).await
}

/// Calls a tool, and answers each question with this until the tool answers. Returns how many there were, and the answer.
async fn answered(client: &mut RawClient, id: u32, tool: &str, answer: &Value) -> (u32, Value) {
    client.call(id, tool, json!({})).await;
    let mut questions = 0;
    loop {
        let message = client.read().await;
        match message["method"].as_str() {
            Some("elicitation/create" | "sampling/createMessage") => {
                questions += 1;
                let mut answer = answer.clone();
                answer["id"] = message["id"].clone();
                client.send(answer).await;
            }
            Some("notifications/progress") => {}
            None if message["id"] == id => return (questions, message["result"].clone()),
            _ => panic!("{message}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_no_is_asked_for_once_and_leaves_no_mark() {
    let declined = json!({ "result": { "action": "decline" } });
    let dismissed = json!({ "result": { "action": "cancel" } });
    let rejected = json!({ "error": { "code": -1, "message": "User rejected sampling request" } });
    let unfit = json!({ "result": { "action": "accept", "content": { "city": 7 } } });
    for (tool, answer) in [
        ("typed", &declined),
        ("typed", &dismissed),
        ("typed", &unfit),
        ("text", &declined),
        ("text", &dismissed),
        ("sampling", &rejected),
    ] {
        let mut client = client().await;
        // More often than would open the breaker.
        for id in 1..=5 {
            let (questions, result) = answered(&mut client, id, tool, answer).await;
            assert_eq!(questions, 1, "{tool}, {answer}");
            assert_eq!(result["isError"], true, "{result}");
        }
        assert_eq!(client.server.attempts.load(Relaxed), 5, "{tool}, {answer}");
        assert_eq!(client.server.breaker.failure_count(), 0, "{tool}, {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_is_an_answer() {
    let yes = json!({ "result": { "action": "accept", "content": { "city": "Lisbon" } } });
    let (questions, result) = answered(&mut client().await, 1, "text", &yes).await;
    assert_eq!((questions, &result["content"][0]["text"]), (1, &json!("Lisbon")));
}

#[tokio::test(start_paused = true)]
async fn what_fails_later_is_not_the_users_doing() {
    let declined = json!({ "result": { "action": "decline" } });
    let mut client = client().await;
    let (questions, _) = answered(&mut client, 1, "fails_later", &declined).await;
    assert_eq!(questions, 3, "one for each attempt");
    assert_eq!(client.server.breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_a_limit_cuts_is_withdrawn() {
    let mut client = client().await;
    client.call(1, "in_time", json!({})).await;
    let (before, answer) = client.read_until(1).await;
    let told: Vec<_> = before
        .iter()
        .map(|message| message["method"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "elicitation/create",
            "notifications/cancelled",
            "notifications/progress",
            "elicitation/create",
            "notifications/cancelled",
        ],
        "{before:?}"
    );
    assert_eq!(before[1]["params"]["requestId"], before[0]["id"]);
    assert_eq!(before[4]["params"]["requestId"], before[3]["id"]);
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("`in_time` timed out after 5000 ms"), "{text}");
    // A late answer to what was withdrawn disturbs nobody.
    client
        .send(json!({ "id": before[3]["id"], "result": { "action": "decline" } }))
        .await;
    let yes = json!({ "result": { "action": "accept", "content": { "city": "Porto" } } });
    let (_, result) = answered(&mut client, 2, "text", &yes).await;
    assert_eq!(result["content"][0]["text"], "Porto");
}

#[tokio::test(start_paused = true)]
async fn a_question_of_a_cancelled_request_is_withdrawn() {
    let mut client = client().await;
    client.call(1, "typed", json!({})).await;
    let question = client.read().await;
    assert_eq!(question["method"], "elicitation/create");
    client
        .send(json!({ "method": "notifications/cancelled", "params": { "requestId": 1 } }))
        .await;
    let withdrawn = client.read().await;
    assert_eq!(withdrawn["method"], "notifications/cancelled", "{withdrawn}");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
}
