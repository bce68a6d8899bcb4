//! Texts, data and progress are about the tool that the client has called, by the name that the client knows, wherever that name
//! was given: in `#[tool]` above the attribute, below it, or by a router when the program runs.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{SandboxError, sandboxed};
use serde_json::{Value, json};

use crate::support::{Client, RawClient};

struct Server(ToolRouter<Server>);

#[derive(Debug, thiserror::Error)]
enum SearchError {
    #[error("no index: {0}")]
    Sandbox(#[from] SandboxError),
}

#[tool_router]
impl Server {
    /// A server that gives one of its tools another name, as those do that put a prefix before them.
    fn new() -> Server {
        let mut router = Self::tool_router();
        let mut route = router.map.remove("renamed").expect("the macro has made a route");
        route.attr.name = "shop_renamed".into();
        router.add_route(route);
        Server(router)
    }

    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    #[tool(name = "find_below")]
    async fn name_below(&self) -> Result<String, String> {
        std::future::pending().await
    }

    #[tool(name = "find_above")]
    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    async fn name_above(&self) -> Result<String, String> {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    #[tool]
    async fn renamed(&self) -> Result<String, String> {
        std::future::pending().await
    }

    #[tool(name = "find_silently")]
    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    async fn silent(&self) {
        std::future::pending().await
    }

    #[tool(name = "find_as_text")]
    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    async fn as_text(&self) -> String {
        std::future::pending().await
    }

    #[tool(name = "find_by_type")]
    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    async fn by_type(&self) -> Result<String, rmcp::ErrorData> {
        let typed = self.typed().await;
        typed.map_err(|error| rmcp::ErrorData::internal_error(error.to_string(), None))
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
    async fn typed(&self) -> Result<String, SearchError> {
        std::future::pending().await
    }

    /// Has no attribute, and calls another tool.
    #[tool]
    async fn asks_another(&self) -> Result<String, String> {
        self.other().await
    }

    #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
    #[tool]
    async fn other(&self) -> Result<String, String> {
        std::future::pending().await
    }

    /// Has no attribute, and calls a function that is no tool.
    #[tool]
    async fn asks_a_function(&self) -> Result<String, String> {
        function().await
    }
}

#[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
async fn function() -> Result<String, String> {
    std::future::pending().await
}

#[tool_handler(router = self.0)]
impl ServerHandler for Server {}

fn text(tool: &str) -> String {
    format!(
        "`{tool}` timed out after 1 s, in the last of 2 attempts. Calling it again does no harm, but the same request is \
         unlikely to be answered: ask for less, or go on without it."
    )
}

/// What a client knows a failed tool by, and the name in what it reads then.
const NAMES: [(&str, &str); 7] = [
    ("find_below", "find_below"),
    ("find_above", "find_above"),
    ("shop_renamed", "shop_renamed"),
    ("find_silently", "find_silently"),
    ("find_as_text", "find_as_text"),
    // The client knows this one, too, and may call it by itself.
    ("asks_another", "other"),
    // This one is nothing to the client, but only it has failed: the tool may have had another way.
    ("asks_a_function", "function"),
];

#[tokio::test(start_paused = true)]
async fn in_texts_and_data() {
    let client = Client::of(|_| Sandboxed::new(Server::new())).await;
    for (tool, name) in NAMES {
        let answer = client.call(tool, json!({})).await.expect("failures are results");
        let text = text(name);
        assert_eq!(answer["content"], json!([{ "type": "text", "text": text }]), "{tool}");
        assert_eq!(answer["isError"], true, "{tool}");
        assert_eq!(answer["_meta"]["sandboxed/failure"]["tool"], name, "{tool}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_progress() {
    for (tool, name) in NAMES {
        let mut client = RawClient::of(|_| Sandboxed::new(Server::new())).await;
        client.call(1, tool, json!({})).await;
        let (before, _) = client.read_until(1).await;
        let told: Vec<_> = before.iter().map(|told| &told["params"]["message"]).collect();
        let expected = format!("`{name}`: attempt 1 of 2 timed out after 1 s; the next begins now");
        assert_eq!(told, [&Value::from(expected)], "{tool}");
    }
}

/// A tool that only hands on what another function reports keeps that function's name, whatever its own.
#[tokio::test(start_paused = true)]
async fn and_not_in_what_a_renamed_tool_hands_on() {
    let client = Client::of(|_| Sandboxed::new(Server::new())).await;
    let answer = client
        .call("find_by_type", json!({}))
        .await
        .expect("failures are results");
    assert_eq!(answer["_meta"]["sandboxed/failure"]["tool"], "typed");
}

/// A server that does not tell which tools it has.
struct ByHand;

impl ServerHandler for ByHand {
    async fn call_tool(
        &self,
        _: rmcp::model::CallToolRequestParams,
        _: rmcp::service::RequestContext<rmcp::RoleServer>,
    ) -> Result<rmcp::model::CallToolResponse, rmcp::ErrorData> {
        let answer = Server::new().other().await;
        Ok(match answer {
            Ok(text) => rmcp::model::CallToolResult::success(vec![rmcp::model::ContentBlock::text(text)]),
            Err(text) => rmcp::model::CallToolResult::error(vec![rmcp::model::ContentBlock::text(text)]),
        }
        .into())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_renamed_where_the_tools_are_not_known() {
    let client = Client::of(|_| Sandboxed::new(ByHand)).await;
    let answer = client.call("anything", json!({})).await.expect("failures are results");
    assert_eq!(answer["content"][0]["text"], text("other"));
    assert_eq!(answer["_meta"]["sandboxed/failure"]["tool"], "other");
}
