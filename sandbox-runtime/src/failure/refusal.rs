//! [`Refusal`]: why a breaker does not admit an attempt, and when it will.

use std::fmt;

use serde::Serialize;

use super::sandbox_error::Plural;

/// Why a [`CircuitBreaker`](crate::CircuitBreaker) refuses an attempt, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The failures that the breaker has counted, as [`failure_count`](crate::CircuitBreaker::failure_count) returns
    /// them. Fewer than the threshold if other replicas of the service have opened it: then those of this one since it did.
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

/// Tells whether a breaker that is not closed, and lets itself be tried later, is so because of what other replicas of the service have
/// found out. Otherwise it has counted as many failures as open it.
pub(super) const fn is_found_by_others(failures: u32, threshold: u32) -> bool {
    failures < threshold
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after_ms {
            Some(millis) => {
                f.write_str("open after ")?;
                match is_found_by_others(self.consecutive_failures, self.threshold) {
                    true => f.write_str("failures in other replicas of the service")?,
                    false => write!(f, "{}", Plural(self.consecutive_failures, "failure"))?,
                }
                write!(f, "; try again in {millis} ms")
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
        let display =
            |failures, threshold, retry_after_ms| Refusal::new(failures, threshold, retry_after_ms).to_string();
        assert_eq!(display(5, 5, Some(27)), "open after 5 failures; try again in 27 ms");
        assert_eq!(display(1, 1, Some(0)), "open after 1 failure; try again in 0 ms");
        assert_eq!(
            display(0, 5, Some(27)),
            "open after failures in other replicas of the service; try again in 27 ms"
        );
        assert_eq!(
            display(0, 5, None),
            "held open; it refuses every call until it is reset"
        );
    }

    #[test]
    fn serializes_with_the_keys_of_the_error() {
        let refusal = Refusal::new(7, 5, Some(27));
        let expected = serde_json::json!({ "consecutive_failures": 7, "threshold": 5, "retry_after_ms": 27 });
        assert_eq!(serde_json::to_value(refusal).unwrap(), expected);
    }
}
