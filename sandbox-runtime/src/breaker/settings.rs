//! The settings of a breaker: how they are made, and what follows from them. They are fixed once it is built.

use std::sync::OnceLock;
use std::time::Duration;

use super::CircuitBreaker;
use super::machine::Machine;
use super::origin::Origin;
use super::packed::State;
use crate::clock::Tick;

impl CircuitBreaker {
    /// The default length of a cooldown.
    const COOLDOWN: Tick = Tick::rounded_up(Duration::from_secs(30));

    /// The threshold of [`CircuitBreaker::default`]: 5.
    pub const DEFAULT_THRESHOLD: u32 = 5;

    /// Creates a closed breaker that opens after `threshold` failures in a row, with a cooldown of 30 s and one probe.
    ///
    /// A `threshold` of 0 is reached from the start: such a breaker is always open, even after a [`reset`](Self::reset).
    #[must_use]
    pub const fn new(threshold: u32) -> Self {
        Self::tripping(TripRule::Consecutive { threshold })
    }

    /// Creates a closed breaker that opens when at least `failure_rate` of the last `window` results are failures.
    ///
    /// Once the window is full, every result is judged, successes included: the breaker opens at
    /// `failure_rate · window` failures, rounded up. Opening and closing empty the window, and the results of probes do
    /// not enter it. (These are the rules of MicroProfile Fault Tolerance.) Unlike a breaker that counts failures in a
    /// row, a windowed one writes at every result.
    ///
    /// `window` is 1 to 64 and `failure_rate` is above 0 and at most 1; other values become the nearest allowed one, and a
    /// rate that is not a number becomes 1.
    ///
    /// ```
    /// # use sandbox_runtime::CircuitBreaker;
    /// static SEARCH: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);
    /// assert_eq!(SEARCH.threshold(), 10);
    /// ```
    #[must_use]
    pub const fn windowed(window: u32, failure_rate: f64) -> Self {
        let size = match window {
            0 => 1,
            1..=64 => window,
            _ => 64,
        };
        // Slightly less than the product, because products such as 0.55 · 20 exceed the whole number that is meant.
        let enough = failure_rate * (size as f64) - 1e-9;
        let mut threshold = 1;
        // With a rate that is not a number, the loop runs to its end.
        while threshold < size && (enough > threshold as f64 || enough.is_nan()) {
            threshold += 1;
        }
        Self::tripping(TripRule::Windowed { size, threshold })
    }

    /// Creates a breaker that never opens by itself and counts nothing, for tools without a breaker.
    /// [`force_open`](Self::force_open) still switches them off.
    #[must_use]
    pub const fn disabled() -> Self {
        Self::tripping(TripRule::Disabled)
    }

    /// Tells whether it is one that never opens by itself.
    pub(crate) const fn is_disabled(&self) -> bool {
        matches!(self.machine.settings().trip_rule, TripRule::Disabled)
    }

    const fn tripping(trip_rule: TripRule) -> Self {
        CircuitBreaker {
            machine: Machine::new(Settings {
                trip_rule,
                cooldown: Self::COOLDOWN,
                cooldown_max: Tick::ZERO,
                probes: 1,
                counting: Counting::Calls,
                origin: Origin::NONE,
            }),
            limits: OnceLock::new(),
        }
    }

    /// Sets how long the breaker stays open, in whole milliseconds rounded up. Default: 30 s.
    ///
    /// A cooldown of more than about thirty years never ends.
    #[must_use]
    pub const fn cooldown(self, cooldown: Duration) -> Self {
        let settings = Settings {
            cooldown: Tick::rounded_up(cooldown),
            ..self.machine.settings()
        };
        self.with(settings)
    }

    /// Doubles the cooldown at each failed probe, up to `longest`. Default: the cooldown does not grow.
    ///
    /// A breaker that closes starts again from [`cooldown`](Self::cooldown). If `longest` is shorter than that, the
    /// cooldown does not grow.
    #[must_use]
    pub const fn cooldown_max(self, longest: Duration) -> Self {
        let settings = Settings {
            cooldown_max: Tick::rounded_up(longest),
            ..self.machine.settings()
        };
        self.with(settings)
    }

    /// Sets how many successes close a half-open breaker, and how many probes it admits at a time at first. Default: 1.
    ///
    /// 0 means 1; more than 65,535 means 65,535.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the larger numbers are handled first")]
    pub const fn probes(self, probes: u32) -> Self {
        let probes = match probes {
            0 => 1,
            1..=0xffff => probes as u16,
            _ => u16::MAX,
        };
        let settings = Settings {
            probes,
            ..self.machine.settings()
        };
        self.with(settings)
    }

    /// Sets what the breaker counts of a [`Tool`](crate::Tool)'s calls. Default: [`Counting::Calls`]: a breaker judges what
    /// retries could not mend, so that one short outage under parallel calls does not open it.
    ///
    /// Timeouts and panics count one each in any case, and so does every attempt of a closure that answers with JSON.
    #[must_use]
    pub const fn counting(self, counting: Counting) -> Self {
        let settings = Settings {
            counting,
            ..self.machine.settings()
        };
        self.with(settings)
    }

    pub(super) const fn with(mut self, settings: Settings) -> Self {
        self.machine.set(settings);
        self
    }
}

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
