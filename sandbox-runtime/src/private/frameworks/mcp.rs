//! The answers and errors of rmcp's tools.

use std::fmt::Display;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorCode};

use super::{ByFault, ByParts, Fault, Recount, Told, told};
use crate::failure::Failure;
use crate::outcome::{ByType, Classify, Speak};
use crate::private::Answers;
use crate::text;
use crate::verdict::Verdict;

/// An answer that can tell a failure, and often tells one of the tool's own.
pub trait Carrier: From<Failure> {
    /// The result in it, if there is one yet.
    fn result(&self) -> Option<&CallToolResult>;

    /// That result, if it is marked as an error.
    fn failed(&self) -> Option<&CallToolResult> {
        self.result().filter(|result| result.is_error == Some(true))
    }

    fn verdict(&self) -> Verdict {
        match self.failed() {
            Some(_) => Verdict::RETRY,
            None => Verdict::Success,
        }
    }
}

impl Carrier for CallToolResult {
    fn result(&self) -> Option<&CallToolResult> {
        Some(self)
    }
}

impl Carrier for CallToolResponse {
    fn result(&self) -> Option<&CallToolResult> {
        match self {
            CallToolResponse::Complete(result) => Some(result),
            _ => None,
        }
    }
}

/// In `Err` it is one, marked or not: rmcp marks it when it is sent.
impl Fault for CallToolResult {
    fn verdict(&self) -> Verdict {
        Verdict::RETRY
    }

    fn text(&self) -> Option<String> {
        let texts = self.content.iter().filter_map(ContentBlock::as_text);
        let texts: Vec<_> = texts.map(|content| content.text.as_str()).collect();
        Some(text::plain(texts.join(" ")))
    }
}

impl Fault for ErrorData {
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

    fn text(&self) -> Option<String> {
        Some(text::plain(&self.message))
    }
}

/// As the answer is marked.
#[derive(Debug, Clone, Copy)]
pub struct ByMark;

impl<T: Carrier> Classify<T> for ByMark {
    #[inline]
    fn verdict(&self, answer: &T) -> Verdict {
        answer.verdict()
    }
}

impl<T: Carrier> Recount<T> for ByMark {
    fn failure(&self, answer: &T) -> Option<String> {
        answer.failed().and_then(Fault::text)
    }
}

/// Every error is to be retried, and tells what it displays.
#[derive(Debug, Clone, Copy)]
pub struct ByDisplay;

impl<E> Classify<E> for ByDisplay {
    fn verdict(&self, _: &E) -> Verdict {
        Verdict::RETRY
    }
}

impl<E: Display> Recount<E> for ByDisplay {
    fn failure(&self, error: &E) -> Option<String> {
        Some(text::plain(error))
    }
}

/// Every error is to be retried, and has no text.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysRetry;

impl<E> Classify<E> for AlwaysRetry {
    fn verdict(&self, _: &E) -> Verdict {
        Verdict::RETRY
    }
}

impl<E> Recount<E> for AlwaysRetry {
    fn failure(&self, _: &E) -> Option<String> {
        None
    }
}

/// In the answer, also where the error is of a type that could not tell as much.
#[derive(Debug, Clone, Copy)]
pub struct InAnswer;

impl<T: Carrier, E> Speak<Result<T, E>> for InAnswer {
    fn speak(&self, failure: Failure) -> Result<T, E> {
        Ok(failure.into())
    }
}

/// The ways to the handlers of rmcp's answers, in scope without their names.
pub(crate) mod handlers {
    pub use super::{
        HandledAsAnswer as _, HandledAsAnswerOrAny as _, HandledAsAnswerOrFault as _, HandledAsAnswerOrText as _,
    };
}

pub trait HandledAsAnswer {
    fn __sandboxed_handler(&self) -> Told<ByMark, ByType> {
        told(ByMark, ByType)
    }
}

impl<T: Carrier> HandledAsAnswer for &&Answers<T> {}

pub trait HandledAsAnswerOrFault {
    fn __sandboxed_handler(&self) -> Told<ByParts<ByMark, ByFault>, InAnswer> {
        told(ByParts(ByMark, ByFault), InAnswer)
    }
}

impl<T: Carrier, E: Fault> HandledAsAnswerOrFault for &&&&&Answers<Result<T, E>> {}

pub trait HandledAsAnswerOrText {
    fn __sandboxed_handler(&self) -> Told<ByParts<ByMark, ByDisplay>, InAnswer> {
        told(ByParts(ByMark, ByDisplay), InAnswer)
    }
}

impl<T: Carrier, E: Display> HandledAsAnswerOrText for &&&&Answers<Result<T, E>> {}

pub trait HandledAsAnswerOrAny {
    fn __sandboxed_handler(&self) -> Told<ByParts<ByMark, AlwaysRetry>, InAnswer> {
        told(ByParts(ByMark, AlwaysRetry), InAnswer)
    }
}

impl<T: Carrier, E> HandledAsAnswerOrAny for &&&Answers<Result<T, E>> {}
