//! The error of all tools: whose fault it is, and what the model reads.

use std::io;

use hyper::StatusCode;
use hyper_util::client::legacy;
use rmcp::model::{ContentBlock, IntoContents};
use rmcp::service::ElicitationError;
use sandbox_runtime::{ErrorVerdict, Failure, FromFailure};
use thiserror::Error;

#[derive(Debug, Error, ErrorVerdict)]
pub(crate) enum ToolError {
    #[error("there is no note `{0}`")]
    #[verdict(ignore)]
    NoNote(String),
    #[error("the service answered {0}")]
    #[verdict(status = 0)]
    Status(StatusCode),
    #[error("not a URL: {0}")]
    #[verdict(ignore)]
    Url(#[from] hyper::http::Error),
    #[error("no answer: {0}")]
    NoAnswer(#[from] legacy::Error),
    #[error("the answer broke off: {0}")]
    Incomplete(#[from] hyper::Error),
    #[error("the answer is not as expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    #[error("not confirmed: {0}")]
    #[verdict(source)]
    NotConfirmed(#[from] ElicitationError),
    #[error("{}", .0.for_model())]
    Sandbox(Failure),
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
