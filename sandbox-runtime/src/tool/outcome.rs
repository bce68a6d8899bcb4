//! [`Reader`]: what the outcome of an attempt means, and what it says.

use std::fmt;

use crate::sealed;
use crate::text::sanitized;
use crate::verdict::Verdict;

/// A return type whose values show whether the tool worked: any `Result<T, E>`.
#[diagnostic::on_unimplemented(
    message = "a sandboxed tool cannot return a failure in `{Self}`",
    label = "cannot hold a failure",
    note = "return `Result<{Self}, E>` where `E` is `String`, or any type that implements `From<SandboxError>`; or let \
            `on_failure` make what to return",
    note = "the usual answers of rmcp's tools can hold a failure with the feature `rmcp` of sandbox-runtime"
)]
pub trait Outcome {
    /// What this outcome means.
    fn verdict(&self) -> Verdict;
}

/// `Ok` is a success, `Err` is retried.
impl<T, E> Outcome for Result<T, E> {
    #[inline]
    fn verdict(&self) -> Verdict {
        match self {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::RETRY,
        }
    }
}

/// Reads the outcomes of a tool's attempts. For bounds; sealed: [`Tool`](crate::Tool) has setters for it.
pub trait Reader<R>: sealed::Reader {
    /// What the outcome means.
    fn verdict(&self, outcome: &R) -> Verdict;

    /// Tells whether somebody has stated that the tool can be run again after this outcome even if it is not
    /// [idempotent](crate::Policy::idempotent). It is asked about outcomes that mean a retry.
    #[inline]
    fn is_safe_to_retry(&self, _: &R) -> bool {
        false
    }

    /// What a later [`Failure`](crate::Failure) reports of an outcome that a retry follows.
    fn text(&self, _: &R) -> Option<String> {
        None
    }
}

/// Reads what the return type itself says; also returns a failure in that type.
#[derive(Debug, Clone, Copy)]
pub struct FromReturnType;

impl sealed::Reader for FromReturnType {}

impl<R: Outcome> Reader<R> for FromReturnType {
    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        outcome.verdict()
    }
}

/// Asks a function that the user wrote: what an outcome means, or what to return for a failure.
#[derive(Debug, Clone, Copy)]
pub struct UserFn<F>(pub(crate) F);

impl<F> sealed::Reader for UserFn<F> {}

impl<R, F: Fn(&R) -> Verdict> Reader<R> for UserFn<F> {
    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        (self.0)(outcome)
    }

    /// The user decides on retries.
    #[inline]
    fn is_safe_to_retry(&self, _: &R) -> bool {
        true
    }
}

/// Asks a function what an outcome means, and another reader what it says.
#[derive(Debug, Clone, Copy)]
pub struct Classified<F, C> {
    pub(crate) verdict: F,
    pub(crate) inner: C,
}

impl<F, C> sealed::Reader for Classified<F, C> {}

impl<R, F: Fn(&R) -> Verdict, C: Reader<R>> Reader<R> for Classified<F, C> {
    #[inline]
    fn verdict(&self, outcome: &R) -> Verdict {
        (self.verdict)(outcome)
    }

    /// The user decides on retries.
    #[inline]
    fn is_safe_to_retry(&self, _: &R) -> bool {
        true
    }

    fn text(&self, outcome: &R) -> Option<String> {
        self.inner.text(outcome)
    }
}

/// Retries the errors that a predicate accepts and no others; of answers it asks another reader.
#[derive(Debug, Clone, Copy)]
pub struct RetryIf<P, C> {
    pub(crate) is_retryable: P,
    pub(crate) inner: C,
}

impl<P, C> sealed::Reader for RetryIf<P, C> {}

impl<T, E, P: Fn(&E) -> bool, C: Reader<Result<T, E>>> Reader<Result<T, E>> for RetryIf<P, C> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Ok(_) => self.inner.verdict(outcome),
            Err(error) if (self.is_retryable)(error) => Verdict::RETRY,
            Err(_) => Verdict::Fail,
        }
    }

    /// An error that is retried is one that the user accepts.
    #[inline]
    fn is_safe_to_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.is_err() || self.inner.is_safe_to_retry(outcome)
    }

    fn text(&self, outcome: &Result<T, E>) -> Option<String> {
        self.inner.text(outcome)
    }
}

/// Ignores the errors that a predicate accepts; of all other outcomes it asks another reader.
#[derive(Debug, Clone, Copy)]
pub struct IgnoreIf<P, C> {
    pub(crate) is_callers_fault: P,
    pub(crate) inner: C,
}

impl<P, C> sealed::Reader for IgnoreIf<P, C> {}

impl<T, E, P: Fn(&E) -> bool, C: Reader<Result<T, E>>> Reader<Result<T, E>> for IgnoreIf<P, C> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Err(error) if (self.is_callers_fault)(error) => Verdict::Ignore,
            _ => self.inner.verdict(outcome),
        }
    }

    #[inline]
    fn is_safe_to_retry(&self, outcome: &Result<T, E>) -> bool {
        self.inner.is_safe_to_retry(outcome)
    }

    fn text(&self, outcome: &Result<T, E>) -> Option<String> {
        self.inner.text(outcome)
    }
}

/// Reads from an error what it displays, and asks another reader what it means.
#[derive(Debug, Clone, Copy)]
pub struct DescribeError<C>(pub(crate) C);

impl<C> sealed::Reader for DescribeError<C> {}

impl<T, E: fmt::Display, C: Reader<Result<T, E>>> Reader<Result<T, E>> for DescribeError<C> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        self.0.verdict(outcome)
    }

    #[inline]
    fn is_safe_to_retry(&self, outcome: &Result<T, E>) -> bool {
        self.0.is_safe_to_retry(outcome)
    }

    fn text(&self, outcome: &Result<T, E>) -> Option<String> {
        outcome.as_ref().err().map(sanitized)
    }
}

/// Reads a success in every outcome.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysSuccess;

impl sealed::Reader for AlwaysSuccess {}

impl<R> Reader<R> for AlwaysSuccess {
    #[inline]
    fn verdict(&self, _: &R) -> Verdict {
        Verdict::Success
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::tool::{FromErrorType, PerVariant};

    const BY_TYPE: PerVariant<AlwaysSuccess, FromErrorType> = PerVariant(AlwaysSuccess, FromErrorType);

    /// Whether a reader states that it is safe to retry after an error.
    fn is_safe(reader: impl Reader<io::Result<()>>, kind: io::ErrorKind) -> bool {
        reader.is_safe_to_retry(&Err(kind.into()))
    }

    #[test]
    fn an_error_is_safe_to_retry_if_its_type_or_the_user_says_so() {
        let refused = io::ErrorKind::ConnectionRefused;
        let reset = io::ErrorKind::ConnectionReset;
        let ignore = |inner| IgnoreIf {
            is_callers_fault: |_: &io::Error| false,
            inner,
        };
        let retry = RetryIf {
            is_retryable: |_: &io::Error| true,
            inner: FromReturnType,
        };
        let verdict = |_: &io::Result<()>| Verdict::RETRY;
        let inner = FromReturnType;
        assert!(!is_safe(FromReturnType, refused), "nobody says so");
        assert!(is_safe(BY_TYPE, refused) && !is_safe(BY_TYPE, reset));
        assert!(is_safe(ignore(BY_TYPE), refused) && !is_safe(ignore(BY_TYPE), reset));
        assert!(is_safe(DescribeError(BY_TYPE), refused) && !is_safe(DescribeError(BY_TYPE), reset));
        assert!(is_safe(retry, reset));
        assert!(is_safe(UserFn(verdict), reset));
        assert!(is_safe(Classified { verdict, inner }, reset));
    }
}
