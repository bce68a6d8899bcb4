//! [`Handler`]: reads the outcomes of a call's attempts, and makes what the caller gets.

use std::future::{Future, Pending, pending};
use std::marker::PhantomData;

use serde_json::Value;

use crate::failure::{Failure, Refusal, SandboxResult};
use crate::sealed;
use crate::surroundings::report::ToolExecutionResult;
use crate::tool::attempts::{BeginAttempts, OneAttempt, attempts, one_attempt};
use crate::tool::failure_return::FailureReturn;
use crate::tool::keep::{Keep, KeepNothing, KeepOutcome, Keeps};
use crate::tool::outcome::{FromReturnType, Outcome, Reader};
use crate::tool::{Function, Tool};
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

    /// Tells whether the caller gets the refusal of a further attempt, and not what the last one has left.
    fn returns_refusals(&self) -> bool {
        false
    }

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
        #[cfg(feature = "faults")]
        let last = last.or_else(own_error);
        match refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok(ToolExecutionResult::new(attempts, last?)),
        }
    }

    fn returns_refusals(&self) -> bool {
        true
    }

    fn reject(&self, refusal: Refusal, _: impl FnOnce() -> Failure) -> Self::Returned {
        Err(refusal.into())
    }
}

/// The error of a closure that an injected fault stands for.
#[cfg(feature = "faults")]
fn own_error(failure: Failure) -> Result<Result<Value, String>, Failure> {
    match failure.kind {
        crate::failure::FailureKind::ExecutionFailed => Ok(Err(crate::faults::REASON.to_owned())),
        _ => Err(failure),
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

/// Another handler, with a say in what a call keeps of an outcome during a delay.
#[derive(Debug, Clone, Copy)]
pub struct Keeping<H, W>(H, PhantomData<fn() -> W>);

impl<H, W> sealed::Handler for Keeping<H, W> {}

impl<H, W: Keep> Keeps for Keeping<H, W> {
    type Keep = W;
}

impl<R, H: Handler<R>, W: Keep> Handler<R> for Keeping<H, W> {
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

/// The handler of a tool whose answers say in themselves that they are errors. For messages of the compiler.
#[diagnostic::on_unimplemented(
    message = "`is_error = retry` is for tools that return rmcp's `CallToolResult`",
    label = "there is no `is_error` in what this function returns",
    note = "remove it, or put it on the methods that return one; the feature `rmcp` of `sandbox-runtime` has to be on for a `CallToolResult`"
)]
pub trait RetriedIsError {
    /// The handler that reads a retry in them.
    type Handler;
    /// See [`Handler`](Self::Handler).
    #[doc(hidden)]
    fn retried(self) -> Self::Handler;
}

/// Another handler, for a tool whose first attempt may take the only arguments that there are.
#[derive(Debug, Clone, Copy)]
pub struct Repeating<H> {
    handler: H,
    has_arguments: bool,
}

/// The tool, of which there is one attempt unless further ones have arguments.
#[inline]
pub fn repeated_if<F, H, K, L>(tool: Tool<F, H, K, L>, has_arguments: bool) -> Tool<F, Repeating<H>, K, L> {
    tool.with_handler(|handler| Repeating { handler, has_arguments })
}

impl<H> sealed::Handler for Repeating<H> {}

impl<H: Keeps> Keeps for Repeating<H> {
    type Keep = H::Keep;

    #[inline]
    fn has_arguments(&self) -> bool {
        self.has_arguments
    }
}

impl<R, H: Handler<R>> Handler<R> for Repeating<H> {
    type Returned = H::Returned;

    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        self.handler.verdict(outcome)
    }

    #[inline]
    fn is_safe_to_retry(&self, outcome: &R) -> bool {
        self.handler.is_safe_to_retry(outcome)
    }

    fn text(&self, outcome: &R) -> Option<String> {
        self.handler.text(outcome)
    }

    #[inline]
    fn counts_attempts(&self) -> bool {
        self.handler.counts_attempts()
    }

    #[inline]
    fn finish(&self, attempts: u32, last: Result<R, Failure>, refusal: Option<Refusal>) -> Self::Returned {
        self.handler.finish(attempts, last, refusal)
    }

    fn reject(&self, refusal: Refusal, failure: impl FnOnce() -> Failure) -> Self::Returned {
        self.handler.reject(refusal, failure)
    }
}

/// A handler that knows what to do with `R`. Of one that does not, the compiler says here what is missing; the engine's bounds, of
/// which it would say more, are about the same.
pub trait Returning<R>: Sized {
    /// The tool, of whose outcomes a call keeps what `keep` says.
    #[doc(hidden)]
    fn keep<F, A, K, L, W>(tool: Tool<F, Self, K, L>, keep: W) -> Tool<F, Keeping<Self, W>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future<Output = R>,
        W: Keep;

    /// The tool whose attempts a closure begins, one after the other. It is told whether another may follow.
    #[doc(hidden)]
    #[inline]
    fn often<L, F, A, W>(self, label: L, begin: F, _: W) -> Tool<BeginAttempts<F>, Keeping<Self, W>, Pending<()>, L>
    where
        F: FnMut(bool) -> A,
        A: Future<Output = R>,
        W: Keep,
    {
        Tool {
            label,
            function: attempts(begin),
            handler: Keeping(self, PhantomData),
            cancel: pending(),
        }
    }

    /// The tool whose only attempt a closure begins.
    #[doc(hidden)]
    #[inline]
    fn once<L, F, A>(self, label: L, begin: F) -> Tool<OneAttempt<F>, Keeping<Self, KeepNothing>, Pending<()>, L>
    where
        F: FnOnce() -> A,
        A: Future<Output = R>,
    {
        Tool {
            label,
            function: one_attempt(begin),
            handler: Keeping(self, PhantomData),
            cancel: pending(),
        }
    }
}

impl<R, H: Handler<R>> Returning<R> for H {
    #[inline]
    fn keep<F, A, K, L, W>(tool: Tool<F, H, K, L>, _: W) -> Tool<F, Keeping<H, W>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future<Output = R>,
        W: Keep,
    {
        tool.with_handler(|handler| Keeping(handler, PhantomData))
    }
}
