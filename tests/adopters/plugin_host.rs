//! An agent with plugins behind trait objects, as loops without a framework have them: JSON in and out, boxed errors, a `Box` and an
//! `Arc` of each, a plugin that calls another.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use sandbox_runtime::sandboxed;
use serde_json::{Value, json};

use crate::support::{FAILS_TWICE, HANGS, World};

#[async_trait]
trait Plugin: Send + Sync {
    fn name(&self) -> &str;

    async fn run(&self, host: &Host, input: Value) -> Result<Value, Box<dyn Error + Send + Sync>>;

    /// Tells whether it can be used at all.
    async fn check(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct Host {
    plugins: HashMap<String, Arc<dyn Plugin>>,
}

impl Host {
    fn with(plugins: Vec<Box<dyn Plugin>>) -> Self {
        let named = plugins
            .into_iter()
            .map(|plugin| (plugin.name().to_owned(), Arc::from(plugin)));
        Host {
            plugins: named.collect(),
        }
    }

    async fn dispatch(&self, call: &Value) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let name = call["tool"].as_str().ok_or("a call has the name of a tool")?;
        let plugin = self.plugins.get(name).cloned();
        let plugin = plugin.ok_or_else(|| format!("there is no tool {name}"))?;
        if !plugin.check().await {
            return Err(format!("{name} cannot be used").into());
        }
        plugin.run(self, call["input"].clone()).await
    }
}

struct Fetch {
    world: World,
}

#[sandboxed(timeout_ms = 500, max_retries = 2, backoff_base_ms = 10)]
#[async_trait]
impl Plugin for Fetch {
    fn name(&self) -> &str {
        "fetch"
    }

    #[sandboxed]
    async fn run(&self, _host: &Host, input: Value) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let url = input["url"].as_str().ok_or("`url` is missing")?;
        self.world.request().await?;
        Ok(json!({ "body": format!("<p>{url}") }))
    }
}

struct Summarize;

#[async_trait]
#[sandboxed(timeout_ms = 5_000, max_retries = 0)]
impl Plugin for Summarize {
    fn name(&self) -> &str {
        "summarize"
    }

    #[sandboxed]
    async fn run(&self, host: &Host, mut input: Value) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let page = host
            .dispatch(&json!({ "tool": "fetch", "input": input.take() }))
            .await?;
        let length = page["body"].as_str().map_or(0, str::len);
        Ok(json!({ "summary": format!("{length} characters") }))
    }
}

fn host(world: &World) -> Host {
    Host::with(vec![Box::new(Fetch { world: world.clone() }), Box::new(Summarize)])
}

#[tokio::test(start_paused = true)]
async fn a_plugin_calls_another_which_is_retried() {
    let world = World::with(FAILS_TWICE);
    let call = json!({ "tool": "summarize", "input": { "url": "a" } });
    let answer = tokio::spawn(async move { host(&world).dispatch(&call).await.map_err(|error| error.to_string()) });
    assert_eq!(answer.await.unwrap(), Ok(json!({ "summary": "4 characters" })));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_gives_up() {
    let world = World::with(HANGS);
    let error = host(&world)
        .dispatch(&json!({ "tool": "fetch", "input": { "url": "a" } }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), world.requests()),
        ("timed out: no answer within 500 ms", 3)
    );
}
