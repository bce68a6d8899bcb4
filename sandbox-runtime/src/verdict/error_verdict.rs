//! [`ErrorVerdict`]: what the values of an error type mean, stated once, at the type.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::iter;
use std::sync::Arc;

use super::Verdict;
use crate::failure::{Failure, FailureKind, SandboxError};
use crate::text::sanitized;

/// How many causes of an error are looked at: an error may name itself as its source.
const LONGEST_CHAIN: usize = 64;

/// An error type that states what its values mean: whether to try again, and whether the caller is at fault.
///
/// Every `#[sandboxed]` function that returns the type uses it, without an argument; `retry_if`, `ignore_if` and `classify`
/// still win. By hand, [`Tool::classify_by_error_type`](crate::Tool::classify_by_error_type) turns it on. Without it every error is
/// retried, and the last one of a call counts as a failure.
///
/// Most types [derive it](derive@crate::ErrorVerdict). [`std::io::Error`], [`SandboxError`] and [`Failure`] implement it, and
/// boxed errors look for one of these three in themselves and among their sources. So do error types with
/// `AsRef<dyn Error>` when the attribute meets them, such as `anyhow::Error`.
///
/// ```
/// use sandbox_runtime::{ErrorVerdict, SandboxError, Verdict, sandboxed};
///
/// #[derive(Debug, thiserror::Error)]
/// enum OrderError {
///     #[error("there is no order {0}")]
///     NoOrder(u32),
///     #[error("the shop is locked by another order")]
///     Locked,
///     #[error(transparent)]
///     Sandbox(#[from] SandboxError),
/// }
///
/// impl ErrorVerdict for OrderError {
///     fn verdict(&self) -> Verdict {
///         match self {
///             OrderError::NoOrder(_) => Verdict::Ignore,
///             OrderError::Locked => Verdict::RETRY,
///             OrderError::Sandbox(error) => error.verdict(),
///         }
///     }
///
///     // A lock that was not taken leaves the order as it was.
///     fn is_safe_to_retry(&self) -> bool {
///         matches!(self, OrderError::Locked)
///     }
/// }
///
/// #[sandboxed(idempotent = false)]
/// async fn cancel(order: u32) -> Result<(), OrderError> {
///     Err(OrderError::NoOrder(order))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not state what its values mean",
    label = "the error type does not implement `ErrorVerdict`",
    note = "to a type of your own add `#[derive(sandbox_runtime::ErrorVerdict)]`"
)]
pub trait ErrorVerdict {
    /// What this error means: [`Retry`](Verdict::Retry), [`Fail`](Verdict::Fail) or [`Ignore`](Verdict::Ignore).
    fn verdict(&self) -> Verdict;

    /// Tells whether the tool has certainly done nothing, so that even one that is not
    /// [idempotent](crate::Policy::idempotent) can be run again. It is asked about errors that mean a retry.
    ///
    /// `false`, unless the type says otherwise: after an error of unknown effect, such a tool is not run again.
    fn is_safe_to_retry(&self) -> bool {
        false
    }

    /// Returns what a later [failure](crate::Failure::last_error) reports of this error, to models as well, or `None` for nothing.
    /// `displayed` is the error if it displays.
    ///
    /// That is what it displays, unless the type says otherwise: to keep from models what only operators may read. The
    /// engine shows it on one line, and cuts it at 500 characters.
    fn text(&self, displayed: Option<&dyn Display>) -> Option<String> {
        displayed.map(sanitized)
    }
}

/// What [`Verdict::of_io_error`] returns. Safe to try again are `ConnectionRefused`, `AddrInUse` and `AddrNotAvailable`: there was
/// no connection, so nothing was sent. An unreachable host is not: it may be reported of a connection that a request was
/// already sent over.
impl ErrorVerdict for io::Error {
    fn verdict(&self) -> Verdict {
        Verdict::of_io_error(self)
    }

    fn is_safe_to_retry(&self) -> bool {
        match of_call_within(self) {
            Some(call) => call.is_safe_to_retry(),
            None => matches!(
                self.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
            ),
        }
    }
}

/// The end of a sandboxed call within the tool. A refusal, a cancellation and a deadline mean [`Ignore`](Verdict::Ignore): this tool is
/// not at fault, and another attempt could not help it. A panic means [`Fail`](Verdict::Fail). A timeout and a failed execution mean
/// [`RETRY`](Verdict::RETRY), and may have taken effect.
impl ErrorVerdict for SandboxError {
    fn verdict(&self) -> Verdict {
        match self {
            SandboxError::CircuitBreakerOpen { .. }
            | SandboxError::Disabled { .. }
            | SandboxError::Overloaded { .. }
            | SandboxError::RateLimited { .. }
            | SandboxError::CallBudgetSpent
            | SandboxError::DeadlineExceeded { .. }
            | SandboxError::Cancelled => Verdict::Ignore,
            SandboxError::Panicked { .. } => Verdict::Fail,
            SandboxError::Timeout { .. } | SandboxError::ExecutionFailed { .. } => Verdict::RETRY,
        }
    }
}

/// As for a [`SandboxError`] of the same kind.
impl ErrorVerdict for Failure {
    fn verdict(&self) -> Verdict {
        match self.kind {
            FailureKind::CircuitBreakerOpen { .. }
            | FailureKind::Disabled
            | FailureKind::Overloaded { .. }
            | FailureKind::RateLimited { .. }
            | FailureKind::CallBudgetSpent
            | FailureKind::DeadlineExceeded
            | FailureKind::Cancelled => Verdict::Ignore,
            FailureKind::Panicked => Verdict::Fail,
            FailureKind::Timeout => Verdict::RETRY,
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => Verdict::RETRY,
        }
    }
}

macro_rules! dynamic_errors {
    ($($error:ty),*) => {$(
        /// What the [`SandboxError`], [`Failure`] or [`std::io::Error`] means that the error is, or has among its sources;
        /// without one, a retry.
        impl ErrorVerdict for $error {
            fn verdict(&self) -> Verdict {
                of_chain(self).map_or(Verdict::RETRY, ErrorVerdict::verdict)
            }

            fn is_safe_to_retry(&self) -> bool {
                of_chain(self).is_some_and(ErrorVerdict::is_safe_to_retry)
            }
        }
    )*};
}

dynamic_errors!(dyn Error, dyn Error + Send, dyn Error + Sync, dyn Error + Send + Sync);

macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<E: ErrorVerdict + ?Sized> ErrorVerdict for $pointer<E> {
            fn verdict(&self) -> Verdict {
                E::verdict(self)
            }

            fn is_safe_to_retry(&self) -> bool {
                E::is_safe_to_retry(self)
            }

            fn text(&self, displayed: Option<&dyn Display>) -> Option<String> {
                E::text(self, displayed)
            }
        }
    )*};
}

pointers!(Box, Arc);

/// The error with a known meaning that `error` is or has among its sources. The end of a sandboxed call comes first: an I/O
/// error may be a consequence of it.
pub(crate) fn of_chain<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn ErrorVerdict> {
    of_call_within(error).or_else(|| {
        let known = chain(error).find_map(<dyn Error>::downcast_ref::<io::Error>)?;
        Some(known)
    })
}

/// The end of a sandboxed call that `error` is or has among its sources.
pub(super) fn of_call_within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn ErrorVerdict> {
    chain(error).find_map(|error| match error.downcast_ref::<SandboxError>() {
        Some(error) => Some(error as &dyn ErrorVerdict),
        None => Some(error.downcast_ref::<Failure>()?),
    })
}

/// The error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| cause(*error)).take(LONGEST_CHAIN)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        // Its source is that of the error inside, which would be passed over.
        Some(error) => error.get_ref().map(|inside| inside as _),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::failure::Refusal;

    const REFUSED: Refusal = Refusal {
        consecutive_failures: 5,
        threshold: 5,
        retry_after_ms: Some(1),
        is_probing: false,
    };

    /// An error with a cause.
    #[derive(Debug)]
    struct Context(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Context {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("it did not work")
        }
    }

    impl Error for Context {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    fn refused() -> SandboxError {
        REFUSED.into()
    }

    fn limit(error: impl FnOnce(u64, u64) -> SandboxError) -> SandboxError {
        error(10, 10)
    }

    #[test]
    fn the_end_of_a_call_within() {
        let timeout = limit(|elapsed_ms, limit_ms| SandboxError::Timeout { elapsed_ms, limit_ms });
        let deadline = limit(|elapsed_ms, limit_ms| SandboxError::DeadlineExceeded { elapsed_ms, limit_ms });
        let panicked = SandboxError::Panicked { message: String::new() };
        let failed = SandboxError::ExecutionFailed {
            attempts: 3,
            reason: String::new(),
        };
        for (error, verdict) in [
            (refused(), Verdict::Ignore),
            (SandboxError::Cancelled, Verdict::Ignore),
            (deadline, Verdict::Ignore),
            (panicked, Verdict::Fail),
            (timeout, Verdict::RETRY),
            (failed, Verdict::RETRY),
        ] {
            assert_eq!(error.verdict(), verdict, "{error}");
            assert!(!error.is_safe_to_retry(), "{error}");
            let inside = io::Error::from(error.clone());
            assert_eq!(inside.verdict(), verdict, "in an I/O error: {error}");
            assert!(!inside.is_safe_to_retry(), "in an I/O error: {error}");
            let boxed: Box<dyn Error> = Box::new(error.clone());
            assert_eq!(boxed.verdict(), verdict, "in a box: {error}");
        }
    }

    #[test]
    fn it_is_found_however_deep() {
        let context: Box<dyn Error + Send + Sync> = Box::new(Context(Box::new(refused())));
        assert_eq!(context.verdict(), Verdict::Ignore);
        let io = io::Error::other(Context(Box::new(refused())));
        assert_eq!(io.verdict(), Verdict::Ignore);
        let twice = io::Error::other(Context(Box::new(io)));
        assert_eq!(twice.verdict(), Verdict::Ignore);
        let boxed: Box<dyn Error + Send> = Box::new(Context(Box::new(twice)));
        assert_eq!(boxed.verdict(), Verdict::Ignore);
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(refused());
        assert_eq!(shared.verdict(), Verdict::Ignore);
    }

    #[test]
    fn an_io_error_is_found_too() {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let boxed: Box<dyn Error> = missing().into();
        assert_eq!(boxed.verdict(), Verdict::Ignore);
        let boxed: Box<dyn Error + Send + Sync> = Box::new(Context(missing().into()));
        assert_eq!(boxed.verdict(), Verdict::Ignore);
        let boxed: Box<dyn Error> = io::Error::from(io::ErrorKind::ConnectionRefused).into();
        assert_eq!((boxed.verdict(), boxed.is_safe_to_retry()), (Verdict::RETRY, true));
        let unknown: Box<dyn Error> = "no such city".into();
        assert_eq!((unknown.verdict(), unknown.is_safe_to_retry()), (Verdict::RETRY, false));
    }

    #[test]
    fn only_errors_without_a_connection_are_safe() {
        for (kind, is_safe) in [
            (io::ErrorKind::ConnectionRefused, true),
            (io::ErrorKind::AddrInUse, true),
            (io::ErrorKind::AddrNotAvailable, true),
            (io::ErrorKind::ConnectionReset, false),
            (io::ErrorKind::BrokenPipe, false),
            (io::ErrorKind::HostUnreachable, false),
            (io::ErrorKind::TimedOut, false),
            (io::ErrorKind::WouldBlock, false),
            (io::ErrorKind::Interrupted, false),
        ] {
            assert_eq!(io::Error::from(kind).is_safe_to_retry(), is_safe, "{kind}");
        }
    }

    #[test]
    fn an_error_that_is_its_own_source_is_looked_at_for_a_while() {
        #[derive(Debug)]
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("again")
            }
        }
        impl Error for Endless {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        let boxed: Box<dyn Error> = Box::new(Endless);
        assert_eq!(boxed.verdict(), Verdict::RETRY);
    }
}
