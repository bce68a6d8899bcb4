//! [`SandboxError`]: why a call ended without an answer of the tool's own, small and stable.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Failure, FailureKind, Refusal};

/// The result of a sandboxed call whose tool has no error type of its own.
pub type SandboxResult<T> = Result<T, SandboxError>;

/// Why a call ended without an answer of the tool's own.
///
/// A tool's error type takes it in with `From<SandboxError>`; [`std::io::Error`], `anyhow::Error` and boxed
/// errors do already. All times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SandboxError {
    /// The last attempt did not end within its limit.
    #[error("timed out: no answer within {limit_ms} ms")]
    Timeout {
        /// How long the attempt was given: the limit.
        elapsed_ms: u64,
        /// The limit of one attempt.
        limit_ms: u64,
    },
    /// The circuit breaker refused an attempt: the first, or, of a closure that answers with JSON, a further one.
    #[error("circuit breaker {}", Refusal::new(*.consecutive_failures, *.threshold, *.retry_after_ms))]
    #[non_exhaustive]
    CircuitBreakerOpen {
        /// The failures that the breaker has counted: fewer than those that open it if other replicas of the service have opened it.
        consecutive_failures: u32,
        /// The failures that open it.
        threshold: u32,
        /// When to come back: after the rest of the cooldown; beside a probe, after a second at most. `None` when the breaker
        /// refuses until it is reset.
        retry_after_ms: Option<u64>,
    },
    /// An operator has switched the tool off.
    #[error("{}", SwitchedOff(.reason, *.retry_after_ms))]
    #[non_exhaustive]
    Disabled {
        /// Why, in the operator's words.
        reason: String,
        /// When to come back; `None` if it is off until somebody switches it on.
        retry_after_ms: Option<u64>,
    },
    /// As many calls are made as may be [at a time](crate::Policy::max_concurrent), and the call was not to wait, or no longer.
    #[error("{}", Overload(*.max_concurrent, *.retry_after_ms))]
    #[non_exhaustive]
    Overloaded {
        /// How many calls may be made at a time.
        max_concurrent: u32,
        /// When to come back: after a second at most, for when a place is free is not known.
        retry_after_ms: Option<u64>,
    },
    /// The [rate](crate::Policy::rate), or a dependency that has asked to wait, allows no attempt for longer than the call was to
    /// wait.
    #[error("{}", Throttle(*.by_dependency, *.retry_after_ms))]
    #[non_exhaustive]
    RateLimited {
        /// Whether the dependency has asked for that, as HTTP's `Retry-After` does.
        by_dependency: bool,
        /// When to come back.
        retry_after_ms: Option<u64>,
    },
    /// The run has made all of its [calls](crate::Budget::calls).
    #[error("the run has made all of its calls")]
    CallBudgetSpent,
    /// The tool failed for good, after all attempts: made by
    /// [`ToolExecutionResult::into_output`](crate::ToolExecutionResult::into_output), and, with the feature `faults`, in place of the
    /// tool's own error by an injected fault.
    #[error("failed after {}: {reason}", Plural(*.attempts, "attempt"))]
    ExecutionFailed {
        /// How many attempts were made.
        attempts: u32,
        /// The tool's own last error.
        reason: String,
    },
    /// The call as a whole ran out of time while an attempt was under way, or its run was over before it began.
    #[error("deadline exceeded: no answer within {limit_ms} ms")]
    DeadlineExceeded {
        /// How long the call took.
        elapsed_ms: u64,
        /// The deadline of the call.
        limit_ms: u64,
    },
    /// The tool panicked.
    #[error("the tool panicked: {message}")]
    Panicked {
        /// The message of the panic, as far as it was text.
        message: String,
    },
    /// The call was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// What is told of a tool that is off.
pub(super) struct SwitchedOff<'a>(pub(super) &'a str, pub(super) Option<u64>);

impl fmt::Display for SwitchedOff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SwitchedOff(reason, left) = self;
        write!(f, "switched off by an operator: {reason}")?;
        try_again(f, *left)
    }
}

/// What is told where so many calls are made at a time.
pub(super) struct Overload(pub(super) u32, pub(super) Option<u64>);

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overload(most, left) = self;
        write!(f, "overloaded: {} at a time", Plural(*most, "call"))?;
        try_again(f, *left)
    }
}

/// What is told where attempts are held back: by their dependency, or by their rate.
pub(super) struct Throttle(pub(super) bool, pub(super) Option<u64>);

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Throttle(by_dependency, left) = self;
        f.write_str(match by_dependency {
            true => "rate limited: the dependency has asked to wait",
            false => "rate limited: the rate of calls is used up",
        })?;
        try_again(f, *left)
    }
}

fn try_again(f: &mut fmt::Formatter<'_>, left_ms: Option<u64>) -> fmt::Result {
    match left_ms {
        Some(millis) => write!(f, "; try again in {millis} ms"),
        None => Ok(()),
    }
}

/// A number of things, in the plural where there is not exactly one.
pub(super) struct Plural(pub(super) u32, pub(super) &'static str);

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plural(number, thing) = self;
        let plural = if *number == 1 { "" } else { "s" };
        write!(f, "{number} {thing}{plural}")
    }
}

impl SandboxError {
    /// Whether an attempt ran into its time limit.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, SandboxError::Timeout { .. })
    }

    /// Whether the call ran into its deadline.
    #[must_use]
    pub const fn is_deadline_exceeded(&self) -> bool {
        matches!(self, SandboxError::DeadlineExceeded { .. })
    }

    /// Whether the call was cancelled.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, SandboxError::Cancelled)
    }

    /// Whether the circuit breaker refused the call.
    #[must_use]
    pub const fn is_circuit_open(&self) -> bool {
        matches!(self, SandboxError::CircuitBreakerOpen { .. })
    }

    /// Whether an operator has switched the tool off.
    #[must_use]
    pub const fn is_disabled(&self) -> bool {
        matches!(self, SandboxError::Disabled { .. })
    }

    /// Whether as many calls are made as may be at a time.
    #[must_use]
    pub const fn is_overloaded(&self) -> bool {
        matches!(self, SandboxError::Overloaded { .. })
    }

    /// Whether the rate of calls, or the dependency, holds calls back.
    #[must_use]
    pub const fn is_rate_limited(&self) -> bool {
        matches!(self, SandboxError::RateLimited { .. })
    }

    /// Whether the tool panicked.
    #[must_use]
    pub const fn is_panic(&self) -> bool {
        matches!(self, SandboxError::Panicked { .. })
    }
}

/// Of the kind `TimedOut` for a timeout or a deadline, else `Other`; the error itself is inside.
impl From<SandboxError> for std::io::Error {
    fn from(error: SandboxError) -> Self {
        let kind = match error {
            SandboxError::Timeout { .. } | SandboxError::DeadlineExceeded { .. } => std::io::ErrorKind::TimedOut,
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

impl From<Refusal> for SandboxError {
    fn from(refusal: Refusal) -> Self {
        SandboxError::CircuitBreakerOpen {
            consecutive_failures: refusal.consecutive_failures,
            threshold: refusal.threshold,
            retry_after_ms: refusal.retry_after_ms,
        }
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Timeout => SandboxError::Timeout {
                elapsed_ms: failure.timeout_ms,
                limit_ms: failure.timeout_ms,
            },
            FailureKind::CircuitBreakerOpen {
                consecutive_failures,
                threshold,
                ..
            } => failure.refusal(consecutive_failures, threshold).into(),
            FailureKind::DeadlineExceeded => SandboxError::DeadlineExceeded {
                elapsed_ms: failure.elapsed_ms,
                limit_ms: failure.deadline_ms.unwrap_or_default(),
            },
            FailureKind::Disabled => SandboxError::Disabled {
                reason: failure.reason().unwrap_or_default().to_owned(),
                retry_after_ms: failure.retry_after_ms,
            },
            FailureKind::Overloaded { max_concurrent } => SandboxError::Overloaded {
                max_concurrent,
                retry_after_ms: failure.retry_after_ms,
            },
            FailureKind::RateLimited { by_dependency } => SandboxError::RateLimited {
                by_dependency,
                retry_after_ms: failure.retry_after_ms,
            },
            FailureKind::CallBudgetSpent => SandboxError::CallBudgetSpent,
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => SandboxError::ExecutionFailed {
                attempts: failure.attempts,
                reason: crate::faults::REASON.to_owned(),
            },
            FailureKind::Cancelled => SandboxError::Cancelled,
            FailureKind::Panicked => SandboxError::Panicked {
                message: failure.panic_message().unwrap_or_default().to_owned(),
            },
        }
    }
}
