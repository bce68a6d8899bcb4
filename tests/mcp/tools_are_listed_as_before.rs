//! A server lists a sandboxed tool as it would list the tool by itself: name, description, schemas, hints.

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, tool, tool_router};
use sandbox_runtime::sandboxed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::{Client, State};

#[derive(Deserialize, JsonSchema)]
struct Query {
    /// What to look for.
    text: String,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Hits {
    /// The pages.
    pages: Vec<String>,
}

/// A server with one set of tools, whose functions have these attributes in this order.
macro_rules! server {
    ($server:ident: $(#[$first:meta])* , $(#[$second:meta])*) => {
        struct $server(std::sync::Arc<State>);

        #[tool_router(server_handler)]
        impl $server {
            $(#[$first])*
            #[tool(description = "Finds pages", annotations(title = "Search", read_only_hint = true))]
            $(#[$second])*
            async fn described(&self, Parameters(Query { text, limit }): Parameters<Query>) -> CallToolResult {
                let _ = (text, limit, &self.0);
                CallToolResult::success(Vec::new())
            }

            $(#[$first])*
            #[tool(name = "renamed", description = "Finds pages")]
            $(#[$second])*
            async fn structured(
                &self,
                Parameters(query): Parameters<Query>,
                context: RequestContext<RoleServer>,
            ) -> Result<Json<Hits>, ErrorData> {
                let _ = context;
                Ok(Json(Hits { pages: vec![query.text] }))
            }

            $(#[$first])*
            #[tool(description = "Takes nothing")]
            $(#[$second])*
            async fn nothing(&self) -> Result<(), String> {
                Ok(())
            }
        }
    };
}

server!(Plain: ,);
server!(Above: #[sandboxed(max_retries = 0)], );
server!(Below: , #[sandboxed(max_retries = 0)]);

#[tokio::test(start_paused = true)]
async fn in_both_orders() {
    let plain = Client::of(Plain).await.tools().await;
    assert_eq!(plain.len(), 3);
    assert_eq!(Client::of(Above).await.tools().await, plain);
    assert_eq!(Client::of(Below).await.tools().await, plain);
}

struct Documented(std::sync::Arc<State>);

#[tool_router(server_handler)]
impl Documented {
    /// Finds pages.
    ///
    /// Slowly.
    #[tool]
    async fn plain(&self) -> String {
        self.0.attempt().to_string()
    }

    /// Finds pages.
    ///
    /// Slowly.
    #[sandboxed]
    #[tool]
    async fn above(&self) -> String {
        self.0.attempt().to_string()
    }

    /// rmcp forgets the lines that stand before another attribute ..
    #[tool]
    #[sandboxed]
    /// Finds pages.
    ///
    /// Slowly.
    async fn below(&self) -> String {
        self.0.attempt().to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_description_from_their_documentation() {
    let tools = Client::of(Documented).await.tools().await;
    let descriptions: Vec<_> = tools.iter().map(|tool| tool["description"].as_str().unwrap()).collect();
    assert_eq!(descriptions, ["Finds pages.\nSlowly."; 3]);
}
