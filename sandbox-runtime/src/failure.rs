//! [`Failure`]: all that is known of a call that ended without an answer of the tool's own, and how to tell it.

use std::fmt;

use serde::Serialize;

use crate::error::{Opened, SandboxError};

/// What the engine knows about a call that ended without an answer of the tool's own.
///
/// Displays as one line for a log, says [`for_model`](Self::for_model) what a model can act on, serializes as flat data, and
/// turns into the [`SandboxError`] of its kind.
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
    /// The time limit of the whole call in milliseconds, if it has one: its own, or what was left of its run's
    /// [budget](crate::Budget).
    pub deadline_ms: Option<u64>,
    /// How long the breaker will still refuse at most, in milliseconds, if it did and knows.
    pub retry_after_ms: Option<u64>,
    /// Whether an attempt was begun whose effect is unknown: the tool may have done what it was asked to.
    pub may_have_executed: bool,
    /// Whether the policy says that running the tool twice is as good as running it once.
    pub idempotent: bool,
    /// The message of the panic; for every other kind the text of the last error that the tool returned, when an attempt
    /// followed that came to nothing. On one line, and cut at 500 characters.
    ///
    /// The text of an error is kept for those who ask for it: by the attribute with `on_failure` for any error that
    /// displays, by hand with [`Tool::keep_last_error`](crate::Tool::keep_last_error). Of the answers and errors of rmcp's and
    /// rig's tools the attribute keeps it by itself.
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
    /// The call's deadline cut an attempt short, or its run was over before it began.
    #[serde(rename = "deadline_exceeded")]
    Deadline,
    /// The tool panicked.
    #[serde(rename = "panicked")]
    Panic,
    /// The call was cancelled.
    Cancelled,
}

impl Failure {
    /// What the model that called the tool should read: what happened, whether it may have taken effect, and what to do now.
    ///
    /// ```
    /// # use sandbox_runtime::sandboxed;
    /// # use std::future::pending;
    /// #[sandboxed(timeout_ms = 2_000, max_retries = 0, idempotent = false, on_failure = |failure| Err(failure.for_model()))]
    /// async fn send_email(to: String) -> Result<(), String> {
    ///     pending().await
    /// }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// assert_eq!(
    ///     send_email("a@example.org".into()).await.unwrap_err(),
    ///     "`send_email` timed out after 2 s. It may have taken effect: check before you call it again.",
    /// );
    /// # }
    /// ```
    ///
    /// A tool whose error is a `String` fails with this text by itself.
    #[must_use]
    pub fn for_model(&self) -> String {
        let happened = self.happened();
        let earlier = match (&self.kind, &self.last_error) {
            (FailureKind::Panic, _) | (_, None) => String::new(),
            (_, Some(error)) => format!(" An earlier attempt failed: {}", Sentence(error)),
        };
        let advice = self.advice();
        format!("{happened}{earlier} {advice}")
    }

    fn happened(&self) -> String {
        let tool = self.tool;
        match self.kind {
            FailureKind::Timeout if self.attempts == 1 => {
                format!("`{tool}` timed out after {}.", Span(self.timeout_ms))
            }
            FailureKind::Timeout => {
                let limit = Span(self.timeout_ms);
                format!("`{tool}` timed out: {} attempts of up to {limit}.", self.attempts)
            }
            FailureKind::CircuitOpen { .. } if self.retry_after_ms.is_none() => {
                format!("`{tool}` is switched off (its circuit breaker is held open) and was not called.")
            }
            FailureKind::CircuitOpen { .. } => {
                format!("`{tool}` is unavailable after repeated failures (circuit breaker open) and was not called.")
            }
            FailureKind::Deadline if self.attempts == 0 => {
                format!("`{tool}` was not called: there is no time left.")
            }
            FailureKind::Deadline => {
                let limit = Span(self.deadline_ms.unwrap_or_default());
                format!("`{tool}` did not finish in the {limit} that it had.")
            }
            FailureKind::Panic => {
                let message = self.last_error.as_deref().unwrap_or("no message");
                format!("`{tool}` crashed: {}", Sentence(message))
            }
            FailureKind::Cancelled => format!("`{tool}` was cancelled."),
        }
    }

    fn advice(&self) -> String {
        let retry = match self.kind {
            FailureKind::CircuitOpen { .. } => {
                return match self.retry_after_ms {
                    Some(millis) => {
                        let wait = Span(millis.div_ceil(1_000).max(1).saturating_mul(1_000));
                        format!("Do not call it again for {wait}; go on without it.")
                    }
                    None => "Do not call it again; go on without it.".to_owned(),
                };
            }
            FailureKind::Deadline if self.attempts == 0 => "Finish with what you have.",
            _ if self.may_have_executed && !self.idempotent => {
                "It may have taken effect: check before you call it again."
            }
            FailureKind::Timeout => {
                "Calling it again does no harm, but the same request is unlikely to be answered: ask for less, or go on \
                 without it."
            }
            FailureKind::Deadline => "Ask for less, or go on without it.",
            FailureKind::Panic => "The same call is likely to crash again: change it, or go on without it.",
            FailureKind::Cancelled => "Do not call it again unless you are asked to.",
        };
        retry.to_owned()
    }
}

/// A length of time in milliseconds, as one says it.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0;
        match (millis / 1_000, millis % 1_000) {
            (0, millis) => write!(f, "{millis} ms"),
            (seconds, 0) => write!(f, "{seconds} s"),
            (seconds, rest) => {
                let fraction = format!("{rest:03}");
                write!(f, "{seconds}.{} s", fraction.trim_end_matches('0'))
            }
        }
    }
}

/// A text of others, closed by a full stop if it is not closed.
struct Sentence<'a>(&'a str);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = self.0.ends_with(['.', '!', '?', '…']);
        write!(f, "{}{}", self.0, if closed { "" } else { "." })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            tool,
            attempts,
            timeout_ms,
            ..
        } = self;
        let last_error = self.last_error.as_deref();
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
            FailureKind::Deadline if *attempts == 0 => write!(f, "`{tool}` was not called: no time was left"),
            FailureKind::Deadline => {
                let deadline_ms = self.deadline_ms.unwrap_or_default();
                write!(
                    f,
                    "`{tool}` ran out of time in attempt {attempts}: {deadline_ms} ms for the whole call"
                )
            }
            FailureKind::Cancelled if *attempts == 0 => write!(f, "`{tool}` was cancelled before it began"),
            FailureKind::Cancelled => write!(f, "`{tool}` was cancelled in attempt {attempts}"),
            FailureKind::Panic => return write!(f, "`{tool}` panicked: {}", last_error.unwrap_or("no message")),
        }?;
        match last_error {
            Some(error) => write!(f, "; an earlier attempt failed: {error}"),
            None => Ok(()),
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
