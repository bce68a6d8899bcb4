//! The settings of a breaker, fixed once it is built.

use std::time::Duration;

use super::origin::Origin;
use super::packed::State;
use crate::clock::Tick;

/// What opens a closed breaker.
#[derive(Debug, Clone, Copy)]
pub(super) enum TripRule {
    /// `threshold` failures in a row.
    Consecutive { threshold: u32 },
    /// `threshold` failures among the latest `size` results.
    Windowed { size: u32, threshold: u32 },
    /// Nothing.
    Disabled,
}

impl TripRule {
    pub(super) const fn threshold(self) -> u32 {
        match self {
            TripRule::Consecutive { threshold } | TripRule::Windowed { threshold, .. } => threshold,
            TripRule::Disabled => u32::MAX,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) trip_rule: TripRule,
    pub(super) cooldown: Tick,
    pub(super) cooldown_max: Tick,
    pub(super) probes: u16,
    pub(super) counting: Counting,
    pub(super) origin: Origin,
}

// Half of a breaker: its other half are the four words of its state.
const _: () = assert!(size_of::<Settings>() == 32);

/// What a breaker counts of calls whose errors are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Counting {
    /// An error that a retry follows is not counted; the one with which the call ends is.
    #[default]
    Calls,
    /// Every attempt that fails is counted.
    Attempts,
}

impl Settings {
    /// Returns the state after construction and after a reset. A threshold of zero is reached before the first call.
    pub(super) const fn initial_state(&self) -> State {
        match self.trip_rule.threshold() {
            0 => State::ForcedOpen,
            _ => State::Closed,
        }
    }

    pub(super) fn cooldown_at(&self, backoff_exponent: u32) -> Tick {
        let longest = Ord::max(self.cooldown, self.cooldown_max);
        self.cooldown.saturating_doubled(backoff_exponent).min(longest)
    }

    /// Returns how long a silent probe keeps its slot: one cooldown after its time `limit`. Never zero: the slot of a probe
    /// that has just begun would be given away.
    pub(super) fn probe_lease(&self, limit: Tick) -> Tick {
        let after_limit = Ord::max(self.cooldown, Tick::rounded_up(Duration::from_millis(1)));
        after_limit.saturating_add(limit)
    }
}
