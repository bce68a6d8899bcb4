//! A plugin of a framework whose error type is foreign, as `docs/attribute.md` has it.

#![allow(missing_docs)]

use async_trait::async_trait;
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};

/// Stands for a framework's crate.
mod framework {
    use async_trait::async_trait;
    use serde_json::Value;

    /// As such errors often are: a box, and not `Send`.
    #[derive(Debug)]
    pub(crate) struct PluginError(Box<dyn std::error::Error>);

    impl PluginError {
        pub(crate) fn new(message: String) -> Self {
            PluginError(message.into())
        }
    }

    impl std::fmt::Display for PluginError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }

    #[async_trait]
    pub(crate) trait Plugin: Send + Sync {
        async fn call(&self, arguments: Value) -> Result<Value, PluginError>;
    }
}

use framework::{Plugin, PluginError};

struct Index;

impl Index {
    async fn find(&self, arguments: Value) -> Result<Value, PluginError> {
        match arguments["query"].as_str() {
            Some(query) => Ok(json!([query])),
            None => std::future::pending().await,
        }
    }
}

struct Search {
    index: Index,
}

#[async_trait]
impl Plugin for Search {
    #[sandboxed(timeout_ms = 5_000, on_failure = |failure| Err(PluginError::new(failure.for_model())))]
    async fn call(&self, arguments: Value) -> Result<Value, PluginError> {
        self.index.find(arguments).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let plugin: &dyn Plugin = &Search { index: Index };
    match plugin.call(json!({ "query": "cats" })).await {
        Ok(found) => println!("{found}"),
        Err(error) => println!("{error}"),
    }
}
