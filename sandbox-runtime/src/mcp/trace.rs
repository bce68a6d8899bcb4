//! What a request tells of its trace: whose call it is, and what a span says of it.

use std::future::Future;

use rmcp::RoleServer;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RequestContext;

use crate::gate;
use crate::observe::ServedRequest;

/// Tells whether somebody may want to know of requests.
pub(super) fn wanted() -> bool {
    cfg!(feature = "tracing") && gate::is_open_for(gate::OBSERVERS)
}

/// What a span says of a request.
pub(super) fn served(params: &CallToolRequestParams, context: &RequestContext<RoleServer>) -> ServedRequest {
    let negotiated = || context.peer.peer_info().map(|client| client.protocol_version.clone());
    let protocol = context.meta.protocol_version().or_else(negotiated);
    let session = session(context);
    ServedRequest {
        tool: params.name.to_string(),
        id: context.id.to_string(),
        transport: if session.is_some() { "tcp" } else { "pipe" },
        session: session.flatten(),
        protocol: protocol.map(|version| version.to_string()),
    }
}

/// The session of a request that came over HTTP, if it is in one.
#[cfg(feature = "rmcp-http")]
fn session(context: &RequestContext<RoleServer>) -> Option<Option<String>> {
    let http = context.extensions.get::<http::request::Parts>()?;
    let session = http.headers.get("mcp-session-id");
    Some(session.and_then(|session| session.to_str().ok()).map(str::to_owned))
}

#[cfg(not(feature = "rmcp-http"))]
fn session(_: &RequestContext<RoleServer>) -> Option<Option<String>> {
    None
}

/// The trace that the client of a request has begun.
#[cfg(feature = "opentelemetry")]
pub(super) struct TraceOfClient(opentelemetry::Context);

#[cfg(feature = "opentelemetry")]
impl TraceOfClient {
    /// By `traceparent` in `_meta`, which the global propagator reads. A span around that is in this trace, such as one that a layer
    /// of HTTP has made, is closer and stays the parent; one that is in another, such as that of rmcp for the whole connection, has
    /// nothing to do with the request
    /// ([MCP in OpenTelemetry's conventions](https://github.com/open-telemetry/semantic-conventions-genai), context propagation).
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        use opentelemetry::trace::TraceContextExt;
        use opentelemetry::{Context, global};

        let around = Context::current();
        let meta = Carrier(&context.meta);
        let of_client = global::get_text_map_propagator(|propagator| propagator.extract_with_context(&around, &meta));
        let trace = |context: &Context| context.span().span_context().trace_id();
        let is_within = trace(&of_client) == trace(&around);
        TraceOfClient(if is_within { around } else { of_client })
    }

    /// Runs `call` in it.
    pub(super) fn around<F: Future>(self, call: F) -> impl Future<Output = F::Output> {
        opentelemetry::context::FutureExt::with_context(call, self.0)
    }
}

#[cfg(not(feature = "opentelemetry"))]
pub(super) struct TraceOfClient;

#[cfg(not(feature = "opentelemetry"))]
impl TraceOfClient {
    pub(super) fn of(_: &RequestContext<RoleServer>) -> Self {
        TraceOfClient
    }

    pub(super) fn around<F: Future>(self, call: F) -> F {
        call
    }
}

/// `traceparent`, `tracestate` and `baggage` in the `_meta` of a request, without a prefix.
#[cfg(feature = "opentelemetry")]
struct Carrier<'a>(&'a rmcp::model::RequestMetaObject);

#[cfg(feature = "opentelemetry")]
impl opentelemetry::propagation::Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.0.0.get(key)?.as_str()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.0.0.keys().map(String::as_str).collect()
    }
}
