//! The README's tool of an MCP server, as a whole program.

use std::error::Error;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::{tool, tool_router, transport};
use sandbox_runtime::{mcp::Sandboxed, sandboxed};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Letter {
    to: String,
}

struct Post;

#[tool_router(server_handler)]
impl Post {
    /// Sends a letter.
    #[sandboxed(timeout_ms = 10_000, idempotent = false)]
    #[tool]
    async fn send(&self, Parameters(Letter { to }): Parameters<Letter>) -> String {
        format!("sent to {to}")
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    Sandboxed::new(Post).serve(transport::stdio()).await?.waiting().await?;
    Ok(())
}
