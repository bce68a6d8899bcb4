//! tokio's time as small numbers: a [`Tick`] fits into the breaker's atomic word, a [`Moment`] into every call's future.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// A moment or a duration in whole milliseconds; moments count from an arbitrary origin.
///
/// Forty bits, about 34 years, so that a moment shares a 64-bit word with the state it belongs to. All arithmetic
/// saturates: a moment past the last one becomes the last one, which is never reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    pub(crate) const BITS: u32 = 40;
    pub(crate) const MAX: Tick = Tick((1 << Self::BITS) - 1);
    pub(crate) const ZERO: Tick = Tick(0);

    /// Converts `duration`, rounded up.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the value is compared with the maximum first"
    )]
    pub(crate) const fn rounded_up(duration: Duration) -> Tick {
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

    pub(crate) const fn saturating_add(self, duration: Tick) -> Tick {
        let sum = self.0.saturating_add(duration.0);
        if sum > Self::MAX.0 { Self::MAX } else { Tick(sum) }
    }

    /// Doubles `self` `times` times.
    pub(crate) const fn saturating_doubled(self, times: u32) -> Tick {
        if self.0 != 0 && times >= self.0.leading_zeros() {
            return Self::MAX;
        }
        // Zero stays zero however often it is doubled; shifting by all of `times` could overflow.
        let shift = if self.0 == 0 { 0 } else { times };
        Tick::ZERO.saturating_add(Tick(self.0 << shift))
    }

    /// Returns the exponent of the next power of two, plus one; 0 for zero.
    #[expect(clippy::cast_possible_truncation, reason = "a tick has 40 bits")]
    pub(crate) fn magnitude(self) -> u8 {
        match self.0 {
            0 => 0,
            millis => millis.next_power_of_two().ilog2() as u8 + 1,
        }
    }

    /// Returns the longest duration of this [`magnitude`](Self::magnitude).
    pub(crate) fn of_magnitude(magnitude: u8) -> Tick {
        match magnitude {
            0 => Tick::ZERO,
            _ => Tick(1).saturating_doubled(u32::from(magnitude) - 1),
        }
    }

    pub(crate) fn min(self, other: Tick) -> Tick {
        Ord::min(self, other)
    }

    /// Returns the milliseconds from `earlier` to `self`; `None` when `earlier` is later.
    pub(crate) fn checked_millis_since(self, earlier: Tick) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    pub(crate) fn millis_since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A duration in whole milliseconds, in half the bytes of a [`Tick`]: up to 49 days. A longer one is endless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Millis(u32);

impl Millis {
    pub(crate) const ENDLESS: Millis = Millis(u32::MAX);

    /// Converts `duration`, rounded up.
    #[expect(clippy::cast_possible_truncation, reason = "the larger numbers are handled first")]
    pub(crate) const fn rounded_up(duration: Duration) -> Millis {
        match Tick::rounded_up(duration).0 {
            millis if millis < Self::ENDLESS.0 as u64 => Millis(millis as u32),
            _ => Self::ENDLESS,
        }
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) const fn is_endless(self) -> bool {
        self.0 == Self::ENDLESS.0
    }
}

/// Returns the process's first reading of the clock, from which all others are counted.
fn epoch() -> Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    Instant::from_std(*EPOCH.get_or_init(std::time::Instant::now))
}

/// Returns the nanoseconds from the epoch to `now`. They may be negative: each of tokio's paused runtimes has a clock of
/// its own, and a `static` breaker may meet several.
fn nanos_since_epoch(now: Instant) -> i64 {
    let epoch = epoch();
    let saturating = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match now.checked_duration_since(epoch) {
        Some(after) => saturating(after),
        None => -saturating(epoch - now),
    }
}

/// A moment to the nanosecond, read from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The moment, rounded down.
    pub(crate) tick: Tick,
    /// What was cut off.
    pub(crate) nanos: u32,
}

impl Reading {
    /// An arbitrary one, for what does not change with time.
    pub(crate) const ZERO: Reading = Reading {
        tick: Tick::ZERO,
        nanos: 0,
    };
}

/// Returns the current moment of tokio's clock. Works outside a runtime too.
pub(crate) fn now() -> Reading {
    // The epoch is two years after the origin, so that clocks behind the epoch fit as well.
    const EPOCH: u64 = 1 << 36;
    // In seconds after the epoch. Later moments do not fit.
    const LAST: u64 = (Tick::MAX.0 - EPOCH) / 1_000 - 1;
    let (now, epoch) = (Instant::now(), epoch());
    match now.checked_duration_since(epoch) {
        // Seconds and milliseconds apart: dividing all nanoseconds takes longer, and every refusal waits for this.
        Some(after) => {
            let seconds = after.as_secs().min(LAST);
            let millis = after.subsec_millis();
            Reading {
                tick: Tick(EPOCH + seconds * 1_000 + u64::from(millis)),
                nanos: after.subsec_nanos() - millis * 1_000_000,
            }
        }
        None => {
            let before = epoch - now;
            Reading {
                tick: Tick(EPOCH.saturating_sub(Tick::rounded_up(before).0)),
                nanos: (1_000_000_000 - before.subsec_nanos()) % 1_000_000,
            }
        }
    }
}

/// A moment to the nanosecond in eight bytes, half the size of an `Instant`: every call's future stores one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    pub(crate) fn of(instant: Instant) -> Moment {
        // The epoch is more than a century after the origin, so that clocks behind the epoch fit as well.
        const EPOCH: u64 = 1 << 62;
        let nanos = EPOCH.saturating_add_signed(nanos_since_epoch(instant));
        Moment(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Returns the time from `self` to `later`; zero when `later` is earlier.
    pub(crate) fn until(self, later: Instant) -> Duration {
        Duration::from_nanos(Moment::of(later).0.get().saturating_sub(self.0.get()))
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.until(Instant::now())
    }
}

/// Returns the moment `delay` after `now`; beyond the range of the clock, one that is never reached.
pub(crate) fn saturating_add(now: Instant, delay: Duration) -> Instant {
    now + delay.min(THIRTY_YEARS)
}

/// Returns the moment of which `later` is the [`saturating_add`] of `delay`.
pub(crate) fn before(later: Instant, delay: Duration) -> Option<Instant> {
    later.checked_sub(delay.min(THIRTY_YEARS))
}

const THIRTY_YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

#[cfg(test)]
impl Tick {
    pub(crate) const fn at(millis: u64) -> Tick {
        Tick::ZERO.saturating_add(Tick(millis))
    }
}

#[cfg(test)]
impl Reading {
    pub(crate) const fn at(millis: u64) -> Reading {
        Reading::with_nanos(millis, 0)
    }

    pub(crate) const fn with_nanos(millis: u64, nanos: u32) -> Reading {
        Reading {
            tick: Tick::at(millis),
            nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round_up_and_saturate() {
        assert_eq!(Tick::rounded_up(Duration::ZERO), Tick(0));
        assert_eq!(Tick::rounded_up(Duration::from_nanos(1)), Tick(1));
        assert_eq!(Tick::rounded_up(Duration::from_micros(1_001)), Tick(2));
        assert_eq!(Tick::rounded_up(Duration::from_secs(30)), Tick(30_000));
        assert_eq!(Tick::rounded_up(Duration::MAX), Tick::MAX);
    }

    #[test]
    fn sums_and_doublings_saturate() {
        assert_eq!(Tick(1).saturating_add(Tick::MAX), Tick::MAX);
        assert_eq!(Tick(3).saturating_doubled(2), Tick(12));
        assert_eq!(Tick(1).saturating_doubled(39), Tick(1 << 39));
        for times in [40, 63, 64, u32::MAX] {
            assert_eq!(Tick(1).saturating_doubled(times), Tick::MAX, "doubled {times} times");
            assert_eq!(Tick(0).saturating_doubled(times), Tick(0), "zero doubled {times} times");
            assert_eq!(Tick::MAX.saturating_doubled(times), Tick::MAX);
        }
    }

    #[test]
    fn magnitudes_are_of_the_next_power_of_two() {
        for (duration, magnitude, longest) in [
            (Tick::ZERO, 0, Tick::ZERO),
            (Tick(1), 1, Tick(1)),
            (Tick(2), 2, Tick(2)),
            (Tick(3), 3, Tick(4)),
            (Tick(1_000), 11, Tick(1_024)),
            (Tick(1 << 39), 40, Tick(1 << 39)),
            (Tick::MAX, 41, Tick::MAX),
        ] {
            assert_eq!(duration.magnitude(), magnitude, "{duration:?}");
            assert_eq!(Tick::of_magnitude(magnitude), longest);
        }
    }

    #[test]
    fn short_lengths_round_up_and_are_endless_beyond_their_range() {
        for (duration, millis) in [
            (Duration::ZERO, Millis(0)),
            (Duration::from_nanos(1), Millis(1)),
            (Duration::from_secs(30), Millis(30_000)),
            (Duration::from_millis(u64::from(u32::MAX) - 1), Millis(u32::MAX - 1)),
            (Duration::from_millis(u64::from(u32::MAX)), Millis::ENDLESS),
            (Duration::from_millis(1 << 33), Millis::ENDLESS),
            (Duration::MAX, Millis::ENDLESS),
        ] {
            assert_eq!(Millis::rounded_up(duration), millis, "{duration:?}");
            assert_eq!(millis.is_endless(), millis == Millis::ENDLESS);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn readings_follow_tokio_to_the_nanosecond() {
        let nanos = |reading: Reading| reading.tick.0 * 1_000_000 + u64::from(reading.nanos);
        let before = now();
        tokio::time::advance(Duration::from_nanos(1_234_567_891)).await;
        assert_eq!(nanos(now()) - nanos(before), 1_234_567_891);
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
        let first = now().tick;
        assert!(now().tick >= first);
    }
}
