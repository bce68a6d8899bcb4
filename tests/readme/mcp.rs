//! The tool of an MCP server in `docs/mcp.md`, as a whole program.

use std::error::Error;
use std::time::Duration;

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

/// A server whose clients are not sent in circles.
#[expect(dead_code, reason = "the page has it beside the program")]
fn careful() -> Sandboxed<Post> {
    Sandboxed::new(Post)
        .withdraw_unavailable(Duration::from_secs(2)) // the shortest time between two changes of the list
        .refuse_repeated_failures(3)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    Sandboxed::new(Post).serve(transport::stdio()).await?.waiting().await?;
    Ok(())
}
