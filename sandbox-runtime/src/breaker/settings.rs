//! What a breaker has been told when it was built.

use std::time::Duration;

use super::packed::Kind;
use crate::clock::Tick;

/// What opens a closed breaker.
#[derive(Debug, Clone, Copy)]
pub(super) enum TripRule {
    /// So many failures in a row.
    Consecutive { failures: u32 },
    /// So many failures among the last `size` results.
    Windowed { size: u32, failures: u32 },
    /// Nothing.
    Disabled,
}

impl TripRule {
    pub(super) const fn failures(self) -> u32 {
        match self {
            TripRule::Consecutive { failures } | TripRule::Windowed { failures, .. } => failures,
            TripRule::Disabled => u32::MAX,
        }
    }
}

/// All that does not change once the breaker is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) trip_rule: TripRule,
    pub(super) cooldown: Tick,
    pub(super) cooldown_max: Tick,
    pub(super) probes: u16,
}

impl Settings {
    /// The state after construction and after a reset. A threshold of zero has been reached before the first call.
    pub(super) const fn initial(&self) -> Kind {
        match self.trip_rule.failures() {
            0 => Kind::Forced,
            _ => Kind::Closed,
        }
    }

    pub(super) fn cooldown_at(&self, backoff_exponent: u32) -> Tick {
        let longest = Ord::max(self.cooldown, self.cooldown_max);
        self.cooldown.saturating_doubled(backoff_exponent).min(longest)
    }

    /// How long an unresolved probe keeps its place beyond the time that it has. Never nothing, or places would be free while they are taken.
    pub(super) fn lease(&self) -> Tick {
        Ord::max(self.cooldown, Tick::rounded_up(Duration::from_millis(1)))
    }
}
