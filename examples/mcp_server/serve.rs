//! [`Options`]: what the server does for models that would go in circles, and how clients reach it.

use std::error::Error;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rmcp::transport;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use sandbox_runtime::mcp::{Sandboxed, SandboxedSessions};
use tokio::io::{self, AsyncReadExt};
use tokio::net::TcpListener;

use crate::Server;

/// The shortest time between two changes of the list. Servers that run for long take minutes.
const CHANGES_APART: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Options {
    withdraws_unavailable: bool,
    refuses_repeated_failures: bool,
    is_http: bool,
}

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options::default();
        for argument in arguments {
            match &*argument {
                "--withdraw-unavailable" => options.withdraws_unavailable = true,
                "--refuse-repeated-failures" => options.refuses_repeated_failures = true,
                "--http" => options.is_http = true,
                _ => return Err(format!("there is no option `{argument}`")),
            }
        }
        Ok(options)
    }

    /// Serves until the standard input ends.
    pub(crate) async fn serve(&self, server: Server) -> Result<(), Box<dyn Error>> {
        let mut sandboxed = Sandboxed::new(server);
        if self.withdraws_unavailable {
            sandboxed = sandboxed.withdraw_unavailable(CHANGES_APART);
        }
        if self.refuses_repeated_failures {
            sandboxed = sandboxed.refuse_repeated_failures(3);
        }
        if self.is_http {
            return serve_http(sandboxed).await;
        }
        sandboxed.serve(transport::stdio()).await?.waiting().await?;
        Ok(())
    }
}

async fn serve_http(sandboxed: Sandboxed<Server>) -> Result<(), Box<dyn Error>> {
    let sessions = SandboxedSessions::new(LocalSessionManager::default());
    // Each session has a copy, which knows what its client has been shown and what has failed there.
    let service = StreamableHttpService::new(move || Ok(sandboxed.clone()), Arc::new(sessions), Default::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("serving at http://{}/mcp", listener.local_addr()?);
    let http = axum::serve(listener, Router::new().route_service("/mcp", service)).into_future();
    tokio::select! {
        served = http => served?,
        ended = input_ends() => ended?,
    }
    Ok(())
}

async fn input_ends() -> io::Result<()> {
    let mut input = io::stdin();
    while input.read(&mut [0; 1_024]).await? > 0 {}
    Ok(())
}
