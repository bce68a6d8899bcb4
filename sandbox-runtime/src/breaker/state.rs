//! [`BreakerState`]: the state of a breaker for those who use it.

use std::fmt;
use std::time::Duration;

/// The state of a [`CircuitBreaker`](super::CircuitBreaker), as the next attempt would meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Attempts pass.
    Closed,
    /// Attempts are refused.
    Open {
        /// The rest of the cooldown.
        retry_after: Duration,
    },
    /// The cooldown is over: attempts pass as probes while a probe slot is free.
    HalfOpen,
    /// Attempts are refused until [`reset`](super::CircuitBreaker::reset); with a threshold of 0, always.
    ForcedOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BreakerState::Closed => f.write_str("closed"),
            BreakerState::Open { retry_after } => write!(f, "open for {} ms", retry_after.as_millis()),
            BreakerState::HalfOpen => f.write_str("half-open"),
            BreakerState::ForcedOpen => f.write_str("forced open"),
        }
    }
}
