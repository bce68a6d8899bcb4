//! [`PolicyError`]: a rule that a policy breaks, and the message about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::Policy;
use crate::rules::{
    BACKOFF_BASE_OVER_MAX, CALLS, DEADLINE_MS, DEADLINE_WITHIN_TIMEOUT, MAX_CONCURRENT, Message, PER_MS, TIMEOUT_MS,
};

/// A rule that a [`Policy`] breaks. Its message names the settings as the attribute does, with times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Every attempt would time out.
    ZeroTimeout,
    /// Every call would be out of time.
    ZeroDeadline,
    /// The first delay would already be cut to the maximum.
    BackoffBaseOverMax {
        /// [`Policy::backoff_base`].
        base: Duration,
        /// [`Policy::backoff_max`].
        max: Duration,
    },
    /// No attempt could use its whole time limit.
    DeadlineWithinTimeout {
        /// [`Policy::deadline`].
        deadline: Duration,
        /// [`Policy::timeout`].
        timeout: Duration,
    },
    /// No call would ever be made.
    ZeroConcurrency,
    /// No attempt would ever be made.
    ZeroCalls,
    /// The rate would be no limit.
    ZeroPeriod,
}

impl PolicyError {
    /// The key of the attribute whose value is at fault.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            PolicyError::ZeroTimeout => TIMEOUT_MS.key,
            PolicyError::ZeroDeadline => DEADLINE_MS.key,
            PolicyError::BackoffBaseOverMax { .. } => BACKOFF_BASE_OVER_MAX.key,
            PolicyError::DeadlineWithinTimeout { .. } => DEADLINE_WITHIN_TIMEOUT.key,
            PolicyError::ZeroConcurrency => MAX_CONCURRENT.key,
            PolicyError::ZeroCalls => CALLS.key,
            PolicyError::ZeroPeriod => PER_MS.key,
        }
    }

    /// The message, for constants too. A default is marked as one if nobody need have written it.
    pub(crate) const fn message(&self, marks_default: bool) -> Message {
        const DEFAULT: Policy = Policy::new();
        match *self {
            PolicyError::ZeroTimeout => TIMEOUT_MS.message(0),
            PolicyError::ZeroDeadline => DEADLINE_MS.message(0),
            PolicyError::BackoffBaseOverMax { base, max } => {
                let base = Message::millis_or_default(base, DEFAULT.backoff_base, marks_default);
                BACKOFF_BASE_OVER_MAX.message(Message::millis(max), base)
            }
            PolicyError::DeadlineWithinTimeout { deadline, timeout } => {
                let timeout = Message::millis_or_default(timeout, DEFAULT.timeout, marks_default);
                DEADLINE_WITHIN_TIMEOUT.message(Message::millis(deadline), timeout)
            }
            PolicyError::ZeroConcurrency => MAX_CONCURRENT.message(0),
            PolicyError::ZeroCalls => CALLS.message(0),
            PolicyError::ZeroPeriod => PER_MS.message(0),
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message(true).as_str())
    }
}

impl Error for PolicyError {}
