//! Readers for the answers and errors of MCP tools, and the ways in which these return a failure.

use std::fmt::Display;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorCode};

use crate::failure::Failure;
use crate::mcp::server;
use crate::sanitize::sanitized;
use crate::sealed;
use crate::tool::{FailureReturn, HoldFailure, Outcome, Reader};
use crate::verdict::{ErrorVerdict, Verdict};

/// An answer that can hold a failure of the engine or an error of the tool.
pub trait FrameworkResult: HoldFailure {
    /// The result in the answer; `None` if the answer is a task or a question to the user.
    fn result(&self) -> Option<&CallToolResult>;

    /// The result, if it is marked as an error.
    fn failed(&self) -> Option<&CallToolResult> {
        self.result().filter(|result| result.is_error == Some(true))
    }
}

impl FrameworkResult for CallToolResult {
    fn result(&self) -> Option<&CallToolResult> {
        Some(self)
    }
}

impl FrameworkResult for CallToolResponse {
    fn result(&self) -> Option<&CallToolResult> {
        match self {
            CallToolResponse::Complete(result) => Some(result),
            _ => None,
        }
    }
}

macro_rules! results {
    ($($result:ty),*) => {$(
        impl Outcome for $result {
            fn verdict(&self) -> Verdict {
                FromIsError.verdict(self)
            }
        }

        impl HoldFailure for $result {
            fn hold_failure(failure: Failure) -> Self {
                failure.into()
            }
        }
    )*};
}

results!(CallToolResult, CallToolResponse);

/// Reads a retry in a result that is marked as an error, and a success in any other.
#[derive(Debug, Clone, Copy)]
pub struct FromIsError;

impl sealed::Reader for FromIsError {}

impl<T: FrameworkResult> Reader<T> for FromIsError {
    #[inline]
    fn verdict(&self, answer: &T) -> Verdict {
        match answer.failed() {
            Some(_) => Verdict::RETRY,
            None => Verdict::Success,
        }
    }

    fn text(&self, answer: &T) -> Option<String> {
        answer.failed()?.text(None)
    }
}

/// In `Err` a result is an error even if it is not marked as one: rmcp marks it before it sends it.
impl ErrorVerdict for CallToolResult {
    fn verdict(&self) -> Verdict {
        Verdict::RETRY
    }

    fn text(&self, _: Option<&dyn Display>) -> Option<String> {
        let texts = self.content.iter().filter_map(ContentBlock::as_text);
        let texts: Vec<_> = texts.map(|content| content.text.as_str()).collect();
        Some(sanitized(texts.join(" ")))
    }
}

impl ErrorVerdict for ErrorData {
    fn verdict(&self) -> Verdict {
        match self.code {
            ErrorCode::INVALID_PARAMS
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::RESOURCE_NOT_FOUND
            | ErrorCode::PARSE_ERROR
            | ErrorCode::HEADER_MISMATCH
            | ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY
            | ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => Verdict::Ignore,
            _ => Verdict::RETRY,
        }
    }

    fn text(&self, _: Option<&dyn Display>) -> Option<String> {
        Some(sanitized(&self.message))
    }
}

/// Reads a retry in every error.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysRetry;

impl sealed::Reader for AlwaysRetry {}

impl<E> Reader<E> for AlwaysRetry {
    fn verdict(&self, _: &E) -> Verdict {
        Verdict::RETRY
    }
}

/// Returns a failure in `Ok`: most error types could not hold the full result.
#[derive(Debug, Clone, Copy)]
pub struct AsResult;

impl sealed::FailureReturn for AsResult {}

impl<T: FrameworkResult, E> FailureReturn<Result<T, E>> for AsResult {
    fn failure(&self, failure: Failure) -> Result<T, E> {
        Ok(T::hold_failure(failure))
    }
}

/// An answer that consists of one text.
pub trait Text {
    /// The answer with this text.
    fn from_text(text: String) -> Self;
}

impl Text for String {
    fn from_text(text: String) -> Self {
        text
    }
}

impl Text for ContentBlock {
    fn from_text(text: String) -> Self {
        ContentBlock::text(text)
    }
}

/// Returns the text for the model as the answer.
#[derive(Debug, Clone, Copy)]
pub struct AsText;

impl sealed::FailureReturn for AsText {}

impl<T: Text> FailureReturn<T> for AsText {
    fn failure(&self, failure: Failure) -> T {
        T::from_text(failure.for_model())
    }
}

/// Returns `()`, and leaves the failure to the server.
#[derive(Debug, Clone, Copy)]
pub struct ToServer;

impl sealed::FailureReturn for ToServer {}

impl FailureReturn<()> for ToServer {
    fn failure(&self, failure: Failure) {
        server::defer_to_server(failure);
    }
}
