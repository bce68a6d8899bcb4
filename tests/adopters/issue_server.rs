//! An MCP server in front of an API: generic over its client, structured answers, errors by `thiserror`, `anyhow` inside, settings
//! from a configuration.

use std::future::Future;

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::CallToolResult;
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use sandbox_runtime::{ErrorVerdict, Failure, FromFailure, Policy, sandboxed};
use serde_json::json;

use crate::support::{Client, FAILS_TWICE, World};

trait Api: Clone + Send + Sync + 'static {
    fn get(&self, path: String) -> impl Future<Output = anyhow::Result<String>> + Send;
}

#[derive(Debug, Clone)]
struct Http(World);

impl Api for Http {
    async fn get(&self, path: String) -> anyhow::Result<String> {
        anyhow::ensure!(!path.contains("404"), ApiError::Missing { path });
        self.0.request().await?;
        Ok(path)
    }
}

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum ApiError {
    #[error("there is no {path}")]
    #[verdict(ignore)]
    Missing { path: String },
    #[error("{0:#}")]
    Other(anyhow::Error),
    #[error("{}", .0.for_model())]
    Sandbox(Failure),
}

impl FromFailure for ApiError {
    fn from_failure(failure: Failure) -> Self {
        ApiError::Sandbox(failure)
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        error.downcast().unwrap_or_else(ApiError::Other)
    }
}

/// As a tool's error it is a text for the model.
impl rmcp::handler::server::tool::IntoCallToolResult for ApiError {
    fn into_call_tool_result(self) -> Result<rmcp::model::CallToolResponse, rmcp::ErrorData> {
        CallToolResult::error(vec![rmcp::model::ContentBlock::text(self.to_string())]).into_call_tool_result()
    }
}

#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
struct Issue {
    number: u32,
}

#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
struct Title {
    title: String,
}

struct Config {
    policy: Policy,
}

struct IssueServer<A> {
    api: A,
    config: Config,
}

#[tool_router]
#[sandboxed(policy = self.config.policy, breaker(threshold = 3))]
impl<A: Api> IssueServer<A> {
    #[tool(description = "The title of an issue")]
    async fn title(&self, Parameters(issue): Parameters<Issue>) -> Result<Json<Title>, ApiError> {
        let title = self.api.get(format!("issues/{}/title", issue.number)).await?;
        Ok(Json(Title { title }))
    }

    #[tool(description = "The labels of an issue")]
    #[sandboxed(name = "list_labels")]
    async fn labels(&self, Parameters(Issue { number }): Parameters<Issue>) -> Result<String, ApiError> {
        let labels = async { self.api.get(format!("issues/{number}/labels")).await };
        Ok(labels.await?)
    }
}

#[tool_handler]
impl<A: Api> ServerHandler for IssueServer<A> {}

fn server(script: &World, max_retries: u32) -> IssueServer<Http> {
    let policy = json!({ "max_retries": max_retries, "backoff_base_ms": 10, "timeout_ms": 2_000 });
    IssueServer {
        api: Http(script.clone()),
        config: Config {
            policy: serde_json::from_value(policy).unwrap(),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn the_configuration_says_how_often_to_try() {
    for (max_retries, is_error) in [(2, false), (1, true)] {
        let world = World::with(FAILS_TWICE);
        let client = Client::of(server(&world, max_retries)).await;
        let (text, failed) = client.call("title", json!({ "number": 7 })).await;
        assert_eq!((failed, world.requests()), (is_error, max_retries + 1), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_asks_for_what_is_not_there_does_not_switch_it_off() {
    let world = World::default();
    let client = Client::of(server(&world, 2)).await;
    for _ in 0..10 {
        let answer = client.call("labels", json!({ "number": 404 })).await;
        assert_eq!(answer, ("there is no issues/404/labels".into(), true));
    }
    let answer = client.call("labels", json!({ "number": 7 })).await;
    assert_eq!(answer, ("issues/7/labels".into(), false));
}
