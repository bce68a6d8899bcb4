//! A server in `Sandboxed` works wherever rmcp makes servers: here, one for each request over HTTP, and one for each session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt;
use hyper::Method;
use rmcp::model::{NumberOrString, ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, tool, tool_router};
use sandbox_runtime::mcp::{Sandboxed, SandboxedSessions};
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};

use crate::http;

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

    let call = json!({ "id": 1, "method": "tools/call", "params": { "name": "nothing" } });
    let request = http::request(Method::POST, None, call);
    let answer = service.handle(request).await.into_body().collect().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.to_bytes()).unwrap();

    let result = &answer["result"];
    let failure = &result["_meta"]["sandboxed/failure"];
    assert_eq!(result["isError"], true, "{answer}");
    assert_eq!(failure["kind"], "timeout", "{answer}");
}

/// Counts to 2 in each of its attempts, of which the second succeeds.
struct Counting(AtomicU32);

#[tool_router(server_handler)]
impl Counting {
    #[sandboxed(backoff_base_ms = 10)]
    #[tool]
    async fn count(&self, peer: Peer<RoleServer>) -> Result<String, String> {
        for step in [1.0, 2.0] {
            let token = ProgressToken(NumberOrString::String("token".into()));
            peer.notify_progress(ProgressNotificationParam::new(token, step))
                .await
                .unwrap();
        }
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err("again".into()),
            _ => Ok("counted".into()),
        }
    }
}

/// Sends a message, and returns the session and the body of the answer.
async fn post<M: SessionManager>(
    service: &StreamableHttpService<Sandboxed<Counting>, M>,
    session: Option<&str>,
    message: Value,
) -> (Option<String>, String) {
    let answer = service.handle(http::request(Method::POST, session, message)).await;
    let session = answer.headers().get("mcp-session-id");
    let session = session.map(|session| session.to_str().unwrap().to_owned());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (session, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn progress_that_increases_in_a_session() {
    let sessions = SandboxedSessions::new(LocalSessionManager::default());
    let config = StreamableHttpServerConfig::default();
    let make = || Ok(Sandboxed::new(Counting(AtomicU32::new(0))));
    let service = StreamableHttpService::new(make, Arc::new(sessions), config);
    let about = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "raw", "version": "0" },
    });
    let (session, _) = post(
        &service,
        None,
        json!({ "id": 0, "method": "initialize", "params": about }),
    )
    .await;
    let session = session.expect("the server begins a session");
    let initialized = json!({ "method": "notifications/initialized" });
    post(&service, Some(&session), initialized).await;
    let params = json!({ "name": "count", "_meta": { "progressToken": "token" } });
    let call = json!({ "id": 1, "method": "tools/call", "params": params });
    let (_, events) = post(&service, Some(&session), call).await;
    let messages = events.lines().filter_map(|line| line.strip_prefix("data: {"));
    let messages: Vec<Value> = messages
        .map(|message| serde_json::from_str(&format!("{{{message}")).unwrap())
        .collect();
    let told: Vec<_> = messages
        .iter()
        .filter_map(|message| message["params"]["progress"].as_f64())
        .collect();
    assert_eq!(told, [1.0, 2.0, 3.0, 4.0, 5.0], "{events}");
    assert_eq!(
        messages.last().unwrap()["result"]["content"][0]["text"],
        "counted",
        "{events}"
    );
}
