//! The server that the conformance suite of MCP drives, with the tools, prompts and resources that its scenarios ask
//! for. It is one server in three modes, so that a difference between two of them is the sandbox's doing:
//!
//! - `plain`: without the sandbox.
//! - `wrapped`: in `Sandboxed`, and its sessions in `SandboxedSessions`.
//! - `sandboxed`: as `wrapped`, and its tools under `#[sandboxed]`, also in tasks.
//!
//! Its arguments are the mode and the port, which is a free one if it is 0. It prints its address.

#![expect(
    deprecated,
    reason = "the suite also asks for what newer revisions of the protocol deprecate"
)]

mod catalogue;
mod questions;
mod tasks;
mod tools;

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use rmcp::ServerHandler;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use sandbox_runtime::mcp::{Sandboxed, SandboxedSessions};
use tokio::net::TcpListener;

use tools::{Guarded, Plain};

/// A server for each session, or for each request if the client has none.
fn router<S: ServerHandler>(make: fn() -> S, sessions: impl SessionManager) -> Router {
    let service = StreamableHttpService::new(move || Ok(make()), Arc::new(sessions), Default::default());
    Router::new().fallback_service(service)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(mode), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("usage: conformance_server plain|wrapped|sandboxed PORT".into());
    };
    let local = LocalSessionManager::default();
    let router = match mode.as_str() {
        "plain" => router(|| Plain, local),
        "wrapped" => router(|| Sandboxed::new(Plain), SandboxedSessions::new(local)),
        "sandboxed" => router(|| Sandboxed::new(Guarded), SandboxedSessions::new(local)),
        _ => return Err(format!("there is no mode `{mode}`").into()),
    };
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    println!("http://localhost:{}/mcp", listener.local_addr()?.port());
    axum::serve(listener, router).await?;
    Ok(())
}
