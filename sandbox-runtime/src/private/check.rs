//! What is checked when an expansion is compiled: the numbers that are constants, and the types of what the user names.

use std::time::Duration;

use crate::breaker::CircuitBreaker;
use crate::policy::{Policy, PolicyError};

/// The kinds of jitter, as the attribute spells them.
pub mod jitter {
    use crate::policy::Jitter;

    #[expect(non_upper_case_globals, reason = "they are spelt as the user spells them")]
    mod words {
        use super::Jitter;

        pub const none: Jitter = Jitter::None;
        pub const full: Jitter = Jitter::Full;
        pub const equal: Jitter = Jitter::Equal;
    }

    pub use words::{equal, full, none};
}

/// A length of time given to the attribute.
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The breaker of a function that asks for no other.
pub const fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(CircuitBreaker::DEFAULT_THRESHOLD)
}

/// A breaker for failures in a row. Evaluated in a static: a bad number does not compile.
pub const fn threshold(threshold: u32) -> CircuitBreaker {
    assert!(
        threshold != 0,
        "`threshold` is 0, so that the breaker would never let a call pass; set at least 1"
    );
    CircuitBreaker::new(threshold)
}

/// The size of a window. Evaluated in a static: a bad number does not compile.
pub const fn window(window: u32) -> u32 {
    assert!(
        window >= 1 && window <= 64,
        "`window` is out of range; it is at least 1 and at most 64"
    );
    window
}

/// The share of failures that opens a breaker. Evaluated in a static: a bad number does not compile.
pub const fn failure_rate(failure_rate: f64) -> f64 {
    assert!(
        failure_rate > 0.0 && failure_rate <= 1.0,
        "`failure_rate` is out of range; it is above 0 and at most 1"
    );
    failure_rate
}

/// A breaker that the user has named; here its type is told when it is another.
#[inline]
pub const fn given_breaker(breaker: &CircuitBreaker) -> &CircuitBreaker {
    breaker
}

/// Checks the rules about the setting `key` and says in its terms which is broken. Evaluated in a constant: a policy that
/// breaks one does not compile.
pub const fn check(policy: &Policy, key: &str) {
    let Err(error) = policy.validate() else {
        return;
    };
    let (concerned, text) = match error {
        PolicyError::ZeroTimeout => (
            "timeout_ms",
            Message::new().then("`timeout_ms` is 0, so that every attempt would time out; set at least 1"),
        ),
        PolicyError::BackoffBaseOverMax { base, max } => (
            "backoff_max_ms",
            Message::new()
                .then("`backoff_max_ms` (")
                .then_millis(max)
                .then(") is shorter than `backoff_base_ms` (")
                .then_setting(base, DEFAULT.backoff_base)
                .then("); raise it or lower the base"),
        ),
        PolicyError::DeadlineWithinTimeout { deadline, timeout } => (
            "deadline_ms",
            Message::new()
                .then("`deadline_ms` (")
                .then_millis(deadline)
                .then(") is not longer than `timeout_ms` (")
                .then_setting(timeout, DEFAULT.timeout)
                .then("), which is for one attempt alone; raise it or lower the timeout"),
        ),
    };
    assert!(!equal(key, concerned), "{}", text.as_str());
}

const DEFAULT: Policy = Policy::new();

const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// A message put together in a constant, where there is no `format!`.
struct Message {
    bytes: [u8; 256],
    length: usize,
}

impl Message {
    const fn new() -> Self {
        Message {
            bytes: [0; 256],
            length: 0,
        }
    }

    const fn then(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut index = 0;
        while index < text.len() && self.length < self.bytes.len() {
            self.bytes[self.length] = text[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    const fn then_millis(mut self, duration: Duration) -> Self {
        let millis = duration.as_millis();
        let mut unit = 1;
        while millis / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            let digit = (millis / unit % 10) as u8;
            if self.length < self.bytes.len() {
                self.bytes[self.length] = b'0' + digit;
                self.length += 1;
            }
            unit /= 10;
        }
        self
    }

    /// A setting that the user need not have written.
    const fn then_setting(self, duration: Duration, default: Duration) -> Self {
        let message = self.then_millis(duration);
        if duration.as_nanos() == default.as_nanos() {
            message.then(", the default")
        } else {
            message
        }
    }

    const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            // Cannot happen: the text is put together of whole strings of ASCII.
            Err(_) => "",
        }
    }
}

// The attribute takes it from here that there are retries where none are set.
const _: () = assert!(retries(&Policy::new()));

/// Whether `policy` can hand its arguments to a second attempt.
pub const fn retries(policy: &Policy) -> bool {
    policy.max_retries > 0
}
