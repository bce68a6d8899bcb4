//! The shapes of rmcp's tools.

use std::fmt::Display;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorCode};

use super::{ByParts, ByValue, ErrorsTell, Telling, errors_tell};
use crate::failure::Failure;
use crate::outcome::{Classify, Note, Speak, Typed, Unnoted};
use crate::private::Answers;
use crate::text;
use crate::verdict::Verdict;

/// An answer that can tell a failure, and often tells one of the tool's own.
pub trait Carrier: Telling + From<Failure> {
    /// The text of a failure of the tool's own.
    fn error(&self) -> Option<String>;
}

impl Telling for CallToolResult {
    fn verdict(&self) -> Verdict {
        match self.is_error {
            Some(true) => Verdict::RETRY,
            _ => Verdict::Success,
        }
    }
}

impl Carrier for CallToolResult {
    fn error(&self) -> Option<String> {
        let texts = self.content.iter().filter_map(ContentBlock::as_text);
        let texts: Vec<_> = texts.map(|content| content.text.as_str()).collect();
        (self.is_error == Some(true)).then(|| text::plain(texts.join(" ")))
    }
}

impl Telling for CallToolResponse {
    fn verdict(&self) -> Verdict {
        match self {
            CallToolResponse::Complete(result) => Telling::verdict(result),
            _ => Verdict::Success,
        }
    }
}

impl Carrier for CallToolResponse {
    fn error(&self) -> Option<String> {
        match self {
            CallToolResponse::Complete(result) => result.error(),
            _ => None,
        }
    }
}

impl Telling for ErrorData {
    fn verdict(&self) -> Verdict {
        match self.code {
            ErrorCode::INVALID_PARAMS
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::RESOURCE_NOT_FOUND
            | ErrorCode::PARSE_ERROR => Verdict::Ignore,
            _ => Verdict::RETRY,
        }
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

/// Every error is to be retried.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysRetry;

impl<E> Classify<E> for AlwaysRetry {
    fn verdict(&self, _: &E) -> Verdict {
        Verdict::RETRY
    }
}

/// The text of the last failure, whether it came as an answer or as an error.
#[derive(Debug, Clone, Default)]
pub struct LastOfEither(Option<String>);

impl<T: Carrier, E: Display> Note<Result<T, E>> for LastOfEither {
    fn keep(&mut self, outcome: &Result<T, E>) {
        self.0 = match outcome {
            Ok(answer) => answer.error(),
            Err(error) => Some(text::plain(error)),
        };
    }

    fn take(&mut self) -> Option<String> {
        self.0.take()
    }
}

/// The ways to the handlers of rmcp's shapes, in scope without their names.
pub(crate) mod handlers {
    pub use super::{
        HandledAsAnswerOrErrorData as _, HandledAsAnswerOrOther as _, HandledAsAnswerOrText as _,
        HandledAsErrorData as _,
    };
}

pub trait HandledAsAnswerOrErrorData {
    fn __sandboxed_handler(&self) -> Typed<ByParts<ByValue, ByValue>, InAnswer, LastOfEither> {
        Typed {
            classify: ByParts(ByValue, ByValue),
            speak: InAnswer,
            note: LastOfEither::default(),
        }
    }
}

impl<T: Carrier> HandledAsAnswerOrErrorData for &&&&&Answers<Result<T, ErrorData>> {}

pub trait HandledAsAnswerOrText {
    fn __sandboxed_handler(&self) -> Typed<ByParts<ByValue, AlwaysRetry>, InAnswer, LastOfEither> {
        Typed {
            classify: ByParts(ByValue, AlwaysRetry),
            speak: InAnswer,
            note: LastOfEither::default(),
        }
    }
}

impl<T: Carrier, E: Display> HandledAsAnswerOrText for &&&&Answers<Result<T, E>> {}

pub trait HandledAsAnswerOrOther {
    fn __sandboxed_handler(&self) -> Typed<ByParts<ByValue, AlwaysRetry>, InAnswer> {
        Typed {
            classify: ByParts(ByValue, AlwaysRetry),
            speak: InAnswer,
            note: Unnoted,
        }
    }
}

impl<T: Carrier, E> HandledAsAnswerOrOther for &&&Answers<Result<T, E>> {}

pub trait HandledAsErrorData {
    fn __sandboxed_handler(&self) -> ErrorsTell {
        errors_tell()
    }
}

impl<T> HandledAsErrorData for &&Answers<Result<T, ErrorData>> {}
