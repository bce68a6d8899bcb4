//! What a tool's `cancel = context.ct` hears of a client that is gone, and when: rmcp decides that, and the documentation tells it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Method, Response};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::http;

/// What the test sees of the tool.
#[derive(Default)]
struct Seen {
    begun: Notify,
    ended: Mutex<Option<Instant>>,
    has_ended: Notify,
}

struct Server(Arc<Seen>);

/// Notes when the tool is dropped.
struct Ends(Arc<Seen>);

impl Drop for Ends {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap() = Some(Instant::now());
        self.0.has_ended.notify_one();
    }
}

#[tool_router(server_handler)]
impl Server {
    #[sandboxed(cancel = context.ct, timeout_ms = off, max_retries = 0, breaker = off)]
    #[tool]
    async fn wait(&self, context: RequestContext<RoleServer>) -> Result<String, String> {
        let _ends = Ends(Arc::clone(&self.0));
        self.0.begun.notify_one();
        std::future::pending().await
    }
}

/// A minute after its client has gone, the tool has been cut if anything tells it.
const LONG: Duration = Duration::from_secs(60);

impl Seen {
    /// How long after `lost` the tool ended, if it did.
    async fn ended_after(&self, lost: Instant) -> Option<Duration> {
        let _ = timeout(LONG, self.has_ended.notified()).await;
        let ended = *self.ended.lock().unwrap();
        ended.map(|ended| ended - lost)
    }
}

/// What rmcp gives the requests under way when a connection ends.
const DRAIN: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn at_the_end_of_input_after_the_drain() {
    let seen = Arc::new(Seen::default());
    let server = Sandboxed::new(Server(Arc::clone(&seen))).without_request_limit();
    let (near, far) = tokio::io::duplex(4_096);
    tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
    let client = rmcp::ServiceExt::serve((), near).await.unwrap();
    let peer = client.peer().clone();
    let call = tokio::spawn(async move { peer.call_tool(rmcp::model::CallToolRequestParams::new("wait")).await });
    seen.begun.notified().await;
    let lost = Instant::now();
    client.cancel().await.unwrap();
    assert_eq!(seen.ended_after(lost).await, Some(DRAIN));
    assert!(call.await.unwrap().is_err(), "nobody answers");
}

type Service = StreamableHttpService<Sandboxed<Server>, LocalSessionManager>;

fn service(seen: &Arc<Seen>, config: StreamableHttpServerConfig) -> Service {
    let seen = Arc::clone(seen);
    let server = move || Ok(Sandboxed::new(Server(Arc::clone(&seen))).without_request_limit());
    StreamableHttpService::new(server, Arc::new(LocalSessionManager::default()), config)
}

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

async fn send(service: &Service, method: Method, session: Option<&str>, message: Value) -> Response<Body> {
    service.handle(http::request(method, session, message)).await
}

fn call() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "wait" } })
}

#[tokio::test(start_paused = true)]
async fn at_once_without_a_session() {
    for is_json in [true, false] {
        let seen = Arc::new(Seen::default());
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false);
        let service = service(&seen, config.with_json_response(is_json));
        let answering = async {
            let answer = send(&service, Method::POST, None, call()).await;
            answer.into_body().collect().await
        };
        let lost = tokio::select! {
            _ = answering => panic!("nothing answers"),
            () = async { seen.begun.notified().await; sleep(Duration::from_secs(1)).await } => Instant::now(),
        };
        assert_eq!(seen.ended_after(lost).await, Some(Duration::ZERO), "JSON: {is_json}");
    }
}

/// A session with a call under way, the body of whose answer is given to `lose`.
async fn in_a_session(lose: impl AsyncFnOnce(&Service, &str, Response<Body>)) -> Option<Duration> {
    let seen = Arc::new(Seen::default());
    let service = service(&seen, StreamableHttpServerConfig::default());
    let about =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "raw", "version": "0" } });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": about });
    let answer = send(&service, Method::POST, None, initialize).await;
    let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let _ = answer.into_body().collect().await;
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    send(&service, Method::POST, Some(&session), initialized).await;
    let answer = send(&service, Method::POST, Some(&session), call()).await;
    seen.begun.notified().await;
    let lost = Instant::now();
    lose(&service, &session, answer).await;
    seen.ended_after(lost).await
}

#[tokio::test(start_paused = true)]
async fn after_the_drain_when_a_session_is_deleted() {
    let ended = in_a_session(async |service, session, _answer| {
        send(service, Method::DELETE, Some(session), Value::Null).await;
    });
    assert_eq!(ended.await, Some(DRAIN));
}

#[tokio::test(start_paused = true)]
async fn not_at_all_when_only_the_connection_of_a_session_breaks() {
    let ended = in_a_session(async |_, _, answer| drop(answer));
    assert_eq!(ended.await, None, "the client may come back");
}
