//! The one error of all tools: whose fault it is, and what the model gets to read.

use std::io;

use hyper::StatusCode;
use hyper_util::client::legacy;
use rmcp::ErrorData;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::CallToolResponse;
use sandbox_runtime::{Failure, FromSandboxError, Verdict};
use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum ToolError {
    #[error("there is no note `{0}`")]
    NoNote(String),
    #[error("the service answered {0}")]
    Status(StatusCode),
    #[error("not a URL: {0}")]
    Url(#[from] hyper::http::uri::InvalidUri),
    #[error("no answer: {0}")]
    NoAnswer(#[from] legacy::Error),
    #[error("the answer broke off: {0}")]
    Incomplete(#[from] hyper::Error),
    #[error("the answer is not as expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Sandbox(Failure),
}

impl ToolError {
    /// What the model can mend by other arguments. It says nothing of the health of a disk or a service.
    pub(crate) fn is_callers_fault(&self) -> bool {
        match self {
            ToolError::NoNote(_) | ToolError::Url(_) => true,
            ToolError::Status(status) => Verdict::of_status(status.as_u16()) == Verdict::Ignore,
            _ => false,
        }
    }
}

/// Where the time limit and the breaker speak up.
impl FromSandboxError for ToolError {
    fn from_failure(failure: Failure) -> Self {
        ToolError::Sandbox(failure)
    }
}

/// In `Err`, rmcp marks what comes of it as an error.
impl IntoCallToolResult for ToolError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            ToolError::Sandbox(failure) => failure.into_call_tool_result(),
            other => other.to_string().into_call_tool_result(),
        }
    }
}
