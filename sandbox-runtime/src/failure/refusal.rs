//! [`Refusal`]: why a breaker does not admit an attempt, and when it will.

use std::fmt;

use serde::Serialize;

use super::sandbox_error::Plural;

/// Why a [`CircuitBreaker`](crate::CircuitBreaker) refuses an attempt, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The failures that the breaker has counted, as [`failure_count`](crate::CircuitBreaker::failure_count) returns
    /// them.
    pub consecutive_failures: u32,
    /// The number of failures that opens the breaker.
    pub threshold: u32,
    /// When to come back, in milliseconds: the rest of the cooldown; beside a probe at most a second, and then it may refuse
    /// again. `None` when the breaker refuses attempts until it is [reset](crate::CircuitBreaker::reset).
    pub retry_after_ms: Option<u64>,
    /// Whether a probe is under way: the dependency is being tried right now, and the breaker is about to close or to open again.
    #[serde(skip)]
    pub is_probing: bool,
}

impl Refusal {
    pub(crate) const fn new(consecutive_failures: u32, threshold: u32, retry_after_ms: Option<u64>) -> Refusal {
        Refusal {
            consecutive_failures,
            threshold,
            retry_after_ms,
            is_probing: false,
        }
    }

    /// The same, beside a probe.
    pub(crate) const fn beside_probe(self) -> Refusal {
        Refusal {
            is_probing: true,
            ..self
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after_ms {
            Some(millis) => {
                let failures = Plural(self.consecutive_failures, "failure");
                write!(f, "open after {failures}; try again in {millis} ms")
            }
            // Failures are not what holds it open, whatever their number.
            None => f.write_str("held open; it refuses every call until it is reset"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_failures_and_the_time_left() {
        let display = |failures, retry_after_ms| Refusal::new(failures, 5, retry_after_ms).to_string();
        assert_eq!(display(5, Some(27)), "open after 5 failures; try again in 27 ms");
        assert_eq!(display(1, Some(0)), "open after 1 failure; try again in 0 ms");
        assert_eq!(display(5, None), "held open; it refuses every call until it is reset");
    }

    #[test]
    fn serializes_with_the_keys_of_the_error() {
        let refusal = Refusal::new(7, 5, Some(27));
        let expected = serde_json::json!({ "consecutive_failures": 7, "threshold": 5, "retry_after_ms": 27 });
        assert_eq!(serde_json::to_value(refusal).unwrap(), expected);
    }
}
