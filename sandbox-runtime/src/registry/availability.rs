//! [`Availability`]: whether a tool is to be had now, and how others learn that this has changed.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::ToolHandle;
use crate::breaker::{BreakerState, CircuitBreaker};
use crate::clock::saturating_add;

/// Whether a tool is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    /// Its calls are refused, until then at least; `None` until somebody changes that.
    Unavailable(Option<Instant>),
}

impl ToolHandle {
    /// Whether its calls are refused because an operator has switched it off, or by its own breaker. While that breaker lets a few of
    /// them try whether the tool is well again, it is to be had.
    pub(crate) fn availability(&self) -> Availability {
        let off = self.off_for();
        let refused = match self.breaker().map(CircuitBreaker::state) {
            Some(BreakerState::Open { retry_after }) => Some(Some(retry_after)),
            Some(BreakerState::ForcedOpen) => Some(None),
            Some(BreakerState::Closed | BreakerState::HalfOpen) | None => None,
        };
        let refused = refused.filter(|_| !self.is_shadow());
        let reasons: Vec<_> = off.into_iter().chain(refused).collect();
        if reasons.is_empty() {
            return Availability::Available;
        }
        // Until every reason is gone.
        let longest = reasons
            .into_iter()
            .try_fold(Duration::ZERO, |longest, left| Some(longest.max(left?)));
        Availability::Unavailable(longest.map(|left| saturating_add(Instant::now(), left)))
    }
}

impl Availability {
    /// That of two tools, of which one is enough.
    pub(crate) fn or(self, other: Availability) -> Availability {
        match (self, other) {
            (Availability::Unavailable(one), Availability::Unavailable(other)) => {
                Availability::Unavailable(one.into_iter().chain(other).min())
            }
            _ => Availability::Available,
        }
    }
}

static CHANGES: Notify = Notify::const_new();

/// A breaker has changed its state, or an operator has done something to a tool.
pub(crate) fn changed() {
    CHANGES.notify_waiters();
}

/// Resolves at the next change, also at one before it is first polled.
pub(crate) fn next_change() -> Notified<'static> {
    CHANGES.notified()
}
