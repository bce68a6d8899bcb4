//! [`decide`]: whether another attempt follows one that has ended, after what delay, and if not, why.

use std::time::Duration;

use crate::failure::{AttemptEnd, Decision, DelaySource, Stop};
use crate::policy::Policy;
use crate::verdict::Verdict;

/// The longest hint that is waited for under a policy without a longest delay. A dependency that asks for more is asking for
/// another call.
const LONGEST_HINT: Duration = Duration::from_secs(60);

/// What a decision depends on beside the policy and the end of the attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Attempts begun, the one that has ended included.
    pub(crate) attempts: u32,
    /// What is left until the deadline of the call or the end of its run; `None` without either.
    pub(crate) time_left: Option<Duration>,
    /// Whether the breaker would refuse an attempt now. Asked before the delay as well as after it: after it an open
    /// breaker could only refuse.
    pub(crate) is_breaker_open: bool,
    /// Whether the tool can be run again, whatever the attempt has done.
    pub(crate) is_safe: bool,
    /// Whether there are arguments for a further attempt.
    pub(crate) has_arguments: bool,
    /// Where in its range a delay lies, if the policy spreads delays.
    pub(crate) random: u64,
}

impl Policy {
    /// The first attempt and its retries, as far as they can be counted.
    pub(crate) const fn max_attempts(&self) -> u32 {
        self.max_retries.saturating_add(1)
    }
}

/// Decides what follows an attempt that ended like this. The retries of a run are not looked at here: to ask for one spends it.
// In line, a constant policy takes part in it as a constant.
#[inline]
pub(crate) fn decide(policy: &Policy, end: AttemptEnd, situation: &Situation) -> Decision {
    let hint = match end {
        AttemptEnd::Panicked => return Decision::Stop(Stop::Panicked),
        AttemptEnd::Returned(Verdict::Success) => return Decision::Stop(Stop::Succeeded),
        AttemptEnd::Returned(Verdict::Fail) => return Decision::Stop(Stop::NotRetryable),
        AttemptEnd::Returned(Verdict::Ignore) => return Decision::Stop(Stop::Ignored),
        AttemptEnd::TimedOut if situation.time_left == Some(Duration::ZERO) => {
            return Decision::Stop(Stop::DeadlineExceeded);
        }
        AttemptEnd::TimedOut | AttemptEnd::Returned(Verdict::Retry { .. }) if !situation.is_safe => {
            return Decision::Stop(Stop::NotIdempotent);
        }
        AttemptEnd::TimedOut => None,
        AttemptEnd::Returned(Verdict::Retry { after }) => after,
    };
    if situation.attempts >= policy.max_attempts() {
        return Decision::Stop(Stop::AttemptsExhausted);
    }
    if !situation.has_arguments {
        return Decision::Stop(Stop::ArgumentsConsumed);
    }
    if situation.is_breaker_open {
        return Decision::Stop(Stop::BreakerOpened);
    }
    let (delay, from) = match hint {
        Some(hint) => (hint, DelaySource::Hint),
        None => (
            policy.delay_before(situation.attempts, situation.random),
            DelaySource::Backoff,
        ),
    };
    if from == DelaySource::Hint && delay > policy.backoff_max.unwrap_or(LONGEST_HINT) {
        return Decision::Stop(Stop::HintTooLong);
    }
    if situation.time_left.is_some_and(|left| delay >= left) {
        return Decision::Stop(Stop::NoTimeLeft);
    }
    Decision::Retry { delay, from }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const POLICY: Policy = Policy::new().max_retries(2).backoff_base(SECOND);
    const FIRST: Situation = Situation {
        attempts: 1,
        time_left: None,
        is_breaker_open: false,
        is_safe: true,
        has_arguments: true,
        random: 0,
    };
    const FAILED: AttemptEnd = AttemptEnd::Returned(Verdict::RETRY);

    fn hinted(after: Duration) -> AttemptEnd {
        AttemptEnd::Returned(Verdict::Retry { after: Some(after) })
    }

    fn left(time_left: Duration) -> Situation {
        Situation {
            time_left: Some(time_left),
            ..FIRST
        }
    }

    const fn backoff(delay: Duration) -> Decision {
        let from = DelaySource::Backoff;
        Decision::Retry { delay, from }
    }

    const fn hint(delay: Duration) -> Decision {
        let from = DelaySource::Hint;
        Decision::Retry { delay, from }
    }

    #[test]
    fn every_rule_has_a_row() {
        let panicked = AttemptEnd::Panicked;
        let once = Situation {
            is_safe: false,
            ..FIRST
        };
        let capped = POLICY.backoff_max(SECOND * 3);
        let second = Situation { attempts: 2, ..FIRST };
        let third = Situation { attempts: 3, ..FIRST };
        let open = Situation {
            is_breaker_open: true,
            ..FIRST
        };
        let taken = Situation {
            has_arguments: false,
            ..FIRST
        };
        let stop = Decision::Stop;
        #[rustfmt::skip]
        let rows = [
            ("an error is retried after the backoff", POLICY, FAILED, FIRST, backoff(SECOND)),
            ("which doubles", POLICY, FAILED, second, backoff(SECOND * 2)),
            ("and is capped", capped.backoff_max(SECOND), FAILED, second, backoff(SECOND)),
            ("a timeout is retried", POLICY, AttemptEnd::TimedOut, FIRST, backoff(SECOND)),
            ("a hint replaces the backoff", POLICY, hinted(SECOND * 9), FIRST, hint(SECOND * 9)),
            ("up to a minute", POLICY, hinted(LONGEST_HINT), FIRST, hint(LONGEST_HINT)),
            ("and not beyond it", POLICY, hinted(LONGEST_HINT + Duration::from_nanos(1)), FIRST, stop(Stop::HintTooLong)),
            ("unless the policy allows longer delays", POLICY.backoff_max(SECOND * 90), hinted(SECOND * 90), FIRST, hint(SECOND * 90)),
            ("the backoff itself needs no cap", POLICY.backoff_base(SECOND * 90), FAILED, FIRST, backoff(SECOND * 90)),
            ("up to the cap", capped, hinted(SECOND * 3), FIRST, hint(SECOND * 3)),
            ("and not beyond", capped, hinted(SECOND * 4), FIRST, stop(Stop::HintTooLong)),
            ("the attempts are counted", POLICY, FAILED, third, stop(Stop::AttemptsExhausted)),
            ("of timeouts too", POLICY, AttemptEnd::TimedOut, third, stop(Stop::AttemptsExhausted)),
            ("one attempt has no retry", POLICY.max_retries(0), FAILED, FIRST, stop(Stop::AttemptsExhausted)),
            ("the most retries never overflow", POLICY.max_retries(u32::MAX), FAILED,
                Situation { attempts: u32::MAX, ..FIRST }, stop(Stop::AttemptsExhausted)),
            ("a verdict says that a retry is of no use", POLICY, AttemptEnd::Returned(Verdict::Fail), FIRST, stop(Stop::NotRetryable)),
            ("or that the caller is at fault", POLICY, AttemptEnd::Returned(Verdict::Ignore), FIRST, stop(Stop::Ignored)),
            ("a success is the end", POLICY, AttemptEnd::Returned(Verdict::Success), FIRST, stop(Stop::Succeeded)),
            ("a panic is not retried", POLICY, panicked, FIRST, stop(Stop::Panicked)),
            ("a timeout may have taken effect", POLICY, AttemptEnd::TimedOut, once, stop(Stop::NotIdempotent)),
            ("and so may an attempt that returned an error", POLICY, FAILED, once, stop(Stop::NotIdempotent)),
            ("also one with a hint", POLICY, hinted(SECOND), once, stop(Stop::NotIdempotent)),
            ("and the last one", POLICY, FAILED, Situation { attempts: 3, ..once }, stop(Stop::NotIdempotent)),
            ("but what was not to be retried is nothing else", POLICY, AttemptEnd::Returned(Verdict::Fail), once, stop(Stop::NotRetryable)),
            ("an open breaker ends the call before the delay", POLICY, FAILED, open, stop(Stop::BreakerOpened)),
            ("unless no retry was due", POLICY, FAILED, Situation { attempts: 3, ..open }, stop(Stop::AttemptsExhausted)),
            ("a delay ends before the deadline", POLICY, FAILED, left(SECOND + Duration::from_nanos(1)), backoff(SECOND)),
            ("or is not begun", POLICY, FAILED, left(SECOND), stop(Stop::NoTimeLeft)),
            ("nor is a hint's", POLICY, hinted(SECOND), left(SECOND), stop(Stop::NoTimeLeft)),
            ("the deadline cuts an attempt", POLICY, AttemptEnd::TimedOut, left(Duration::ZERO), stop(Stop::DeadlineExceeded)),
            ("also the last one", POLICY, AttemptEnd::TimedOut, Situation { attempts: 3, ..left(Duration::ZERO) }, stop(Stop::DeadlineExceeded)),
            ("without arguments there is not another attempt", POLICY, FAILED, taken, stop(Stop::ArgumentsConsumed)),
            ("nor was there one to expect", POLICY.max_retries(0), FAILED, taken, stop(Stop::AttemptsExhausted)),
            ("whatever the breaker says", POLICY, AttemptEnd::TimedOut, Situation { has_arguments: false, ..open }, stop(Stop::ArgumentsConsumed)),
            ("and one that must not run twice", POLICY, AttemptEnd::TimedOut, Situation { is_safe: false, ..left(Duration::ZERO) }, stop(Stop::DeadlineExceeded)),
            ("a panic at the deadline is a panic", POLICY, panicked, left(Duration::ZERO), stop(Stop::Panicked)),
        ];
        for (rule, policy, end, situation, decision) in rows {
            assert_eq!(
                decide(&policy, end, &situation),
                decision,
                "{rule}: {end:?} in {situation:?}"
            );
        }
    }
}
