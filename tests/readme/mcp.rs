//! The tools of an MCP server in `docs/mcp.md`, as a whole program.

use std::error::Error;
use std::time::Duration;

use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResponse;
use rmcp::{ErrorData, tool, tool_router, transport};
use sandbox_runtime::{ErrorVerdict, SandboxError, mcp::Sandboxed, sandboxed};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Letter {
    to: String,
}

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum PostError {
    #[error("there is no letter to {0}")]
    #[verdict(ignore)]
    NoLetter(String),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl IntoCallToolResult for PostError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        self.to_string().into_call_tool_result()
    }
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

    /// Tells where a letter is.
    #[sandboxed(timeout_ms = 5_000)]
    #[tool]
    async fn track(&self, Parameters(Letter { to }): Parameters<Letter>) -> Result<String, PostError> {
        Err(PostError::NoLetter(to))
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
