//! `#[sandboxed(..)]` on the block of a server guards each of its tools, above and below `#[tool_router]`, and lists them as
//! before.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::{tool, tool_router};
use sandbox_runtime::sandboxed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{Client, State, error};

#[derive(Clone, Deserialize, JsonSchema)]
struct Query {
    /// What to look for.
    text: String,
}

/// A server whose block has these attributes in this order.
macro_rules! server {
    ($server:ident: $(#[$above:meta])*, $(#[$below:meta])*) => {
        struct $server(std::sync::Arc<State>);

        $(#[$above])*
        #[tool_router(server_handler)]
        $(#[$below])*
        impl $server {
            /// Finds pages.
            ///
            /// Slowly.
            #[tool]
            async fn search(&self, Parameters(Query { text }): Parameters<Query>) -> Result<String, String> {
                Err(format!("no {text} at attempt {}", self.0.attempt()))
            }

            #[tool(name = "renamed", description = "Hangs")]
            async fn hang(&self) -> String {
                self.0.attempt();
                std::future::pending().await
            }

            #[tool(description = "Is there at once")]
            fn immediate(&self) -> String {
                self.0.attempt().to_string()
            }
        }
    };
}

server!(Plain: ,);
server!(Above: #[sandboxed(timeout_ms = 10, max_retries = 1, backoff_base_ms = 0)], );
server!(Below: , #[sandboxed(timeout_ms = 10, max_retries = 1, backoff_base_ms = 0)]);

#[tokio::test(start_paused = true)]
async fn its_tools_are_listed_as_before() {
    let plain = Client::of(Plain).await.tools().await;
    assert_eq!(plain.len(), 3);
    assert_eq!(Client::of(Above).await.tools().await, plain);
    assert_eq!(Client::of(Below).await.tools().await, plain);
}

#[tokio::test(start_paused = true)]
async fn each_tool_has_its_arguments() {
    for client in [Client::of(Above).await, Client::of(Below).await] {
        let answer = client.call("search", json!({ "text": "rust" })).await.unwrap();
        assert_eq!(answer, error("no rust at attempt 2"));
        let answer = client.call("renamed", json!({})).await.unwrap();
        // Under the name that clients know it by.
        assert!(
            answer.to_string().contains("`renamed` timed out after 10 ms"),
            "{answer}"
        );
        assert_eq!(client.server.attempt(), 5, "the limit has another number of attempts");
        let answer = client.call("immediate", json!({})).await.unwrap();
        assert_eq!(answer["content"][0]["text"], "6");
    }
}
