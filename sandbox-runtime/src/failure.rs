//! [`Failure`]: everything known about a call that ended without an outcome of the tool's own.

mod model_text;
mod refusal;
mod sandbox_error;
mod stop;

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::call::current::CallId;

#[cfg(feature = "rmcp")]
pub(crate) use model_text::{HumanMillis, wait};
pub use refusal::Refusal;
#[cfg(feature = "faults")]
use sandbox_error::Plural;
use sandbox_error::{Overload, SwitchedOff, Throttle};
pub use sandbox_error::{SandboxError, SandboxResult};
pub(crate) use stop::{AttemptEnd, Decision};
pub use stop::{DelaySource, Stop};

/// Everything the engine knows about a call that ended without an outcome of the tool's own.
///
/// Displays as one line for a log, returns [`for_model`](Self::for_model) a text that a model can act on, serializes as flat
/// data, and converts into the [`SandboxError`] of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// What happened.
    #[serde(flatten)]
    pub kind: FailureKind,
    /// The tool's name.
    pub tool: &'static str,
    /// The identity of the call, which the tool had as [`Attempt::call_id`](crate::Attempt::call_id) in every attempt.
    pub call_id: CallId,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many attempts the policy allows.
    pub max_attempts: u32,
    /// How long the call took in milliseconds: from its beginning when it has a deadline, otherwise from when it first had to
    /// wait.
    pub elapsed_ms: u64,
    /// The time limit of one attempt in milliseconds.
    pub timeout_ms: u64,
    /// The time limit of the whole call in milliseconds, if it has one: its own, or what was left of its run's
    /// [budget](crate::Budget).
    pub deadline_ms: Option<u64>,
    /// When to come back, in milliseconds: after a refusal, and after a failure that has opened the breaker. It is the rest of
    /// the cooldown; beside a probe, or beside as many calls as may be made at a time, at most a second. `None` if nothing refuses,
    /// or until somebody changes that.
    pub retry_after_ms: Option<u64>,
    /// Whether an attempt was begun whose effect is unknown: the tool may have done what it was asked to.
    pub may_have_executed: bool,
    /// Whether the policy says that running the tool twice is as good as running it once.
    pub idempotent: bool,
    /// The text of the last error that the tool returned, when an attempt followed that yielded nothing. On one line, and cut
    /// at 500 characters.
    ///
    /// The attribute keeps it of every error that displays, and of the answers and errors of rmcp and rig; a tool made by hand does
    /// after [`Tool::keep_last_error`](crate::Tool::keep_last_error).
    // Not a `String`: with it, a failure would be as large as what clippy calls too large in a `Result`.
    pub last_error: Option<Box<str>>,
    /// Boxed for the same reason.
    #[serde(rename = "reason", skip_serializing_if = "Detail::is_not_for_data")]
    pub(crate) detail: Option<Box<Detail>>,
}

/// What only failures of one kind have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The message of a panic, on one line and cut at 500 characters.
    PanicMessage(String),
    /// Why an operator has switched the tool off.
    Reason(Box<str>),
    /// What its run has used up; set in the first failure that says so.
    UsedUp(UsedUp),
}

/// What a run of an agent can use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsedUp {
    /// Its calls, or its time: no tool is called any more.
    Calls,
    /// Its retries.
    Retries,
}

impl Detail {
    fn is_not_for_data(detail: &Option<Box<Detail>>) -> bool {
        !matches!(detail.as_deref(), Some(Detail::Reason(_)))
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Detail::Reason(reason) => serializer.serialize_str(reason),
            // It was written for programmers.
            Detail::PanicMessage(_) => serializer.serialize_none(),
            // The kind of the failure says it.
            Detail::UsedUp(_) => serializer.serialize_none(),
        }
    }
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The last attempt did not end within its limit.
    Timeout,
    /// The breaker refused the first attempt; or a further one, if the error before it is of a type that cannot be sent to another
    /// thread, and so was not kept during the delay. [`Failure::retry_after_ms`] tells when to come back.
    #[non_exhaustive]
    CircuitBreakerOpen {
        /// The failures that the breaker has counted: fewer than those that open it if other replicas of the service have opened it.
        consecutive_failures: u32,
        /// The failures that open it.
        threshold: u32,
        /// Whether a probe is under way: the dependency is being tried right now.
        #[serde(skip)]
        is_probing: bool,
    },
    /// An operator has switched the tool off: see [`Failure::reason`].
    Disabled,
    /// As many calls are made as may be [at a time](crate::Policy::max_concurrent), and the call was not to wait, or no longer.
    #[non_exhaustive]
    Overloaded {
        /// How many calls may be made at a time.
        max_concurrent: u32,
    },
    /// The [rate](crate::Policy::rate), or a dependency that has asked to wait, allows no attempt for longer than the call was to
    /// wait.
    #[non_exhaustive]
    RateLimited {
        /// Whether the dependency has asked for that, as HTTP's `Retry-After` does.
        by_dependency: bool,
    },
    /// The run has made all of its [calls](crate::Budget::calls).
    CallBudgetSpent,
    /// The call's deadline cut an attempt short, or its run was over before it began.
    DeadlineExceeded,
    /// The last attempt failed by an [injected fault](crate::faults::Fault::Fail), so that there is no error of the tool's own.
    #[cfg(feature = "faults")]
    ExecutionFailed,
    /// The tool panicked.
    Panicked,
    /// The call was cancelled.
    Cancelled,
}

impl FailureKind {
    /// The name that data has for it, such as `circuit_breaker_open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FailureKind::Timeout => "timeout",
            FailureKind::CircuitBreakerOpen { .. } => "circuit_breaker_open",
            FailureKind::Disabled => "disabled",
            FailureKind::Overloaded { .. } => "overloaded",
            FailureKind::RateLimited { .. } => "rate_limited",
            FailureKind::CallBudgetSpent => "call_budget_spent",
            FailureKind::DeadlineExceeded => "deadline_exceeded",
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => "execution_failed",
            FailureKind::Panicked => "panicked",
            FailureKind::Cancelled => "cancelled",
        }
    }
}

impl Failure {
    /// The message of the panic, on one line and cut at 500 characters, if the tool panicked. It was written for programmers:
    /// the log has it, and [`SandboxError::Panicked`], but neither the text for a model nor the data of a serialized failure.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match self.detail.as_deref()? {
            Detail::PanicMessage(message) => Some(message),
            Detail::Reason(_) | Detail::UsedUp(_) => None,
        }
    }

    /// Why an operator has switched the tool off, if that is what happened.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self.detail.as_deref()? {
            Detail::Reason(reason) => Some(reason),
            Detail::PanicMessage(_) | Detail::UsedUp(_) => None,
        }
    }

    /// What its run has used up, in the first failure that says so.
    pub(crate) fn used_up(&self) -> Option<UsedUp> {
        match self.detail.as_deref()? {
            Detail::UsedUp(used_up) => Some(*used_up),
            Detail::PanicMessage(_) | Detail::Reason(_) => None,
        }
    }

    /// A refusal before a retry is reported only where the error of the attempt before could not be kept.
    const fn again(&self) -> &'static str {
        if self.attempts == 0 { "" } else { " again" }
    }

    fn switched_off(&self) -> SwitchedOff<'_> {
        SwitchedOff(self.reason().unwrap_or_default(), self.retry_after_ms)
    }

    /// The refusal that the failure reports.
    fn refusal(&self, consecutive_failures: u32, threshold: u32) -> Refusal {
        Refusal::new(consecutive_failures, threshold, self.retry_after_ms)
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
            FailureKind::Timeout => {
                write!(
                    f,
                    "`{tool}` timed out after {timeout_ms} ms, in the last of {attempts} attempts"
                )
            }
            FailureKind::CircuitBreakerOpen {
                consecutive_failures,
                threshold,
                ..
            } => {
                let refusal = self.refusal(consecutive_failures, threshold);
                let again = self.again();
                write!(f, "`{tool}` was not called{again}: its circuit breaker is {refusal}")
            }
            FailureKind::Disabled => write!(f, "`{tool}` was not called: it is {}", self.switched_off()),
            FailureKind::Overloaded { max_concurrent } => {
                write!(
                    f,
                    "`{tool}` was not called: {}",
                    Overload(max_concurrent, self.retry_after_ms)
                )
            }
            FailureKind::RateLimited { by_dependency } => {
                write!(
                    f,
                    "`{tool}` was not called: {}",
                    Throttle(by_dependency, self.retry_after_ms)
                )
            }
            FailureKind::CallBudgetSpent => write!(f, "`{tool}` was not called: the run has made all of its calls"),
            FailureKind::DeadlineExceeded if *attempts == 0 => write!(f, "`{tool}` was not called: no time was left"),
            FailureKind::DeadlineExceeded => {
                let deadline_ms = self.deadline_ms.unwrap_or_default();
                write!(
                    f,
                    "`{tool}` ran out of time in attempt {attempts}: {deadline_ms} ms for the whole call"
                )
            }
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => {
                let attempts = Plural(*attempts, "attempt");
                write!(f, "`{tool}` failed after {attempts}: {}", crate::faults::REASON)
            }
            FailureKind::Cancelled if *attempts == 0 => write!(f, "`{tool}` was cancelled before it began"),
            FailureKind::Cancelled => write!(f, "`{tool}` was cancelled in attempt {attempts}"),
            FailureKind::Panicked => {
                let message = self.panic_message().unwrap_or("no message");
                write!(f, "`{tool}` panicked: {message}")
            }
        }?;
        match last_error {
            Some(error) => write!(f, "; an earlier attempt failed: {error}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
