//! Tools of an agent that is built on rig: one as a type, one that shares a client, one made by `#[rig_tool]`.

use std::sync::Arc;

use rig_core::rig_tool;
use rig_core::tool::{ErasedTool, PortableTool, ToolContext, ToolExecutionError};
use sandbox_runtime::sandboxed;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{FAILS_TWICE, HANGS, World};

#[derive(Clone, Deserialize)]
struct Forecast {
    city: String,
    #[serde(default)]
    days: Option<u8>,
}

struct WeatherTool {
    client: Arc<World>,
}

#[sandboxed(timeout_ms = 3_000, backoff_base_ms = 10)]
impl PortableTool for WeatherTool {
    const NAME: &'static str = "weather";
    type Args = Forecast;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        "The weather of the next days".into()
    }

    fn parameters(&self) -> Value {
        json!({ "type": "object" })
    }

    #[sandboxed(name = Self::NAME)]
    async fn call(&self, args: Self::Args) -> Result<Self::Output, Self::Error> {
        let Forecast { city, days } = args;
        let fetched = self.client.request().await;
        fetched.map_err(|error| ToolExecutionError::network(error.to_string()))?;
        Ok(format!("rain in {city} for {} days", days.unwrap_or(1)))
    }
}

/// Adds, after a question to a service that is always there.
#[sandboxed(max_retries = 1, backoff_base_ms = 10)]
#[rig_tool(description = "Adds two numbers")]
async fn add(left: i64, right: i64) -> Result<String, ToolExecutionError> {
    tokio::task::yield_now().await;
    let sum = left.checked_add(right);
    sum.map(|sum| sum.to_string())
        .ok_or_else(|| ToolExecutionError::network("the sum is too large"))
}

/// What a model reads when it calls the tool, as rig runs it.
async fn read(tool: impl ErasedTool, arguments: Value) -> String {
    let result = tool.execute(arguments.to_string(), &mut ToolContext::new()).await;
    result.output().as_text().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_model_reads_the_forecast_of_the_third_attempt() {
    let client = Arc::new(World::with(FAILS_TWICE));
    let tool = WeatherTool {
        client: Arc::clone(&client),
    };
    assert_eq!(
        read(tool, json!({ "city": "Lisbon", "days": 3 })).await,
        "rain in Lisbon for 3 days"
    );
    assert_eq!(client.requests(), 3);
    assert_eq!(read(Add, json!({ "left": 2, "right": 3 })).await, "5");
}

#[tokio::test(start_paused = true)]
async fn the_model_reads_that_it_took_too_long() {
    let client = Arc::new(World::with(HANGS));
    let text = read(WeatherTool { client }, json!({ "city": "Lisbon" })).await;
    assert!(
        text.contains("`weather` timed out after 3 s, in the last of 3 attempts"),
        "{text}"
    );
}
