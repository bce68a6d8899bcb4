//! tokio's time as small numbers: one for the breaker that fits into an atomic word, one for calls.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// A moment, or a length of time, in whole milliseconds; moments count from an arbitrary origin.
///
/// Forty bits, about 34 years, so that a moment shares a 64-bit word with the state it belongs to. Everything saturates:
/// a moment that would lie past the last one is the last one, and is never reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    pub(crate) const BITS: u32 = 40;
    pub(crate) const MAX: Tick = Tick((1 << Self::BITS) - 1);
    pub(crate) const ZERO: Tick = Tick(0);

    /// The length of `duration`, rounded up: a cooldown is never shorter than asked for.
    #[expect(clippy::cast_possible_truncation, reason = "the maximum is compared against first")]
    pub(crate) const fn length_of(duration: Duration) -> Tick {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        if millis >= Self::MAX.0 as u128 {
            Self::MAX
        } else {
            Tick(millis as u64)
        }
    }

    pub(crate) const fn from_bits(bits: u64) -> Tick {
        Tick(bits & Self::MAX.0)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn plus(self, length: Tick) -> Tick {
        let sum = self.0.saturating_add(length.0);
        if sum > Self::MAX.0 { Self::MAX } else { Tick(sum) }
    }

    /// `self` doubled `times` times.
    pub(crate) const fn doubled(self, times: u32) -> Tick {
        if self.0 != 0 && times >= self.0.leading_zeros() {
            return Self::MAX;
        }
        // Zero stays zero however often it is doubled, and so may be shifted by any allowed amount.
        let shift = if self.0 == 0 { 0 } else { times };
        Tick::ZERO.plus(Tick(self.0 << shift))
    }

    pub(crate) fn min(self, other: Tick) -> Tick {
        Ord::min(self, other)
    }

    /// How long from `earlier` to `self`; zero when it has passed.
    pub(crate) fn since(self, earlier: Tick) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }

    pub(crate) fn millis_since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The process's first reading of the clock, from which all others are counted.
fn first() -> Instant {
    static FIRST: OnceLock<std::time::Instant> = OnceLock::new();
    Instant::from_std(*FIRST.get_or_init(std::time::Instant::now))
}

/// How many nanoseconds lie between the first reading and `now`. Before it, fewer than none: each of tokio's paused
/// runtimes has a clock of its own, and a `static` breaker may meet several.
fn nanos_since_first(now: Instant) -> i64 {
    let first = first();
    let saturating = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match now.checked_duration_since(first) {
        Some(after) => saturating(after),
        None => -saturating(first - now),
    }
}

/// The current moment of tokio's clock, rounded down. Works outside a runtime too.
pub(crate) fn now() -> Tick {
    // Two years in, so that clocks behind the first reading fit as well.
    const ORIGIN: u64 = 1 << 36;
    // In seconds: a later moment would not fit.
    const LONGEST: u64 = (Tick::MAX.0 - ORIGIN) / 1_000 - 1;
    let (now, first) = (Instant::now(), first());
    match now.checked_duration_since(first) {
        // By parts, and so without a division of all nanoseconds: every refusal waits for this.
        Some(after) => {
            let seconds = after.as_secs().min(LONGEST);
            Tick(ORIGIN + seconds * 1_000 + u64::from(after.subsec_millis()))
        }
        None => Tick(ORIGIN.saturating_sub(Tick::length_of(first - now).0)),
    }
}

/// A moment to the nanosecond in eight bytes, half of what an `Instant` takes: there is one in every call's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    pub(crate) fn of(instant: Instant) -> Moment {
        // A century in, for clocks behind the first reading.
        const ORIGIN: u64 = 1 << 62;
        let nanos = ORIGIN.saturating_add_signed(nanos_since_first(instant));
        Moment(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// How long from `self` to `later`; zero when that has passed.
    pub(crate) fn until(self, later: Instant) -> Duration {
        Duration::from_nanos(Moment::of(later).0.get().saturating_sub(self.0.get()))
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.until(Instant::now())
    }
}

#[cfg(test)]
impl Tick {
    pub(crate) const fn at(millis: u64) -> Tick {
        Tick::ZERO.plus(Tick(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round_up_and_saturate() {
        assert_eq!(Tick::length_of(Duration::ZERO), Tick(0));
        assert_eq!(Tick::length_of(Duration::from_nanos(1)), Tick(1));
        assert_eq!(Tick::length_of(Duration::from_micros(1_001)), Tick(2));
        assert_eq!(Tick::length_of(Duration::from_secs(30)), Tick(30_000));
        assert_eq!(Tick::length_of(Duration::MAX), Tick::MAX);
    }

    #[test]
    fn sums_and_doublings_saturate() {
        assert_eq!(Tick(1).plus(Tick::MAX), Tick::MAX);
        assert_eq!(Tick(3).doubled(2), Tick(12));
        assert_eq!(Tick(1).doubled(39), Tick(1 << 39));
        for times in [40, 63, 64, u32::MAX] {
            assert_eq!(Tick(1).doubled(times), Tick::MAX, "doubled {times} times");
            assert_eq!(Tick(0).doubled(times), Tick(0), "zero doubled {times} times");
            assert_eq!(Tick::MAX.doubled(times), Tick::MAX);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn follows_tokio_to_the_millisecond() {
        let before = now();
        tokio::time::advance(Duration::from_millis(1_234)).await;
        assert_eq!(now().since(before), Duration::from_millis(1_234));
    }

    #[tokio::test(start_paused = true)]
    async fn moments_follow_tokio_to_the_nanosecond() {
        let before = Moment::of(Instant::now());
        tokio::time::advance(Duration::from_nanos(1_234_567_891)).await;
        assert_eq!(before.elapsed(), Duration::from_nanos(1_234_567_891));
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    #[test]
    fn works_outside_a_runtime() {
        let first = now();
        assert!(now() >= first);
    }
}
