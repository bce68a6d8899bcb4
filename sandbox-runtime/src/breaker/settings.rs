//! The settings of a breaker: how they are made, and what follows from them. They are fixed once it is built.

use std::sync::OnceLock;
use std::time::Duration;

use super::CircuitBreaker;
use super::machine::Machine;
use super::origin::Origin;
use super::packed::State;
use super::row::Forgetting;
use crate::clock::{Millis, Tick};

impl CircuitBreaker {
    /// The threshold of [`CircuitBreaker::default`]: 5.
    pub const DEFAULT_THRESHOLD: u32 = 5;

    /// Creates a closed breaker that opens after `threshold` failures in a row, with a cooldown of 30 s and one probe.
    ///
    /// A `threshold` of 0 is reached from the start: such a breaker is always open, even after a [`reset`](Self::reset).
    #[must_use]
    pub const fn new(threshold: u32) -> Self {
        Self::tripping(TripRule::Consecutive, threshold, 0)
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
        Self::tripping(TripRule::Windowed, threshold, size)
    }

    /// Creates a breaker that never opens by itself and counts nothing, for tools without a breaker.
    /// [`force_open`](Self::force_open) still switches them off.
    #[must_use]
    pub const fn disabled() -> Self {
        Self::tripping(TripRule::Disabled, u32::MAX, 0)
    }

    /// Tells whether it is one that never opens by itself.
    pub(crate) const fn is_disabled(&self) -> bool {
        matches!(self.machine.settings().trip_rule, TripRule::Disabled)
    }

    const fn tripping(trip_rule: TripRule, threshold: u32, extent: u32) -> Self {
        Self::built(Settings {
            cooldown: Tick::rounded_up(Duration::from_secs(30)),
            cooldown_max: Tick::ZERO,
            threshold,
            extent,
            slow_call: Millis::ENDLESS,
            probes: 1,
            trip_rule,
            counting: Counting::Calls,
            origin: Origin::NONE,
        })
    }

    pub(super) const fn built(settings: Settings) -> Self {
        CircuitBreaker {
            machine: Machine::new(settings),
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

    /// Lets a failure that comes more than `after` behind the last one counted begin a new row: what lies further apart is not one
    /// outage. Default: a row lasts until a success.
    ///
    /// For failures in a row only: a [`windowed`](Self::windowed) breaker forgets by its window.
    ///
    /// `after` is rounded up to whole milliseconds, and with 2^32 - 1 of them (some 49 days) or more, nothing is forgotten.
    /// Failures are timed to the millisecond up to a [`threshold`](Self::threshold) of 127, to two milliseconds up to 255, and so on,
    /// twice as coarsely each time that the threshold doubles. Because of that, a row may last up to two such units longer, and
    /// never shorter. If the clock is behind that of the last failure, such as another test's, the failures lie as far
    /// apart as the clocks say.
    ///
    /// ```
    /// # use sandbox_runtime::CircuitBreaker;
    /// # use std::time::Duration;
    /// /// Opens after five failures without a success, with never more than a minute between two of them.
    /// static ARCHIVE: CircuitBreaker = CircuitBreaker::new(5).forget_after(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub const fn forget_after(self, after: Duration) -> Self {
        let after = Millis::rounded_up(after);
        let settings = self.machine.settings();
        let (trip_rule, extent) = match settings.trip_rule {
            TripRule::Consecutive | TripRule::Forgetting if after.is_endless() => (TripRule::Consecutive, 0),
            TripRule::Consecutive | TripRule::Forgetting => (TripRule::Forgetting, after.number()),
            other => (other, settings.extent),
        };
        self.with(Settings {
            trip_rule,
            extent,
            ..settings
        })
    }

    /// Counts the success of an attempt that took longer than `longest` as a failure: of a row, of a window, and of a probe, which
    /// then opens the breaker again. Default: a success is one however long it took.
    ///
    /// Only the breaker takes it for a failure: the caller gets the answer, and whatever counts calls counts a success.
    ///
    /// The time is measured as that of the limit of an attempt: on tokio's clock, from when the attempt first has to wait until its
    /// answer is taken. A tool that is ready at its first poll is never slow. Of a [`permit`](Self::admit) no time is measured: whoever
    /// holds it knows how long the attempt took, and may record a failure. A call that has to wait allocates once to note when.
    ///
    /// `longest` is rounded up to whole milliseconds, and with 2^32 - 1 of them (some 49 days) or more, no success is slow. A success
    /// takes no longer than [`Policy::timeout`](crate::Policy::timeout): only a shorter time makes a difference.
    ///
    /// (This is the slow call of resilience4j, with one rate for both: slow calls and failures open the breaker together.)
    ///
    /// ```
    /// # use sandbox_runtime::CircuitBreaker;
    /// # use std::time::Duration;
    /// /// Opens when half of the last 20 attempts failed or took more than two seconds.
    /// static SEARCH: CircuitBreaker = CircuitBreaker::windowed(20, 0.5).slow_call(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub const fn slow_call(self, longest: Duration) -> Self {
        let settings = Settings {
            slow_call: Millis::rounded_up(longest),
            ..self.machine.settings()
        };
        self.with(settings)
    }

    /// Notes which map has made it, for what is told of it.
    #[cfg(feature = "keyed")]
    pub(super) const fn made_by(self, origin: Origin) -> Self {
        let settings = Settings {
            origin,
            ..self.machine.settings()
        };
        self.with(settings)
    }

    const fn with(mut self, settings: Settings) -> Self {
        self.machine.set(settings);
        self
    }
}

/// Which failures open a closed breaker, if there are as many as its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TripRule {
    /// Those in a row.
    Consecutive,
    /// Those in a row, none of which comes long after the one before it.
    Forgetting,
    /// Those among the latest results.
    Windowed,
    /// None.
    Disabled,
}

/// What is set of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) cooldown: Tick,
    pub(super) cooldown_max: Tick,
    /// How many failures open it; `u32::MAX` if none do.
    pub(super) threshold: u32,
    /// How far back failures count: so many results of a window, or so many milliseconds until a failure is forgotten.
    extent: u32,
    /// The longest that a success may take that counts as one.
    pub(super) slow_call: Millis,
    pub(super) probes: u16,
    pub(super) trip_rule: TripRule,
    pub(super) counting: Counting,
    pub(super) origin: Origin,
}

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
    /// Returns how many results a window holds.
    pub(super) fn window(&self) -> u32 {
        self.extent
    }

    /// Returns when failures in a row are forgotten, if they are.
    pub(super) fn forgetting(&self) -> Option<Forgetting> {
        let is_forgetting = self.trip_rule == TripRule::Forgetting;
        is_forgetting.then(|| Forgetting::new(self.extent, self.threshold))
    }

    /// Returns the state after construction and after a reset. A threshold of zero is reached before the first call.
    pub(super) const fn initial_state(&self) -> State {
        match self.threshold {
            0 => State::ForcedOpen,
            _ => State::Closed,
        }
    }

    /// Tells whether there is a length at which a success counts as a failure.
    #[inline]
    pub(super) fn has_slow_calls(&self) -> bool {
        !self.slow_call.is_endless()
    }

    /// Tells whether a success that took so long counts as a failure.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        self.has_slow_calls() && took > Duration::from_millis(self.slow_call.number().into())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Nine words. What a breaker has beside them, calls look at only when they are limited.
    #[test]
    fn the_machine_is_small() {
        assert_eq!(size_of::<Machine>(), 72);
    }

    #[test]
    fn only_rows_are_forgotten_and_only_in_time() {
        let rule_after = |breaker: CircuitBreaker, millis| {
            let settings = breaker.forget_after(Duration::from_millis(millis)).machine.settings();
            (settings.trip_rule, settings.extent, settings.threshold)
        };
        let (row, endless) = (|| CircuitBreaker::new(3), u64::from(u32::MAX));
        assert_eq!(rule_after(row(), 0), (TripRule::Forgetting, 0, 3));
        assert_eq!(rule_after(row(), endless - 1), (TripRule::Forgetting, u32::MAX - 1, 3));
        assert_eq!(rule_after(row(), endless), (TripRule::Consecutive, 0, 3));
        let forgetting = || row().forget_after(Duration::from_millis(5));
        assert_eq!(rule_after(forgetting(), 7), (TripRule::Forgetting, 7, 3));
        assert_eq!(rule_after(forgetting(), u64::MAX), (TripRule::Consecutive, 0, 3));
        for millis in [5, u64::MAX] {
            assert_eq!(
                rule_after(CircuitBreaker::windowed(20, 0.5), millis),
                (TripRule::Windowed, 20, 10)
            );
            assert_eq!(
                rule_after(CircuitBreaker::disabled(), millis),
                (TripRule::Disabled, 0, u32::MAX)
            );
        }
    }

    #[test]
    fn a_success_is_slow_if_it_took_longer_to_the_nanosecond() {
        let is_slow = |longest, took| {
            let settings = CircuitBreaker::new(3).slow_call(longest).machine.settings();
            settings.is_slow(took)
        };
        let nanosecond = Duration::from_nanos(1);
        for millis in [0, 1, 2_000, u64::from(u32::MAX) - 1].map(Duration::from_millis) {
            assert!(!is_slow(millis, millis), "{millis:?}");
            assert!(is_slow(millis, millis + nanosecond), "{millis:?}");
        }
        let rounded_up = Duration::from_millis(1);
        assert!(!is_slow(nanosecond, rounded_up));
        assert!(is_slow(nanosecond, rounded_up + nanosecond));
        for endless in [Duration::from_millis(u64::from(u32::MAX)), Duration::MAX] {
            assert!(!is_slow(endless, Duration::MAX), "{endless:?}");
        }
    }
}
