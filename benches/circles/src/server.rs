//! [`Setup`]: which server has the tool, and what is around it?

use std::sync::Arc;
use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, ServiceExt, tool, tool_handler, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::sandboxed;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::DuplexStream;

use crate::dependency::{Dependency, SearchError};

/// The shortest time between two changes of the list: less than a model takes for a round.
const APART: Duration = Duration::from_secs(2);
/// After so many failures a call is not made again.
const REPEATS: u32 = 3;

/// What is around the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It is rmcp's alone.
    Nothing,
    /// A time limit, and the defaults for everything else.
    Defaults,
    /// A time limit, and a breaker that the attempts of one call can open.
    CountsAttempts,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) guard: Guard,
    /// Whether a tool that cannot be had is withdrawn from the list.
    pub(crate) withdraws: bool,
    /// Whether a call that fails again and again is refused.
    pub(crate) refuses: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Query {
    question: String,
}

/// A server with one tool, of this name: a process knows the tools of its servers by their names.
macro_rules! server {
    ($server:ident, $tool:ident $(, #[sandboxed $settings:tt])?) => {
        #[derive(Debug)]
        struct $server(Arc<Dependency>);

        #[tool_router]
        impl $server {
            /// Searches for the answer to a question.
            $(#[sandboxed $settings])?
            #[tool]
            async fn $tool(&self, Parameters(Query { question }): Parameters<Query>) -> Result<String, SearchError> {
                self.0.ask(&question).await
            }
        }

        #[tool_handler]
        impl ServerHandler for $server {
            fn get_info(&self) -> ServerConfig {
                let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed();
                ServerConfig::new(capabilities.build())
            }
        }
    };
}

server!(Bare, search_bare);
server!(WithDefaults, search_with_defaults, #[sandboxed(timeout_ms = 5_000)]);
server!(CountingAttempts, search, #[sandboxed(timeout_ms = 5_000, breaker(threshold = 3, count = attempts))]);

impl Setup {
    /// What its client calls the tool.
    pub(crate) fn tool(self) -> &'static str {
        match self.guard {
            Guard::Nothing => "search_bare",
            Guard::Defaults => "search_with_defaults",
            Guard::CountsAttempts => "search",
        }
    }

    /// Starts the server.
    pub(crate) fn serve(self, dependency: Arc<Dependency>, transport: DuplexStream) {
        match self.guard {
            Guard::Nothing => drop(tokio::spawn(async {
                let server = Bare(dependency).serve(transport).await.expect("its client is there");
                server.waiting().await
            })),
            Guard::Defaults => self.serve_sandboxed(WithDefaults(dependency), transport),
            Guard::CountsAttempts => self.serve_sandboxed(CountingAttempts(dependency), transport),
        }
    }

    fn serve_sandboxed(self, server: impl ServerHandler, transport: DuplexStream) {
        let mut server = Sandboxed::new(server);
        if self.withdraws {
            server = server.withdraw_unavailable(APART);
        }
        if self.refuses {
            server = server.refuse_repeated_failures(REPEATS);
        }
        tokio::spawn(async {
            let server = server.serve(transport).await.expect("its client is there");
            server.waiting().await
        });
    }
}
