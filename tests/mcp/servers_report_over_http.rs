//! A server in `Sandboxed` works wherever rmcp makes servers: here, one for each request over HTTP.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};

struct Server;

#[tool_router(server_handler)]
impl Server {
    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
    #[tool]
    async fn nothing(&self) {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_tool_could_not() {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(|| Ok(Sandboxed::new(Server)), sessions, config);

    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "nothing" } });
    let request = Request::post("/")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Full::new(Bytes::from(call.to_string())))
        .unwrap();
    let answer = service.handle(request).await.into_body().collect().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.to_bytes()).unwrap();

    let result = &answer["result"];
    let failure = &result["_meta"]["sandboxed/failure"];
    assert_eq!(result["isError"], true, "{answer}");
    assert_eq!(failure["kind"], "timeout", "{answer}");
}
