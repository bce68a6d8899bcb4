//! Finds out what an answer of an MCP tool can hold, in the way of [`return_type`](super::return_type).

use std::marker::PhantomData;

use super::return_type::ladder;
use crate::mcp::outcome::{AlwaysRetry, AsResult, AsText, FrameworkResult, FromIsError, Text, ToServer};
use crate::tool::error_type::PerVariant;
use crate::tool::outcome::AlwaysSuccess;
use crate::tool::{FromReturnType, TypedHandler};

ladder!(ToolAnswerProbe > UnitAnswer > AnswerProbe > ResultAnswer > AnyAnswer);

/// A text, which is all that the model gets to read; nothing in it says that the tool has failed.
impl<T: Text> ToolAnswerProbe<T> {
    pub fn __sandboxed_answer<H>(&self, _: H) -> TypedHandler<AlwaysSuccess, AsText> {
        TypedHandler {
            reader: AlwaysSuccess,
            failure_return: AsText,
        }
    }
}

/// Nothing: the failure is left to the server.
impl UnitAnswer<()> {
    pub fn __sandboxed_answer<H>(&self, _: H) -> TypedHandler<AlwaysSuccess, ToServer> {
        TypedHandler {
            reader: AlwaysSuccess,
            failure_return: ToServer,
        }
    }
}

/// A result that holds a failure of the engine, and often one of the tool, or an error.
impl<T: FrameworkResult, E> AnswerProbe<Result<T, E>> {
    pub fn __sandboxed_answer<C: ErrorReader>(
        &self,
        handler: TypedHandler<C>,
    ) -> TypedHandler<PerVariant<FromIsError, C::Errors>, AsResult> {
        TypedHandler {
            reader: PerVariant(FromIsError, handler.reader.errors()),
            failure_return: AsResult,
        }
    }
}

impl<T: FrameworkResult> ResultAnswer<T> {
    pub fn __sandboxed_answer<H>(&self, _: H) -> TypedHandler<FromIsError> {
        TypedHandler {
            reader: FromIsError,
            failure_return: FromReturnType,
        }
    }
}

impl<R> AnyAnswer<R> {
    pub fn __sandboxed_answer<H>(&self, handler: H) -> H {
        handler
    }
}

/// The reader of a `Result`, with a part that reads errors.
pub trait ErrorReader {
    type Errors;
    fn errors(self) -> Self::Errors;
}

impl<A, B> ErrorReader for PerVariant<A, B> {
    type Errors = B;

    fn errors(self) -> B {
        self.1
    }
}

impl ErrorReader for FromReturnType {
    type Errors = AlwaysRetry;

    fn errors(self) -> AlwaysRetry {
        AlwaysRetry
    }
}
