//! The attribute stands above `call` in an `impl PortableTool` or `impl Tool`, and above or below `#[rig_tool]`: rig runs the
//! tool like any other, and the attempts are made within the call.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rig_core::rig_tool;
use rig_core::tool::{ErasedTool, PortableTool, Tool, ToolContext, ToolExecutionError};
use sandbox_runtime::sandboxed;
use serde::Deserialize;
use serde_json::{Value, json};

/// Answers at the third attempt.
#[derive(Default)]
struct Flaky {
    attempts: AtomicU32,
}

impl Flaky {
    async fn answer(&self, city: &str) -> Result<String, ToolExecutionError> {
        match self.attempts.fetch_add(1, Relaxed) {
            2 => Ok(format!("rain in {city}")),
            _ => Err(ToolExecutionError::network("connection reset")),
        }
    }
}

/// Not `Clone`: attempts need its parts and not the whole.
#[derive(Deserialize)]
struct Question {
    city: String,
    days: u32,
}

struct Portable(Flaky);

impl PortableTool for Portable {
    const NAME: &'static str = "portable";
    type Args = Question;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        String::new()
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    #[sandboxed(backoff_base_ms = 10, name = "portable")]
    async fn call(&self, Question { city, days }: Self::Args) -> Result<Self::Output, Self::Error> {
        self.0.answer(&format!("{city} for {days} days")).await
    }
}

struct Contextual<C>(C);

impl<C: AsRef<Flaky> + Send + Sync> Tool for Contextual<C> {
    const NAME: &'static str = "contextual";
    type Args = Value;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        String::new()
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    #[sandboxed(backoff_base_ms = 10, name = "contextual")]
    async fn call(&self, context: &mut ToolContext, args: Self::Args) -> Result<Self::Output, Self::Error> {
        assert!(context.is_empty());
        self.0.as_ref().answer(args["city"].as_str().unwrap()).await
    }
}

impl AsRef<Flaky> for Flaky {
    fn as_ref(&self) -> &Flaky {
        self
    }
}

static ABOVE_SERVICE: Flaky = Flaky {
    attempts: AtomicU32::new(0),
};
static BELOW_SERVICE: Flaky = Flaky {
    attempts: AtomicU32::new(0),
};

#[sandboxed(backoff_base_ms = 10)]
#[rig_tool]
async fn above(city: String) -> Result<String, ToolExecutionError> {
    ABOVE_SERVICE.answer(&city).await
}

#[rig_tool]
#[sandboxed(backoff_base_ms = 10)]
async fn below(city: String) -> Result<String, ToolExecutionError> {
    BELOW_SERVICE.answer(&city).await
}

/// What a model reads when it calls the tool, as rig runs it.
async fn read(tool: impl ErasedTool) -> String {
    let arguments = json!({ "city": "Lisbon", "days": 2 }).to_string();
    let result = tool.execute(arguments, &mut ToolContext::new()).await;
    result.output().as_text().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn everywhere_a_call_is_retried() {
    assert_eq!(read(Portable(Flaky::default())).await, "rain in Lisbon for 2 days");
    assert_eq!(read(Contextual(Flaky::default())).await, "rain in Lisbon");
    assert_eq!(read(Above).await, "rain in Lisbon");
    assert_eq!(read(Below).await, "rain in Lisbon");
}
