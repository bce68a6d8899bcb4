//! [`Handler`]: reads the outcomes of a call's attempts, and makes what the caller gets.

use serde_json::Value;

use crate::failure::{Failure, Refusal, SandboxResult};
use crate::sealed;
use crate::surroundings::report::ToolExecutionResult;
use crate::tool::failure_return::FailureReturn;
use crate::tool::keep::{KeepNothing, KeepOutcome, Keeps};
use crate::tool::outcome::{FromReturnType, Outcome, Reader};
use crate::verdict::Verdict;

/// Reads the outcomes of a tool's attempts, and makes of the last one what the caller gets. For bounds; sealed:
/// [`Tool`](crate::Tool) has setters for it.
pub trait Handler<R>: Keeps {
    /// What the caller gets.
    type Returned;

    /// What the outcome of an attempt means.
    fn verdict(&self, outcome: &R) -> Verdict;

    /// Tells whether somebody has stated that the tool can be run again after this outcome even if it is not
    /// [idempotent](crate::Policy::idempotent). It is asked about outcomes that mean a retry.
    fn is_safe_to_retry(&self, _: &R) -> bool {
        false
    }

    /// What a later [`Failure`] reports of an outcome that a retry follows.
    fn text(&self, outcome: &R) -> Option<String>;

    /// Tells whether every attempt counts on the breaker, and not only the error with which the call ends.
    fn counts_attempts(&self) -> bool;

    /// What the caller gets of a call that ended with `last`, the outcome of its last attempt or the failure that is there
    /// instead. `refusal` is set when a further attempt was due and the breaker refused it.
    fn finish(&self, attempts: u32, last: Result<R, Failure>, refusal: Option<Refusal>) -> Self::Returned;

    /// What the caller gets of a call whose first attempt was refused. `failure` knows more than `refusal` and costs more to
    /// make.
    fn reject(&self, refusal: Refusal, failure: impl FnOnce() -> Failure) -> Self::Returned;
}

/// The handler of closures that answer with JSON: the call becomes a [`ToolExecutionResult`].
#[derive(Debug, Clone, Copy)]
pub struct JsonHandler;

impl sealed::Handler for JsonHandler {}

impl Keeps for JsonHandler {
    type Keep = KeepOutcome;
}

impl Handler<Result<Value, String>> for JsonHandler {
    type Returned = SandboxResult<ToolExecutionResult>;

    #[inline]
    fn verdict(&self, outcome: &Result<Value, String>) -> Verdict {
        outcome.verdict()
    }

    fn text(&self, _: &Result<Value, String>) -> Option<String> {
        None
    }

    #[inline]
    fn counts_attempts(&self) -> bool {
        true
    }

    #[inline]
    fn finish(
        &self,
        attempts: u32,
        last: Result<Result<Value, String>, Failure>,
        refusal: Option<Refusal>,
    ) -> Self::Returned {
        match refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok(ToolExecutionResult::new(attempts, last?)),
        }
    }

    fn reject(&self, refusal: Refusal, _: impl FnOnce() -> Failure) -> Self::Returned {
        Err(refusal.into())
    }
}

/// The handler of a [`Tool`](crate::Tool): the caller gets the tool's own type.
///
/// It is a part of the call's future, and its type mentions no return type: the lifetimes of one would be others there than
/// those of the tool's own result, and the compiler could not tell whether the future is `Send`.
#[derive(Debug, Clone, Copy)]
pub struct TypedHandler<C = FromReturnType, S = FromReturnType> {
    pub(crate) reader: C,
    pub(crate) failure_return: S,
}

impl TypedHandler {
    /// The handler of [`Tool::new`](crate::Tool::new): everything is read from the return type.
    pub const FROM_RETURN_TYPE: Self = TypedHandler {
        reader: FromReturnType,
        failure_return: FromReturnType,
    };
}

impl<C, S> sealed::Handler for TypedHandler<C, S> {}

impl<C, S> Keeps for TypedHandler<C, S> {
    type Keep = KeepOutcome;
}

impl<R, C: Reader<R>, S: FailureReturn<R>> Handler<R> for TypedHandler<C, S> {
    type Returned = R;

    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        self.reader.verdict(outcome)
    }

    #[inline]
    fn is_safe_to_retry(&self, outcome: &R) -> bool {
        self.reader.is_safe_to_retry(outcome)
    }

    fn text(&self, outcome: &R) -> Option<String> {
        self.reader.text(outcome)
    }

    #[inline]
    fn counts_attempts(&self) -> bool {
        false
    }

    #[inline]
    fn finish(&self, _: u32, last: Result<R, Failure>, _: Option<Refusal>) -> R {
        last.unwrap_or_else(|failure| self.failure_return.failure(failure))
    }

    fn reject(&self, refusal: Refusal, failure: impl FnOnce() -> Failure) -> R {
        self.failure_return.refusal(refusal, failure)
    }
}

/// Another handler for a call that keeps nothing of an outcome during a delay.
#[derive(Debug, Clone, Copy)]
pub struct Forgetful<H>(pub(crate) H);

impl<H> sealed::Handler for Forgetful<H> {}

impl<H> Keeps for Forgetful<H> {
    type Keep = KeepNothing;
}

impl<R, H: Handler<R>> Handler<R> for Forgetful<H> {
    type Returned = H::Returned;

    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        self.0.verdict(outcome)
    }

    #[inline]
    fn is_safe_to_retry(&self, outcome: &R) -> bool {
        self.0.is_safe_to_retry(outcome)
    }

    fn text(&self, outcome: &R) -> Option<String> {
        self.0.text(outcome)
    }

    #[inline]
    fn counts_attempts(&self) -> bool {
        self.0.counts_attempts()
    }

    #[inline]
    fn finish(&self, attempts: u32, last: Result<R, Failure>, refusal: Option<Refusal>) -> Self::Returned {
        self.0.finish(attempts, last, refusal)
    }

    fn reject(&self, refusal: Refusal, failure: impl FnOnce() -> Failure) -> Self::Returned {
        self.0.reject(refusal, failure)
    }
}
