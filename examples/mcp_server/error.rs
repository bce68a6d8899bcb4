//! The error of all tools: whose fault it is, and what the model reads.

use std::io;

use hyper::StatusCode;
use hyper_util::client::legacy;
use rmcp::model::{ContentBlock, IntoContents};
use sandbox_runtime::{Failure, FromFailure, Verdict};
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
    #[error("{}", .0.for_model())]
    Sandbox(Failure),
}

impl ToolError {
    /// Whether other arguments would help. Such an error does not mean that a disk or a service is unhealthy.
    pub(crate) fn is_callers_fault(&self) -> bool {
        match self {
            ToolError::NoNote(_) | ToolError::Url(_) => true,
            ToolError::Status(status) => Verdict::of_status(status.as_u16()) == Verdict::Ignore,
            _ => false,
        }
    }
}

/// The engine returns its failures this way.
impl FromFailure for ToolError {
    fn from_failure(failure: Failure) -> Self {
        ToolError::Sandbox(failure)
    }
}

/// rmcp marks the content as an error, because it comes from an `Err`.
impl IntoContents for ToolError {
    fn into_contents(self) -> Vec<ContentBlock> {
        self.to_string().into_contents()
    }
}
