//! A server in `TellFailures` completes the answers that tell a failure, and no others.

use rmcp::handler::server::wrapper::Json;
use rmcp::model::{CallToolRequestParams, ClientConfig, ErrorCode, InitializeResult, ProtocolVersion};
use rmcp::service::serve_directly;
use rmcp::{ErrorData, RoleClient, RoleServer, tool, tool_router};
use sandbox_runtime::mcp::TellFailures;
use sandbox_runtime::{SandboxError, sandboxed};
use serde_json::{Value, json};

use crate::support::{Client, error, text};

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
async fn search() -> Result<String, String> {
    std::future::pending().await
}

const SEARCH_TIMED_OUT: &str = "`search` timed out after 100 ms. Calling it again does no harm, but the same request is \
                                unlikely to be answered: ask for less, or go on without it.";

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, idempotent = false)]
async fn save() {
    std::future::pending().await
}

const SAVE_TIMED_OUT: &str = "`save` timed out after 100 ms. It may have taken effect: check before you call it again.";

/// Has nothing to tell.
#[sandboxed(breaker = off)]
async fn keep() {}

/// Its text for a failure of the engine's is its own.
#[derive(Debug, thiserror::Error)]
#[error("no weather: {0}")]
struct NoWeather(#[from] SandboxError);

impl rmcp::model::IntoContents for NoWeather {
    fn into_contents(self) -> Vec<rmcp::model::ContentBlock> {
        self.to_string().into_contents()
    }
}

struct Server;

#[tool_router(server_handler)]
impl Server {
    #[tool]
    async fn goes_on_without(&self) -> String {
        search().await.unwrap_or_else(|_| "nothing found".to_owned())
    }

    #[tool]
    async fn hands_on(&self) -> Result<String, String> {
        search().await.map_err(|error| format!("no list: {error}"))
    }

    #[tool]
    async fn hands_on_later(&self) -> Result<String, String> {
        let found = search().await;
        keep().await;
        found
    }

    #[tool]
    async fn quotes(&self) -> String {
        search()
            .await
            .unwrap_or_else(|error| format!("from the archive, because {error}"))
    }

    #[tool]
    async fn fails_by_itself(&self) -> Result<String, String> {
        let _ = search().await;
        Err("the index is locked".to_owned())
    }

    #[tool]
    async fn fails_as_the_protocol_does(&self) -> Result<String, ErrorData> {
        let _ = search().await;
        Err(ErrorData::resource_not_found("no index", None))
    }

    #[sandboxed(breaker = off)]
    #[tool]
    async fn has_another_way(&self) -> Result<String, String> {
        search().await.or_else(|_| Ok("from the archive".to_owned()))
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, on_failure = |_| "come back later".to_owned())]
    #[tool]
    async fn speaks_for_itself(&self) -> String {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, on_failure = |_| ())]
    #[tool]
    async fn is_silent(&self) {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
    #[tool]
    async fn has_words_of_its_own(&self) -> Result<Json<Vec<u32>>, NoWeather> {
        std::future::pending().await
    }

    #[tool]
    async fn does_not_know(&self) -> String {
        save().await;
        "saved".to_owned()
    }

    #[sandboxed(breaker = off)]
    #[tool]
    async fn does_not_know_twice(&self) -> Result<String, String> {
        save().await;
        save().await;
        Ok("saved".to_owned())
    }
}

async fn call(tool: &'static str) -> Result<Value, ErrorData> {
    Client::of(|_| TellFailures(Server)).await.call(tool, json!({})).await
}

/// The tool that the data of an answer is about.
fn about(answer: &Value) -> &Value {
    &answer["_meta"]["io.crates.sandbox-runtime/failure"]["tool"]
}

#[tokio::test(start_paused = true)]
async fn answers_that_tell_none_are_left_alone() {
    for (tool, answer) in [
        ("goes_on_without", text("nothing found")),
        ("quotes", text(&format!("from the archive, because {SEARCH_TIMED_OUT}"))),
        ("fails_by_itself", error("the index is locked")),
        ("has_another_way", text("from the archive")),
        ("speaks_for_itself", text("come back later")),
        ("is_silent", json!({ "content": [], "isError": false })),
    ] {
        assert_eq!(call(tool).await, Ok(answer), "{tool}");
    }
    let error = call("fails_as_the_protocol_does").await.unwrap_err();
    assert_eq!(
        (error.code, &*error.message),
        (ErrorCode::RESOURCE_NOT_FOUND, "no index")
    );
}

#[tokio::test(start_paused = true)]
async fn errors_that_quote_one_get_its_data() {
    for (tool, words, failed) in [
        ("hands_on", format!("no list: {SEARCH_TIMED_OUT}"), "search"),
        ("hands_on_later", SEARCH_TIMED_OUT.to_owned(), "search"),
        (
            "has_words_of_its_own",
            "no weather: timed out: no answer within 100 ms".to_owned(),
            "has_words_of_its_own",
        ),
    ] {
        let mut answer = call(tool).await.unwrap();
        assert_eq!(about(&answer), failed, "{tool}");
        answer.as_object_mut().unwrap().remove("_meta");
        assert_eq!(answer, error(&words), "{tool}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_function_could_not_tell_its_caller_stands_below_the_answer() {
    for tool in ["does_not_know", "does_not_know_twice"] {
        let answer = call(tool).await.unwrap();
        let content = [("text", "saved"), ("text", SAVE_TIMED_OUT)];
        assert_eq!(
            answer["content"],
            json!(content.map(|(kind, text)| json!({ "type": kind, "text": text }))),
            "{tool}"
        );
        assert_eq!(
            (&answer["isError"], about(&answer)),
            (&json!(true), &json!("save")),
            "{tool}"
        );
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(
    expected = "`save` timed out after 100 ms; a function that returns `()` can tell of it only in a server in \
                           `sandbox_runtime::mcp::TellFailures`, any other returns a `Result`"
)]
async fn and_elsewhere_it_panics() {
    save().await;
}

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
async fn refused() -> Result<(), ErrorData> {
    std::future::pending().await
}

struct Versions;

#[tool_router(server_handler)]
impl Versions {
    #[tool]
    async fn fails(&self) -> Result<(), ErrorData> {
        refused().await
    }

    #[tool]
    async fn works(&self) {}
}

#[tokio::test(start_paused = true)]
async fn in_the_shape_that_the_clients_version_of_the_protocol_has() {
    for (version, kind) in [
        (ProtocolVersion::V_2025_11_25, None),
        (ProtocolVersion::V_2026_07_28, Some("complete")),
    ] {
        let (near, far) = tokio::io::duplex(4_096);
        let mut client = ClientConfig::default();
        client.protocol_version = version.clone();
        let mut server = InitializeResult::default();
        server.protocol_version = version.clone();
        let far = serve_directly::<RoleServer, _, _, _, _>(TellFailures(Versions), far, Some(client.clone()));
        tokio::spawn(far.waiting());
        let near = serve_directly::<RoleClient, _, _, _, _>(client, near, Some(server.into()));
        for tool in ["works", "fails"] {
            let result = near.call_tool(CallToolRequestParams::new(tool)).await.unwrap();
            let answer = serde_json::to_value(result).unwrap();
            assert_eq!(answer["isError"], json!(tool == "fails"), "{tool}, {version}");
            assert_eq!(
                answer.get("resultType").and_then(Value::as_str),
                kind,
                "{tool}, {version}"
            );
        }
    }
}
