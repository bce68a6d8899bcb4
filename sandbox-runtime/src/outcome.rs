//! What an attempt's outcome means, and what becomes of it.

use std::fmt;

use serde_json::Value;

use crate::breaker::Refusal;
use crate::error::{SandboxError, SandboxResult};
use crate::failure::Failure;
use crate::report::ToolExecutionResult;
use crate::text;
use crate::verdict::Verdict;

/// A return type whose values tell whether the tool worked: any `Result<T, E>`.
#[diagnostic::on_unimplemented(
    message = "a sandboxed tool cannot tell a failure in `{Self}`",
    label = "no place for a failure",
    note = "return `Result<{Self}, E>` where `E` is `String`, or any type that implements `From<SandboxError>`; or say with \
            `on_failure` what to return",
    note = "the usual answers of rmcp's tools have a place for it with the feature `rmcp` of sandbox-runtime"
)]
pub trait Outcome {
    /// What this outcome means.
    fn verdict(&self) -> Verdict;
}

/// `Ok` is a success, `Err` is to be retried.
impl<T, E> Outcome for Result<T, E> {
    #[inline]
    fn verdict(&self) -> Verdict {
        match self {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::RETRY,
        }
    }
}

/// A return type that the engine can speak in: any `Result<T, E>` with `E: From<SandboxError>`, or with a `String` for `E`.
#[diagnostic::on_unimplemented(
    message = "a sandboxed tool cannot tell a failure in `{Self}`",
    label = "no place for a failure",
    note = "return `Result<{Self}, E>` where `E` is `String`, or any type that implements `From<SandboxError>`; or say with \
            `on_failure` what to return",
    note = "the usual answers of rmcp's tools have a place for it with the feature `rmcp` of sandbox-runtime"
)]
pub trait FromFailure: Outcome {
    /// The value to return from a call that ended with `failure`.
    fn from_failure(failure: Failure) -> Self;

    /// From the error alone, for types that take no more of a failure: a refusal is to cost little.
    #[doc(hidden)]
    fn from_refusal(_: SandboxError, failure: impl FnOnce() -> Failure) -> Self
    where
        Self: Sized,
    {
        Self::from_failure(failure())
    }
}

impl<T, E: FromSandboxError> FromFailure for Result<T, E> {
    fn from_failure(failure: Failure) -> Self {
        Err(E::from_failure(failure))
    }

    fn from_refusal(error: SandboxError, failure: impl FnOnce() -> Failure) -> Self {
        Err(E::from_refusal(error, failure))
    }
}

/// An error that a sandbox failure can be made: any `E: From<SandboxError>`, and `String`. Error types that are to keep the
/// whole [`Failure`] implement it themselves.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a sandbox failure: it does not implement `From<SandboxError>`",
    label = "the error of a sandboxed tool must implement `From<SandboxError>`",
    note = "to a type of your own add `impl From<sandbox_runtime::SandboxError> for {Self}`, or a `#[from]` variant with \
            `thiserror`; to keep the whole failure, implement `FromSandboxError` instead",
    note = "the errors of rmcp and rig can with the feature `rmcp` or `rig` of sandbox-runtime"
)]
pub trait FromSandboxError {
    /// The error to return from a call that ended with `failure`.
    fn from_failure(failure: Failure) -> Self;

    /// The error to return from a call that was refused, from `error` where that is all that is taken of a failure.
    #[doc(hidden)]
    fn from_refusal(_: SandboxError, failure: impl FnOnce() -> Failure) -> Self
    where
        Self: Sized,
    {
        Self::from_failure(failure())
    }
}

#[diagnostic::do_not_recommend]
impl<E: From<SandboxError>> FromSandboxError for E {
    fn from_failure(failure: Failure) -> Self {
        E::from(SandboxError::from(failure))
    }

    fn from_refusal(error: SandboxError, _: impl FnOnce() -> Failure) -> Self {
        E::from(error)
    }
}

/// [What the model should read](Failure::for_model): an error that is a text is most often for a model.
impl FromSandboxError for String {
    fn from_failure(failure: Failure) -> Self {
        failure.for_model()
    }
}

/// How a call ended, before it is made what its caller gets.
#[derive(Debug)]
pub struct End<R> {
    /// The answer of the last attempt; a failure when it gave none, or when there was no attempt.
    pub(crate) last: Result<R, Failure>,
    pub(crate) attempts: u32,
    /// Set when a further attempt was due and the breaker refused it.
    pub(crate) refusal: Option<Refusal>,
}

/// Reads the outcomes of a tool's attempts, and makes of the last one what the caller gets. For bounds; not to be
/// implemented: [`Tool`](crate::Tool) has setters for it.
pub trait Handler<R> {
    /// What the caller gets.
    type Returned;
    /// What an attempt's outcome means.
    fn verdict(&self, outcome: &R) -> Verdict;
    /// Keeps what a later [`Failure`] is to say of an outcome that is not the last.
    fn pass_over(&mut self, outcome: &R);
    /// What was kept of the last of these.
    fn last_error(&mut self) -> Option<String>;
    /// What becomes of the call.
    fn conclude(&self, end: End<R>) -> Self::Returned;
    /// What becomes of a call whose first attempt was refused. `error` says the same as `failure`, which knows more and
    /// takes longer to make.
    fn refuse(&self, error: SandboxError, failure: impl FnOnce() -> Failure) -> Self::Returned;
}

/// The handler of plain tools, which answer with JSON or an error text: the call becomes a report.
#[derive(Debug, Clone, Copy)]
pub struct Report;

impl Handler<Result<Value, String>> for Report {
    type Returned = SandboxResult<ToolExecutionResult>;

    #[inline]
    fn verdict(&self, outcome: &Result<Value, String>) -> Verdict {
        outcome.verdict()
    }

    fn pass_over(&mut self, _: &Result<Value, String>) {}

    fn last_error(&mut self) -> Option<String> {
        None
    }

    #[inline]
    fn conclude(&self, end: End<Result<Value, String>>) -> Self::Returned {
        if let Some(refusal) = end.refusal {
            return Err(refusal.into());
        }
        Ok(ToolExecutionResult::new(end.attempts, end.last?))
    }

    fn refuse(&self, error: SandboxError, _: impl FnOnce() -> Failure) -> Self::Returned {
        Err(error)
    }
}

/// The handler of typed tools: the caller gets the tool's own type.
///
/// Its type is part of the call's future. It mentions no return type, whose lifetimes would there be others than those of
/// the tool's own result, and the compiler could not tell any more whether the future is `Send`.
#[derive(Debug, Clone, Copy)]
pub struct Typed<C, S, M = Unnoted> {
    pub(crate) classify: C,
    pub(crate) speak: S,
    pub(crate) note: M,
}

impl Typed<ByType, ByType> {
    pub(crate) const BY_TYPE: Self = Typed {
        classify: ByType,
        speak: ByType,
        note: Unnoted,
    };
}

impl<R, C: Classify<R>, S: Speak<R>, M: Note<R>> Handler<R> for Typed<C, S, M> {
    type Returned = R;

    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        self.classify.verdict(outcome)
    }

    fn pass_over(&mut self, outcome: &R) {
        self.note.keep(outcome);
    }

    fn last_error(&mut self) -> Option<String> {
        self.note.take()
    }

    #[inline]
    fn conclude(&self, end: End<R>) -> R {
        end.last.unwrap_or_else(|failure| self.speak.speak(failure))
    }

    fn refuse(&self, error: SandboxError, failure: impl FnOnce() -> Failure) -> R {
        self.speak.refuse(error, failure)
    }
}

/// Tells what an outcome means.
pub trait Classify<R> {
    fn verdict(&self, outcome: &R) -> Verdict;
}

/// Makes a failure of the engine's a value of the tool's type.
pub trait Speak<R> {
    fn speak(&self, failure: Failure) -> R;
    fn refuse(&self, _: SandboxError, failure: impl FnOnce() -> Failure) -> R {
        self.speak(failure())
    }
}

/// As the type itself has it.
#[derive(Debug, Clone, Copy)]
pub struct ByType;

impl<R: Outcome> Classify<R> for ByType {
    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        outcome.verdict()
    }
}

impl<R: FromFailure> Speak<R> for ByType {
    fn speak(&self, failure: Failure) -> R {
        R::from_failure(failure)
    }

    fn refuse(&self, error: SandboxError, failure: impl FnOnce() -> Failure) -> R {
        R::from_refusal(error, failure)
    }
}

/// As a function of the user's has it.
#[derive(Debug, Clone, Copy)]
pub struct By<F>(pub(crate) F);

impl<R, F: Fn(&R) -> Verdict> Classify<R> for By<F> {
    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        (self.0)(outcome)
    }
}

impl<R, F: Fn(Failure) -> R> Speak<R> for By<F> {
    fn speak(&self, failure: Failure) -> R {
        (self.0)(failure)
    }
}

/// Keeps the text of the last error that a retry followed, until a failure is to tell it.
pub trait Note<R> {
    fn keep(&mut self, outcome: &R);
    fn take(&mut self) -> Option<String>;
}

/// Nothing is kept: nobody would read it, or there is no text.
#[derive(Debug, Clone, Copy)]
pub struct Unnoted;

impl<R> Note<R> for Unnoted {
    fn keep(&mut self, _: &R) {}

    fn take(&mut self) -> Option<String> {
        None
    }
}

/// The text of an error, and not the error: that may hold on to what the next attempt needs.
#[derive(Debug, Clone, Default)]
pub struct LastError(Option<String>);

impl<T, E: fmt::Display> Note<Result<T, E>> for LastError {
    fn keep(&mut self, outcome: &Result<T, E>) {
        if let Err(error) = outcome {
            self.0 = Some(text::plain(error));
        }
    }

    fn take(&mut self) -> Option<String> {
        self.0.take()
    }
}

/// Errors that a predicate accepts are retried, others are not; what answers mean, another classifier knows.
#[derive(Debug, Clone, Copy)]
pub struct RetryIf<P, C> {
    pub(crate) retryable: P,
    pub(crate) otherwise: C,
}

impl<T, E, P: Fn(&E) -> bool, C: Classify<Result<T, E>>> Classify<Result<T, E>> for RetryIf<P, C> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Ok(_) => self.otherwise.verdict(outcome),
            Err(error) if (self.retryable)(error) => Verdict::RETRY,
            Err(_) => Verdict::Fail,
        }
    }
}

/// Errors that a predicate accepts are the caller's fault; what others mean, another classifier knows.
#[derive(Debug, Clone, Copy)]
pub struct IgnoreIf<P, C> {
    pub(crate) callers_fault: P,
    pub(crate) otherwise: C,
}

impl<T, E, P: Fn(&E) -> bool, C: Classify<Result<T, E>>> Classify<Result<T, E>> for IgnoreIf<P, C> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Err(error) if (self.callers_fault)(error) => Verdict::Ignore,
            _ => self.otherwise.verdict(outcome),
        }
    }
}
