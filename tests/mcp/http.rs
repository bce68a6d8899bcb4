//! Messages to a server over HTTP, as a client by hand sends them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::Value;

/// A message, in a session or without one.
pub(crate) fn request(method: Method, session: Option<&str>, mut message: Value) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri("/")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    if let Some(session) = session {
        request = request
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-06-18");
    }
    if message.is_object() {
        message["jsonrpc"] = "2.0".into();
    }
    request.body(Full::new(Bytes::from(message.to_string()))).unwrap()
}
