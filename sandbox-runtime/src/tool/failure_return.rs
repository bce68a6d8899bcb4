//! [`FailureReturn`]: how a failure becomes a value of the tool's return type.

use crate::failure::{Failure, Refusal, SandboxError};
use crate::sealed;
use crate::surroundings;
use crate::tool::outcome::{FromReturnType, Outcome, UserFn};

/// An error type that can be made of a [`Failure`]: any `E: From<SandboxError>`, and `String`. An error type that keeps the
/// whole failure implements this itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a sandbox failure: it does not implement `From<SandboxError>`",
    label = "the error of a sandboxed tool must implement `From<SandboxError>`",
    note = "to a type of your own add `impl From<sandbox_runtime::SandboxError>`, or a `#[from]` variant with `thiserror`; to \
            keep the whole failure, implement `FromFailure` instead",
    note = "for a type of another crate, say what to return: `on_failure = |failure| Err(..)`; the errors of rmcp and rig can hold a \
            failure with the feature `rmcp` or `rig` of sandbox-runtime"
)]
pub trait FromFailure {
    /// The error to return from a call that ended with `failure`.
    fn from_failure(failure: Failure) -> Self;

    /// The error to return from a call that the breaker refused. A refusal should cost little: a type that takes no more than
    /// the error leaves `failure` unmade.
    fn from_refusal(_: SandboxError, failure: impl FnOnce() -> Failure) -> Self
    where
        Self: Sized,
    {
        Self::from_failure(failure())
    }
}

/// The error that programs get, once for all tools. Its text is none for a model, so what its run has used up is still to be told.
#[cold]
fn to_error(failure: Failure) -> SandboxError {
    if let Some(used_up) = failure.used_up() {
        surroundings::untell_used_up_around(used_up);
    }
    failure.into()
}

#[diagnostic::do_not_recommend]
impl<E: From<SandboxError>> FromFailure for E {
    fn from_failure(failure: Failure) -> Self {
        E::from(to_error(failure))
    }

    fn from_refusal(error: SandboxError, _: impl FnOnce() -> Failure) -> Self {
        E::from(error)
    }
}

/// [What the model should read](Failure::for_model): an error that is a text is most often for a model.
#[diagnostic::do_not_recommend]
impl FromFailure for String {
    fn from_failure(failure: Failure) -> Self {
        failure.for_model()
    }
}

/// A return type that can hold a failure: any `Result<T, E>` with `E: FromFailure`.
#[diagnostic::on_unimplemented(
    message = "a sandboxed tool cannot return a failure in `{Self}`",
    label = "cannot hold a failure",
    note = "return `Result<{Self}, E>` where `E` is `String`, or any type that implements `From<SandboxError>`; or let \
            `on_failure` make what to return",
    note = "the usual answers of rmcp's tools can hold a failure with the feature `rmcp` of sandbox-runtime"
)]
pub trait HoldFailure: Outcome {
    /// The value to return from a call that ended with `failure`.
    fn hold_failure(failure: Failure) -> Self;

    /// The value to return from a call that the breaker refused; see [`FromFailure::from_refusal`].
    fn hold_refusal(_: SandboxError, failure: impl FnOnce() -> Failure) -> Self
    where
        Self: Sized,
    {
        Self::hold_failure(failure())
    }
}

impl<T, E: FromFailure> HoldFailure for Result<T, E> {
    fn hold_failure(failure: Failure) -> Self {
        Err(E::from_failure(failure))
    }

    fn hold_refusal(error: SandboxError, failure: impl FnOnce() -> Failure) -> Self {
        Err(E::from_refusal(error, failure))
    }
}

/// Makes a value of the tool's return type when there is no outcome to return. For bounds; sealed:
/// [`Tool::on_failure`](crate::Tool::on_failure) sets it.
pub trait FailureReturn<R>: sealed::FailureReturn {
    /// The value for a call that ended with `failure`.
    fn failure(&self, failure: Failure) -> R;

    /// The value for a call whose first attempt was refused. `failure` knows more than `refusal` and costs more to make.
    fn refusal(&self, _: Refusal, failure: impl FnOnce() -> Failure) -> R {
        self.failure(failure())
    }
}

impl sealed::FailureReturn for FromReturnType {}

impl<R: HoldFailure> FailureReturn<R> for FromReturnType {
    fn failure(&self, failure: Failure) -> R {
        R::hold_failure(failure)
    }

    fn refusal(&self, refusal: Refusal, failure: impl FnOnce() -> Failure) -> R {
        R::hold_refusal(refusal.into(), failure)
    }
}

impl<F> sealed::FailureReturn for UserFn<F> {}

impl<R, F: Fn(Failure) -> R> FailureReturn<R> for UserFn<F> {
    fn failure(&self, failure: Failure) -> R {
        (self.0)(failure)
    }
}
