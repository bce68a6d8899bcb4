//! The rules that two settings of one tool break together: one of an operator, the other from anywhere.

use std::time::Duration;

use super::Override;
use crate::policy::{Policy, PolicyError};
use crate::registry::ToolHandle;
use crate::rules::{
    BACKOFF_BASE_OVER_MAX, DEADLINE_WITHIN_TIMEOUT, Message, Order, PolicyKey, SLOW_CALL_WITHIN_TIMEOUT, TIMEOUT_MS,
};

const IN_ATTRIBUTE: &str = ", in the attribute";

/// A rule that is broken.
pub(super) struct Conflict {
    /// The setting of the operator's that breaks it.
    pub(super) at_fault: PolicyKey,
    /// The key that the rule is about.
    pub(super) key: &'static str,
    pub(super) message: String,
}

/// Every rule that a tool's settings break.
pub(super) fn conflicts(tool: ToolHandle, set: &Override) -> Vec<Conflict> {
    let broken = set.policy.broken_rules().into_iter().flatten();
    let in_policy = broken.filter_map(|error| in_policy(tool, set, &error));
    in_policy.chain(with_breaker(tool, set)).collect()
}

/// Of a policy that each call brings with it, only what the operator sets is known.
fn in_policy(tool: ToolHandle, set: &Override, error: &PolicyError) -> Option<Conflict> {
    let (order, pair) = pair(error)?;
    let of_operator = pair.map(|(key, _)| set.sets(key));
    if tool.is_policy_given() && of_operator != [true, true] {
        return None;
    }
    let [length, other] = pair.map(|(key, length)| marked(set, key, length));
    let at_fault = if of_operator[0] { pair[0].0 } else { pair[1].0 };
    Some(Conflict {
        at_fault,
        key: error.key(),
        message: order.message(length, other).as_str().to_owned(),
    })
}

/// The two settings that a rule is about; `None` if it is about one, which has been checked with its table.
fn pair(error: &PolicyError) -> Option<(&'static Order, [(PolicyKey, Duration); 2])> {
    match *error {
        PolicyError::DeadlineWithinTimeout { deadline, timeout } => Some((
            &DEADLINE_WITHIN_TIMEOUT,
            [(PolicyKey::DeadlineMs, deadline), (PolicyKey::TimeoutMs, timeout)],
        )),
        PolicyError::BackoffBaseOverMax { base, max } => Some((
            &BACKOFF_BASE_OVER_MAX,
            [(PolicyKey::BackoffMaxMs, max), (PolicyKey::BackoffBaseMs, base)],
        )),
        PolicyError::ZeroTimeout
        | PolicyError::ZeroDeadline
        | PolicyError::ZeroConcurrency
        | PolicyError::ZeroCalls
        | PolicyError::ZeroPeriod => None,
    }
}

/// A length of time, with where it is from if that is not the document.
fn marked(set: &Override, key: PolicyKey, length: Duration) -> Message {
    const DEFAULT: Policy = Policy::new();
    let default = match key {
        PolicyKey::TimeoutMs => Some(DEFAULT.timeout),
        PolicyKey::BackoffBaseMs => Some(DEFAULT.backoff_base),
        _ => None,
    };
    match default {
        _ if set.sets(key) => Message::millis(length),
        Some(default) if length == default => Message::millis_or_default(length, default, true),
        _ => Message::millis(length).text(IN_ATTRIBUTE),
    }
}

/// The attribute's breaker takes successes for failures that take longer than a time, which has to be within the time limit.
fn with_breaker(tool: ToolHandle, set: &Override) -> Option<Conflict> {
    let longest = tool.breaker()?.longest_success()?;
    let timeout = set.policy.timeout;
    if !set.sets(PolicyKey::TimeoutMs) || SLOW_CALL_WITHIN_TIMEOUT.holds(longest, timeout) {
        return None;
    }
    let longest = Message::millis(longest).text(IN_ATTRIBUTE);
    let message = SLOW_CALL_WITHIN_TIMEOUT.message(longest, Message::millis(timeout));
    Some(Conflict {
        at_fault: PolicyKey::TimeoutMs,
        key: TIMEOUT_MS.key,
        message: message.as_str().to_owned(),
    })
}
