//! [`Stop`]: how attempts and calls end, in one vocabulary.

use std::time::Duration;

use crate::breaker::Fault;
use crate::verdict::Verdict;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// The tool returned something that means this.
    Returned(Verdict),
    /// It ran into its limit: that of an attempt, or what was left of the call's deadline.
    TimedOut,
    /// It panicked.
    Panicked,
}

impl AttemptEnd {
    /// What a breaker learns of a failure.
    pub(crate) const fn fault(self) -> Fault {
        match self {
            AttemptEnd::Returned(_) => Fault::Error,
            AttemptEnd::TimedOut => Fault::Timeout,
            AttemptEnd::Panicked => Fault::Panic,
        }
    }
}

/// Why a call made no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// The last attempt succeeded.
    Succeeded,
    /// The policy allows no further attempt.
    AttemptsExhausted,
    /// The verdict was [`Fail`](Verdict::Fail).
    NotRetryable,
    /// The verdict was [`Ignore`](Verdict::Ignore).
    Ignored,
    /// The attempt may have taken effect, and the tool must not run twice.
    NotIdempotent,
    /// The first attempt has taken the arguments: they cannot be cloned, and there is no request to read them from again.
    ArgumentsConsumed,
    /// The dependency asked for a longer delay than the policy allows.
    HintTooLong,
    /// The delay would end when the call has no time left.
    NoTimeLeft,
    /// The retries of the run are spent.
    RetryBudgetSpent,
    /// The breaker refuses a further attempt.
    BreakerOpened,
    /// The breaker refused the first attempt.
    Refused,
    /// An operator has switched the tool off.
    Disabled,
    /// As many calls are made as may be at a time, and the call was not to wait, or no longer.
    Overloaded,
    /// The rate of its attempts, or a dependency that has asked to wait, allows none for longer than the call was to wait.
    RateLimited,
    /// The run has made all of its calls.
    CallBudgetSpent,
    /// The deadline of the call, or the end of its run, has passed.
    DeadlineExceeded,
    /// The tool panicked.
    Panicked,
    /// The call was cancelled.
    Cancelled,
    /// The caller dropped the call.
    Dropped,
}

impl Stop {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Stop; 19] = [
        Stop::Succeeded,
        Stop::AttemptsExhausted,
        Stop::NotRetryable,
        Stop::Ignored,
        Stop::NotIdempotent,
        Stop::ArgumentsConsumed,
        Stop::HintTooLong,
        Stop::NoTimeLeft,
        Stop::RetryBudgetSpent,
        Stop::BreakerOpened,
        Stop::Refused,
        Stop::Disabled,
        Stop::Overloaded,
        Stop::RateLimited,
        Stop::CallBudgetSpent,
        Stop::DeadlineExceeded,
        Stop::Panicked,
        Stop::Cancelled,
        Stop::Dropped,
    ];

    /// The reason in lower case, with underscores: for data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Stop::Succeeded => "succeeded",
            Stop::AttemptsExhausted => "attempts_exhausted",
            Stop::NotRetryable => "not_retryable",
            Stop::Ignored => "ignored",
            Stop::NotIdempotent => "not_idempotent",
            Stop::ArgumentsConsumed => "arguments_consumed",
            Stop::HintTooLong => "hint_too_long",
            Stop::NoTimeLeft => "no_time_left",
            Stop::RetryBudgetSpent => "retry_budget_spent",
            Stop::BreakerOpened => "breaker_opened",
            Stop::Refused => "refused",
            Stop::Disabled => "disabled",
            Stop::Overloaded => "overloaded",
            Stop::RateLimited => "rate_limited",
            Stop::CallBudgetSpent => "call_budget_spent",
            Stop::DeadlineExceeded => "deadline_exceeded",
            Stop::Panicked => "panicked",
            Stop::Cancelled => "cancelled",
            Stop::Dropped => "dropped",
        }
    }
}

/// Who chose the delay before a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelaySource {
    /// The policy.
    Backoff,
    /// The dependency, by [`Verdict::Retry`].
    Hint,
}

impl DelaySource {
    /// The source in lower case: for data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DelaySource::Backoff => "backoff",
            DelaySource::Hint => "hint",
        }
    }
}

/// What follows an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Retry { delay: Duration, from: DelaySource },
    Stop(Stop),
}

#[cfg(test)]
mod tests {
    use super::Stop;

    #[test]
    fn each_is_at_its_own_place() {
        for (place, stop) in Stop::ALL.into_iter().enumerate() {
            assert_eq!(stop as usize, place, "{stop:?}");
        }
        assert_eq!(Stop::Dropped as usize + 1, Stop::ALL.len(), "the last one");
    }
}
