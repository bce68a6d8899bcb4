//! What the engine says when it has to speak for the tool: [`SandboxError`], small and stable, and [`Failure`] with all
//! that is known.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::breaker::Refusal;

/// The result of a sandboxed call whose tool has no error type of its own.
pub type SandboxResult<T> = Result<T, SandboxError>;

/// Why a call ended without an answer of the tool's own.
///
/// A tool's error type takes it in with `From<SandboxError>`; `String`, [`std::io::Error`], `anyhow::Error` and boxed
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
    #[error("circuit breaker {}", Opened { failures: *.consecutive_failures, retry_after_ms: *.retry_after_ms })]
    #[non_exhaustive]
    CircuitBreakerOpen {
        /// The failures that the breaker has counted.
        consecutive_failures: u32,
        /// The failures that open it.
        threshold: u32,
        /// How long it will still refuse at most; `None` when it does so until it is reset.
        retry_after_ms: Option<u64>,
    },
    /// The tool failed for good, after all attempts: made by
    /// [`ToolExecutionResult::into_output`](crate::ToolExecutionResult::into_output).
    #[error("failed after {}: {reason}", Count(*.attempts, "attempt"))]
    ExecutionFailed {
        /// How many attempts were made.
        attempts: u32,
        /// The tool's own last error.
        reason: String,
    },
    /// The call as a whole ran out of time while an attempt was under way.
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

/// A number of things, with the plural that it asks for.
struct Count(u32, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count(number, thing) = self;
        let plural = if *number == 1 { "" } else { "s" };
        write!(f, "{number} {thing}{plural}")
    }
}

/// Why a breaker refuses, and until when.
struct Opened {
    failures: u32,
    retry_after_ms: Option<u64>,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after_ms {
            Some(millis) => {
                let failures = Count(self.failures, "failure");
                write!(f, "open after {failures}; try again in {millis} ms")
            }
            // It was not the failures.
            None => f.write_str("held open; it refuses every call until it is reset"),
        }
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

    /// Whether the tool panicked.
    #[must_use]
    pub const fn is_panic(&self) -> bool {
        matches!(self, SandboxError::Panicked { .. })
    }
}

impl From<SandboxError> for String {
    fn from(error: SandboxError) -> Self {
        error.to_string()
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

/// What the engine knows about a call that ended without an answer of the tool's own.
///
/// Displays as one sentence, serializes as flat data, and turns into the [`SandboxError`] of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// What happened.
    #[serde(flatten)]
    pub kind: FailureKind,
    /// The tool's name.
    pub tool: &'static str,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many attempts the policy allows.
    pub max_attempts: u32,
    /// How long the call took in milliseconds: from its beginning when it has a deadline, else from when it first had to
    /// wait.
    pub elapsed_ms: u64,
    /// The time limit of one attempt in milliseconds.
    pub timeout_ms: u64,
    /// The time limit of the whole call in milliseconds, if it has one.
    pub deadline_ms: Option<u64>,
    /// How long the breaker will still refuse at most, in milliseconds, if it did and knows.
    pub retry_after_ms: Option<u64>,
    /// Whether an attempt was begun whose effect is unknown: the tool may have done what it was asked to.
    pub may_have_executed: bool,
    /// The message of the panic; for every other kind the text of the last error that the tool returned, when an attempt
    /// followed that came to nothing. On one line, and cut at 500 characters.
    ///
    /// The text of an error is kept for those who ask for it: by the attribute with `on_failure` for any error that
    /// displays, by hand with [`Tool::keep_last_error`](crate::Tool::keep_last_error).
    pub last_error: Option<String>,
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The last attempt did not end within its limit.
    Timeout,
    /// The breaker let no attempt pass.
    #[non_exhaustive]
    #[serde(rename = "circuit_breaker_open")]
    CircuitOpen {
        /// The failures that the breaker has counted.
        consecutive_failures: u32,
        /// The failures that open it.
        threshold: u32,
    },
    /// The call's deadline cut an attempt short.
    #[serde(rename = "deadline_exceeded")]
    Deadline,
    /// The tool panicked.
    #[serde(rename = "panicked")]
    Panic,
    /// The call was cancelled.
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            tool,
            attempts,
            timeout_ms,
            ..
        } = self;
        match self.kind {
            FailureKind::Timeout if *attempts == 1 => {
                write!(f, "`{tool}` timed out after {timeout_ms} ms")
            }
            FailureKind::Timeout => write!(f, "`{tool}` timed out: {attempts} attempts of up to {timeout_ms} ms"),
            FailureKind::CircuitOpen {
                consecutive_failures, ..
            } => {
                let opened = Opened {
                    failures: consecutive_failures,
                    retry_after_ms: self.retry_after_ms,
                };
                write!(f, "`{tool}` was not called: its circuit breaker is {opened}")
            }
            FailureKind::Deadline => {
                let deadline_ms = self.deadline_ms.unwrap_or_default();
                write!(
                    f,
                    "`{tool}` ran out of time in attempt {attempts}: {deadline_ms} ms for the whole call"
                )
            }
            FailureKind::Cancelled if *attempts == 0 => write!(f, "`{tool}` was cancelled before it began"),
            FailureKind::Cancelled => write!(f, "`{tool}` was cancelled in attempt {attempts}"),
            FailureKind::Panic => {
                write!(
                    f,
                    "`{tool}` panicked: {}",
                    self.last_error.as_deref().unwrap_or("no message")
                )
            }
        }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Timeout => SandboxError::Timeout {
                elapsed_ms: failure.timeout_ms,
                limit_ms: failure.timeout_ms,
            },
            FailureKind::CircuitOpen {
                consecutive_failures,
                threshold,
            } => SandboxError::CircuitBreakerOpen {
                consecutive_failures,
                threshold,
                retry_after_ms: failure.retry_after_ms,
            },
            FailureKind::Deadline => SandboxError::DeadlineExceeded {
                elapsed_ms: failure.elapsed_ms,
                limit_ms: failure.deadline_ms.unwrap_or_default(),
            },
            FailureKind::Cancelled => SandboxError::Cancelled,
            FailureKind::Panic => SandboxError::Panicked {
                message: failure.last_error.unwrap_or_default(),
            },
        }
    }
}

impl From<Refusal> for SandboxError {
    fn from(refusal: Refusal) -> Self {
        SandboxError::CircuitBreakerOpen {
            consecutive_failures: refusal.failures,
            threshold: refusal.threshold,
            retry_after_ms: refusal.retry_after.map(millis),
        }
    }
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
