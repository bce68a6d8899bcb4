//! The `&mut ToolContext` of a call is lent to one attempt after the other: what an attempt has left there, the next one
//! finds, and so does the caller, whatever becomes of the call.

use std::future::pending;

use rig_core::tool::{ErasedTool, Tool, ToolContext, ToolErrorKind, ToolExecutionError};
use rig_core::{ContextValue, rig_tool};
use sandbox_runtime::sandboxed;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, PartialEq, Serialize, Deserialize, ContextValue)]
struct Attempts(u32);

/// Counts an attempt in the context's result.
fn count(context: &mut ToolContext) -> Result<u32, ToolExecutionError> {
    let attempts = context.result::<Attempts>()?.map_or(1, |Attempts(before)| before + 1);
    context.insert_result(Attempts(attempts))?;
    Ok(attempts)
}

struct Patient;

impl Tool for Patient {
    const NAME: &'static str = "patient";
    type Args = Value;
    type Output = u32;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        String::new()
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    #[sandboxed(timeout_ms = 100, backoff_base_ms = 0, name = "patient")]
    async fn call(&self, context: &mut ToolContext, _arguments: Value) -> Result<u32, ToolExecutionError> {
        match count(context)? {
            1 => Err(ToolExecutionError::network("connection reset")),
            2 => pending().await,
            attempts => Ok(attempts),
        }
    }
}

#[sandboxed(timeout_ms = 100, max_retries = 1, backoff_base_ms = 0)]
#[rig_tool]
async fn above(#[rig(context)] context: &mut ToolContext, city: String) -> Result<String, ToolExecutionError> {
    count(context)?;
    drop(city);
    pending().await
}

#[rig_tool]
#[sandboxed(timeout_ms = 100, max_retries = 1, backoff_base_ms = 0)]
async fn below(city: String, context: &mut rig_core::tool::ToolContext) -> Result<String, ToolExecutionError> {
    count(context)?;
    drop(city);
    pending().await
}

#[tokio::test(start_paused = true)]
async fn from_attempt_to_attempt() {
    let mut context = ToolContext::new();
    let result = Patient.execute("{}".to_owned(), &mut context).await;
    assert_eq!(result.output().as_json(), Some(&Value::from(3)));
    assert_eq!(context.result().unwrap(), Some(Attempts(3)));
}

#[tokio::test(start_paused = true)]
async fn for_the_caller_of_a_call_that_failed() {
    async fn check(tool: impl ErasedTool) {
        let mut context = ToolContext::new();
        let result = tool.execute(r#"{ "city": "Lisbon" }"#.to_owned(), &mut context).await;
        assert!(result.is_error_kind(ToolErrorKind::Timeout));
        assert_eq!(context.result().unwrap(), Some(Attempts(2)));
    }
    check(Above).await;
    check(Below).await;
}
