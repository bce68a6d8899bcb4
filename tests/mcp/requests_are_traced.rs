//! A request to an MCP server is one span with the call that answers it, in the trace of the client; where something traces the
//! request already, it gets the fields, and no second span is made.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod http;

use std::collections::BTreeMap;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::Method;
use opentelemetry::context::FutureExt;
use opentelemetry::global;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt, tool, tool_router};
use sandbox_runtime::mcp::{Sandboxed, SandboxedSessions};
use sandbox_runtime::observe::{observe, tracing::Spans};
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, info_span};
use tracing_subscriber::layer::SubscriberExt;

struct Server;

#[tool_router(server_handler)]
impl Server {
    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
    #[tool(name = "find")]
    async fn search(&self) -> Result<String, String> {
        helper().await?;
        std::future::pending().await
    }
}

#[sandboxed(breaker = off)]
async fn helper() -> Result<(), String> {
    Ok(())
}

/// A server whose author traces requests.
struct Traced(Sandboxed<Server>);

impl ServerHandler for Traced {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let span = info_span!(
            "request",
            mcp.method.name = "tools/call",
            gen_ai.tool.name = Empty,
            error.r#type = Empty,
            of.the.author = true,
        );
        self.0.call_tool(request, context).instrument(span).await
    }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Exports the spans of this thread.
fn exporting() -> (InMemorySpanExporter, DefaultGuard) {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    (exporter, tracing::subscriber::set_default(subscriber))
}

/// The spans of one request that a client makes in a trace of its own.
async fn spans_of<S: ServerHandler>(server: S) -> Vec<SpanData> {
    let (exporter, _subscriber) = exporting();
    let _observing = observe(Spans::new());

    let (near, far) = tokio::io::duplex(4_096);
    tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
    let client = ().serve(near).await.unwrap();
    let mut params = CallToolRequestParams::new("find");
    let meta = json!({ "traceparent": format!("00-{TRACE}-{PARENT}-01") });
    params.meta = Some(serde_json::from_value(meta).unwrap());
    let answer = client.call_tool(params).await.unwrap();
    assert_eq!(answer.is_error, Some(true), "the tool hangs");
    let mut spans = exporter.get_finished_spans().unwrap();
    // rmcp's, for connections.
    spans.retain(|span| span.name != "serve_inner");
    spans
}

fn attributes(span: &SpanData) -> BTreeMap<String, String> {
    let pairs = span.attributes.iter();
    pairs
        .map(|pair| (pair.key.to_string(), pair.value.to_string()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn by_one_span_in_the_trace_of_the_client() {
    let spans = spans_of(Sandboxed::new(Server)).await;
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["execute_tool helper", "tools/call find"]);
    let [helper, request] = &spans[..] else { unreachable!() };
    assert_eq!(request.span_context.trace_id().to_string(), TRACE);
    assert_eq!(request.parent_span_id.to_string(), PARENT);
    assert!(request.parent_span_is_remote, "the client is another process");
    assert_eq!(
        helper.parent_span_id,
        request.span_context.span_id(),
        "a call within the call"
    );
    assert_eq!(request.span_kind, SpanKind::Server);
    assert_eq!(request.status, Status::error("attempts_exhausted"));
    let attributes = attributes(request);
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2025-11-25"),
        ("jsonrpc.request.id", "1"),
        ("network.transport", "pipe"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "find"),
        ("gen_ai.tool.type", "function"),
        ("error.type", "timeout"),
        ("sandboxed.stop", "attempts_exhausted"),
        ("sandboxed.attempts", "1"),
    ] {
        assert_eq!(
            attributes.get(key).map(String::as_str),
            Some(value),
            "{key} in {attributes:?}"
        );
    }
    assert!(!attributes.contains_key("mcp.session.id"), "there is none over a pipe");
}

#[tool_router(server_handler)]
impl OverHttp {
    #[sandboxed(max_retries = 0, breaker = off)]
    #[tool]
    async fn search(&self) -> Result<CallToolResult, ErrorData> {
        Ok(CallToolResult::error(vec![ContentBlock::text("no such page")]))
    }
}

struct OverHttp;

/// Over HTTP, in a session; and a result that is marked as an error is an error of the tool.
#[tokio::test(start_paused = true)]
async fn over_http_with_its_session() {
    let (exporter, _subscriber) = exporting();
    let _observing = observe(Spans::new());
    let sessions = SandboxedSessions::new(LocalSessionManager::default());
    let config = StreamableHttpServerConfig::default();
    let service = StreamableHttpService::new(|| Ok(Sandboxed::new(OverHttp)), Arc::new(sessions), config);
    let about =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "raw", "version": "0" } });
    let session = post(
        &service,
        None,
        json!({ "id": 0, "method": "initialize", "params": about }),
    )
    .await;
    let session = session.expect("the server begins a session");
    post(
        &service,
        Some(&session),
        json!({ "method": "notifications/initialized" }),
    )
    .await;
    let meta = json!({ "traceparent": format!("00-{TRACE}-{PARENT}-01") });
    let params = json!({ "name": "search", "_meta": meta });
    post(
        &service,
        Some(&session),
        json!({ "id": 7, "method": "tools/call", "params": params }),
    )
    .await;

    let spans = exporter.get_finished_spans().unwrap();
    let request = spans
        .iter()
        .find(|span| span.name == "tools/call search")
        .expect("the request is traced");
    assert_eq!(request.parent_span_id.to_string(), PARENT);
    let attributes = attributes(request);
    for (key, value) in [
        ("network.transport", "tcp"),
        ("mcp.session.id", session.as_str()),
        ("mcp.protocol.version", "2025-06-18"),
        ("jsonrpc.request.id", "7"),
        ("error.type", "tool_error"),
    ] {
        assert_eq!(
            attributes.get(key).map(String::as_str),
            Some(value),
            "{key} in {attributes:?}"
        );
    }
}

/// Sends a message, reads the whole answer, and returns the session.
async fn post<M: SessionManager>(
    service: &StreamableHttpService<Sandboxed<OverHttp>, M>,
    session: Option<&str>,
    message: Value,
) -> Option<String> {
    let answer = service.handle(http::request(Method::POST, session, message)).await;
    let session = answer.headers().get("mcp-session-id").cloned();
    answer.into_body().collect().await.unwrap();
    session.map(|session| session.to_str().unwrap().to_owned())
}

/// A span around that is in the trace of the client, such as that of a layer of HTTP, is closer than the client's.
#[tokio::test(start_paused = true)]
async fn below_a_span_around_that_is_in_the_trace_of_the_client() {
    struct Layered(Sandboxed<Server>);

    impl ServerHandler for Layered {
        async fn call_tool(
            &self,
            request: CallToolRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<CallToolResponse, ErrorData> {
            let remote = SpanContext::new(
                TraceId::from_hex(TRACE).unwrap(),
                SpanId::from_hex("00f067aa0ba902b7").unwrap(),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            );
            let around = opentelemetry::Context::new().with_remote_span_context(remote);
            self.0.call_tool(request, context).with_context(around).await
        }
    }

    let spans = spans_of(Layered(Sandboxed::new(Server))).await;
    let request = spans
        .iter()
        .find(|span| span.name == "tools/call find")
        .expect("it is traced");
    assert_eq!(request.parent_span_id.to_string(), "00f067aa0ba902b7");
}

#[tokio::test(start_paused = true)]
async fn by_the_span_that_is_there() {
    let spans = spans_of(Traced(Sandboxed::new(Server))).await;
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["execute_tool helper", "request"]);
    let attributes = attributes(&spans[1]);
    for (key, value) in [
        ("of.the.author", "true"),
        ("gen_ai.tool.name", "find"),
        ("error.type", "timeout"),
    ] {
        assert_eq!(
            attributes.get(key).map(String::as_str),
            Some(value),
            "{key} in {attributes:?}"
        );
    }
    assert!(!attributes.contains_key("sandboxed.stop"), "it does not declare that");
}
