//! The hints that `#[tool]` gives to clients also say whether a tool may be run twice, unless the attribute says it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rmcp::{tool, tool_router};
use sandbox_runtime::sandboxed;
use serde_json::json;

use crate::support::{Client, State};

/// Tools that hang, with these annotations, and these arguments of the attribute.
macro_rules! tools {
    ($($name:ident: ($($annotations:tt)*), ($($argument:tt)*);)*) => {
        struct Server(Arc<State>);

        #[tool_router(server_handler)]
        impl Server {$(
            #[sandboxed(timeout_ms = 10, max_retries = 1, $($argument)*)]
            #[tool $($annotations)*]
            async fn $name(&self) -> Result<String, String> {
                self.0.attempt();
                std::future::pending().await
            }
        )*}
    };
}

tools! {
    nothing: (), ();
    title: ((annotations(title = "A tool"))), ();
    open_world: ((annotations(open_world_hint = true))), ();
    read_only: ((annotations(read_only_hint = true))), ();
    read_only_and_more: ((annotations(read_only_hint = true, destructive_hint = true, idempotent_hint = false))), ();
    idempotent: ((description = "d", annotations(destructive_hint = true, idempotent_hint = true))), ();
    not_idempotent: ((annotations(title = "t", idempotent_hint = false), name = "not_idempotent")), ();
    writes: ((annotations(read_only_hint = false))), ();
    destroys: ((annotations(destructive_hint = true))), ();
    adds: ((annotations(destructive_hint = false))), ();
    overridden: ((annotations(idempotent_hint = false))), (idempotent = true);
    overridden_too: ((annotations(read_only_hint = true))), (idempotent = false);
}

#[tokio::test(start_paused = true)]
async fn with_the_defaults_of_the_protocol() {
    for (tool, attempts) in [
        ("nothing", 2),
        ("title", 2),
        ("open_world", 2),
        ("read_only", 2),
        ("read_only_and_more", 2),
        ("idempotent", 2),
        ("not_idempotent", 1),
        ("writes", 1),
        ("destroys", 1),
        ("adds", 1),
        ("overridden", 2),
        ("overridden_too", 1),
    ] {
        let client = Client::of(Server).await;
        let answer = client.call(tool, json!({})).await.unwrap();
        assert_eq!(client.server.attempts.load(Relaxed), attempts, "{tool}");
        let text = answer["content"][0]["text"].as_str().unwrap();
        let is_to_be_checked = text.contains("It may have taken effect: check before you call it again.");
        assert_eq!(is_to_be_checked, attempts == 1, "{tool}: {text}");
    }
}

struct Guarded(Arc<State>);

#[sandboxed(timeout_ms = 10, max_retries = 1)]
#[tool_router(server_handler)]
impl Guarded {
    #[tool(annotations(destructive_hint = true))]
    async fn delete(&self) -> Result<String, String> {
        self.0.attempt();
        std::future::pending().await
    }

    #[tool(annotations(read_only_hint = true))]
    async fn read(&self) -> Result<String, String> {
        self.0.attempt();
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn tool_by_tool_in_a_block() {
    for (tool, attempts) in [("delete", 1), ("read", 2)] {
        let client = Client::of(Guarded).await;
        client.call(tool, json!({})).await.unwrap();
        assert_eq!(client.server.attempts.load(Relaxed), attempts, "{tool}");
    }
}
