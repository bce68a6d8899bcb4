//! What is checked when an expansion is compiled: the numbers that are constants.
//!
//! These functions track their caller, so that the compiler reports what they refuse at the value, and shows nothing of them.

use std::time::Duration;

use crate::breaker::CircuitBreaker;
use crate::policy::{Policy, RateScope};
use crate::rules::{
    COOLDOWN_OVER_MAX, FAILURE_RATE, FORGET_MS, Message, PROBES, SLOW_CALL_MS, SLOW_CALL_WITHIN_TIMEOUT, THRESHOLD,
    WINDOW,
};

/// The kinds of jitter, as the attribute spells them.
pub mod jitter {
    use crate::policy::Jitter;

    #[expect(non_upper_case_globals, reason = "they are spelled as in the attribute")]
    mod words {
        use super::Jitter;

        pub const none: Jitter = Jitter::None;
        pub const full: Jitter = Jitter::Full;
        pub const equal: Jitter = Jitter::Equal;
    }

    pub use words::{equal, full, none};
}

/// Whose attempts a rate counts, as the attribute spells it.
#[expect(non_camel_case_types, reason = "they are spelled as in the attribute")]
#[derive(Debug, Clone, Copy)]
pub enum scope {
    process,
    fleet,
}

/// The scope that is meant. Evaluated in a constant: one that this build does not know does not compile.
#[track_caller]
pub const fn rate_scope(word: scope) -> RateScope {
    match word {
        scope::process => RateScope::Process,
        #[cfg(feature = "fleet")]
        scope::fleet => RateScope::Fleet,
        #[cfg(not(feature = "fleet"))]
        scope::fleet => {
            panic!("`scope = fleet` needs the feature `fleet` of `sandbox-runtime`; add it in `Cargo.toml`")
        }
    }
}

/// What breakers count, as the attribute spells it.
pub mod count {
    use crate::breaker::Counting;

    #[expect(non_upper_case_globals, reason = "they are spelled as in the attribute")]
    mod words {
        use super::Counting;

        pub const calls: Counting = Counting::Calls;
        pub const attempts: Counting = Counting::Attempts;
    }

    pub use words::{attempts, calls};
}

/// A length of time given to the attribute.
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What `timeout_ms = off` stands for.
pub const NO_TIMEOUT_MS: Duration = Policy::NO_TIMEOUT;

/// The breaker of a function without settings for it. It is evaluated once, and copied for each.
pub const fn breaker() -> CircuitBreaker {
    const { CircuitBreaker::new(CircuitBreaker::DEFAULT_THRESHOLD) }
}

/// A breaker for failures in a row. Evaluated in a static: a bad number does not compile.
#[track_caller]
pub const fn threshold(threshold: u32) -> CircuitBreaker {
    let number = threshold as u64;
    assert!(THRESHOLD.contains(number), "{}", THRESHOLD.message(number).as_str());
    CircuitBreaker::new(threshold)
}

/// The size of a window. Evaluated in a static: a bad number does not compile.
#[track_caller]
pub const fn window(window: u32) -> u32 {
    let number = window as u64;
    assert!(WINDOW.contains(number), "{}", WINDOW.message(number).as_str());
    window
}

/// The share of failures that opens a breaker. Evaluated in a static: a bad number does not compile.
#[track_caller]
pub const fn failure_rate(failure_rate: f64) -> f64 {
    assert!(FAILURE_RATE.contains(failure_rate), "{}", FAILURE_RATE.message);
    failure_rate
}

/// The number of probes. Evaluated in a static: a bad number does not compile.
#[track_caller]
pub const fn probes(probes: u32) -> u32 {
    let number = probes as u64;
    assert!(PROBES.contains(number), "{}", PROBES.message(number).as_str());
    probes
}

/// The longest that a success may take. Evaluated in a static: a bad number does not compile.
#[track_caller]
pub const fn slow_call_ms(millis: u64) -> Duration {
    assert!(
        SLOW_CALL_MS.contains(millis),
        "{}",
        SLOW_CALL_MS.message(millis).as_str()
    );
    Duration::from_millis(millis)
}

/// How far apart failures in a row may lie. Evaluated in a static: a bad number does not compile.
#[track_caller]
pub const fn forget_ms(millis: u64) -> Duration {
    assert!(FORGET_MS.contains(millis), "{}", FORGET_MS.message(millis).as_str());
    Duration::from_millis(millis)
}

/// Checks the rules about the setting `key`; `beside_default` tells whether the setting that it is compared with is not given.
/// Evaluated in a constant: a policy that breaks one does not compile.
#[track_caller]
pub const fn check(policy: &Policy, key: &str, beside_default: bool) {
    if let Err(error) = policy.validate() {
        // Another key's mistake is reported at its own value.
        assert!(!equal(key, error.key()), "{}", error.message(beside_default).as_str());
    }
}

const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// Checks the two lengths of a breaker's cooldown. Evaluated in a constant: a bad pair does not compile.
#[track_caller]
pub const fn check_cooldowns(longest: Duration, first: Duration) {
    assert!(
        COOLDOWN_OVER_MAX.holds(longest, first),
        "{}",
        COOLDOWN_OVER_MAX
            .message(Message::millis(longest), Message::millis(first))
            .as_str()
    );
}

/// Checks the longest that a success may take beside the limit of an attempt; `beside_default` tells whether that is not given.
/// Evaluated in a constant: a bad pair does not compile.
#[track_caller]
pub const fn check_slow_call(longest: Duration, policy: &Policy, beside_default: bool) {
    const DEFAULT: Policy = Policy::new();
    let timeout = Message::millis_or_default(policy.timeout, DEFAULT.timeout, beside_default);
    assert!(
        SLOW_CALL_WITHIN_TIMEOUT.holds(longest, policy.timeout),
        "{}",
        SLOW_CALL_WITHIN_TIMEOUT
            .message(Message::millis(longest), timeout)
            .as_str()
    );
}

// The attribute relies on it: where `max_retries` is not set, there are retries.
const _: () = assert!(retries(&Policy::new()));

/// Tells whether `policy` allows a second attempt.
pub const fn retries(policy: &Policy) -> bool {
    policy.max_retries > 0
}
