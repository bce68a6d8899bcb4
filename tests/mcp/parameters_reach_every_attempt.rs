//! Whatever rmcp hands to a tool, every attempt has it: parameters taken apart or whole, and all parts of the context.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::Extensions;
use rmcp::service::{Peer, RequestContext};
use rmcp::{RoleServer, ServerHandler, tool, tool_handler, tool_router};
use sandbox_runtime::sandboxed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Client, State, text};

/// Not `Clone`: nobody who writes a server makes it so.
#[derive(Deserialize, JsonSchema)]
struct Pair {
    left: String,
    right: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Whole {
    left: String,
}

/// The first two attempts fail.
fn third(state: &State, answer: String) -> Result<String, String> {
    match state.attempt() {
        1 | 2 => Err("too early".into()),
        _ => Ok(answer),
    }
}

servers! {
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn nothing(&self) -> Result<String, String> {
            third(&self.0, "nothing".into())
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn taken_apart(&self, Parameters(Pair { left, mut right }): Parameters<Pair>) -> Result<String, String> {
            right.push('!');
            third(&self.0, format!("{left} {right}"))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn whole(&self, Parameters(request): Parameters<Whole>) -> Result<String, String> {
            let moved = request;
            third(&self.0, moved.left)
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn context(
            &self,
            Parameters(Pair { left, .. }): Parameters<Pair>,
            context: RequestContext<RoleServer>,
        ) -> Result<String, String> {
            let moved = context;
            tokio::task::yield_now().await;
            third(&self.0, format!("{left} of {}", moved.peer.peer_info().unwrap().client_info.name))
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn parts(
            &self,
            peer: Peer<RoleServer>,
            token: CancellationToken,
            mut extensions: Extensions,
        ) -> Result<String, String> {
            let before = extensions.insert(1_u8);
            tokio::task::yield_now().await;
            third(&self.0, format!("{before:?} {} {}", token.is_cancelled(), peer.is_transport_closed()))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_both_sides_of_the_attribute() {
    for (tool, answer) in [
        ("nothing", "nothing"),
        ("taken_apart", "a b!"),
        ("whole", "a"),
        ("context", "a of rmcp"),
        ("parts", "None false false"),
    ] {
        for client in clients().await {
            let arguments = json!({ "left": "a", "right": "b" });
            assert_eq!(client.call(tool, arguments).await, Ok(text(answer)), "{tool}");
            assert_eq!(client.server.attempt(), 4, "{tool}");
        }
    }
}

trait Store: Send + Sync + 'static {
    fn find(&self, state: &State) -> Result<String, String>;
}

struct Shelf;

impl Store for Shelf {
    fn find(&self, state: &State) -> Result<String, String> {
        third(state, "found".into())
    }
}

struct Library<S>(std::sync::Arc<State>, S);

#[tool_router]
impl<S: Store> Library<S> {
    #[sandboxed(backoff_base_ms = 0)]
    #[tool]
    async fn above(&self, Parameters(Whole { left }): Parameters<Whole>) -> Result<String, String> {
        Ok(self.1.find(&self.0)? + &left)
    }

    #[tool]
    #[sandboxed(backoff_base_ms = 0)]
    async fn below(&self, Parameters(Whole { left }): Parameters<Whole>) -> Result<String, String> {
        Ok(self.1.find(&self.0)? + &left)
    }
}

#[tool_handler]
impl<S: Store> ServerHandler for Library<S> {}

#[tokio::test(start_paused = true)]
async fn on_a_server_with_parameters_of_its_own() {
    for tool in ["above", "below"] {
        let client = Client::of(|state| Library(state, Shelf)).await;
        let arguments = json!({ "left": " it" });
        assert_eq!(client.call(tool, arguments).await, Ok(text("found it")), "{tool}");
    }
}
