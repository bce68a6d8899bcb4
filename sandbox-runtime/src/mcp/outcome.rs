//! Readers for the answers and errors of MCP tools, and the ways in which these return a failure.

use std::fmt::Display;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorCode};
use rmcp::service::ServiceError;

use crate::failure::Failure;
use crate::mcp::observer;
use crate::sealed;
use crate::text::sanitized;
use crate::tool::error_type::PerVariant;
use crate::tool::handler::RetriedIsError;
use crate::tool::{FailureReturn, HoldFailure, Outcome, Reader, TypedHandler};
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

/// Reads the tool's last word in a result that is marked as an error, and a success in any other.
#[derive(Debug, Clone, Copy)]
pub struct FromIsError;

impl sealed::Reader for FromIsError {}

impl<T: FrameworkResult> Reader<T> for FromIsError {
    #[inline]
    fn verdict(&self, answer: &T) -> Verdict {
        match answer.failed() {
            Some(_) => Verdict::Ignore,
            None => Verdict::Success,
        }
    }
}

/// Reads a retry in a result that is marked as an error, and a success in any other.
#[derive(Debug, Clone, Copy)]
pub struct RetryIsError;

impl sealed::Reader for RetryIsError {}

impl<T: FrameworkResult> Reader<T> for RetryIsError {
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

#[diagnostic::do_not_recommend]
impl<S> RetriedIsError for TypedHandler<FromIsError, S> {
    type Handler = TypedHandler<RetryIsError, S>;

    fn retried(self) -> Self::Handler {
        TypedHandler {
            reader: RetryIsError,
            failure_return: self.failure_return,
        }
    }
}

#[diagnostic::do_not_recommend]
impl<E, S> RetriedIsError for TypedHandler<PerVariant<FromIsError, E>, S> {
    type Handler = TypedHandler<PerVariant<RetryIsError, E>, S>;

    fn retried(self) -> Self::Handler {
        let PerVariant(_, errors) = self.reader;
        TypedHandler {
            reader: PerVariant(RetryIsError, errors),
            failure_return: self.failure_return,
        }
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

/// What clients answer to a question of the server that their user has rejected: the protocol's example of an error of
/// sampling has it.
const USER_REJECTED: ErrorCode = ErrorCode(-1);

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
            | ErrorCode::UNSUPPORTED_PROTOCOL_VERSION
            | USER_REJECTED => Verdict::Ignore,
            _ => Verdict::RETRY,
        }
    }

    fn text(&self, _: Option<&dyn Display>) -> Option<String> {
        Some(sanitized(&self.message))
    }
}

/// An error of a question to the client. The tool has no part in what the client or its user does not want or cannot do: asking
/// again would only ask the user twice.
impl ErrorVerdict for ServiceError {
    fn verdict(&self) -> Verdict {
        match self {
            ServiceError::McpError(error) => ErrorVerdict::verdict(error),
            ServiceError::TransportSend(_)
            | ServiceError::TransportClosed
            | ServiceError::Cancelled { .. }
            | ServiceError::Timeout { .. } => Verdict::Ignore,
            _ => Verdict::Fail,
        }
    }

    fn text(&self, _: Option<&dyn Display>) -> Option<String> {
        Some(sanitized(self))
    }
}

#[cfg(feature = "rmcp-elicitation")]
impl ErrorVerdict for rmcp::service::ElicitationError {
    fn verdict(&self) -> Verdict {
        match self {
            rmcp::service::ElicitationError::Service(error) => ErrorVerdict::verdict(error),
            _ => Verdict::Ignore,
        }
    }

    fn text(&self, _: Option<&dyn Display>) -> Option<String> {
        Some(sanitized(self))
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
        observer::defer_to_server(failure);
    }
}
