//! [`Row`]: failures in a row and the moment of the last one, in one count, and [`Forgetting`]: when they are a row no more.
//!
//! Beside the generation of a count there is room for a [`Tick`] and for seven bits. A threshold of more than 127 failures takes
//! more; then the moment lacks as many of its lowest bits, and is known in units of two milliseconds, or four, and so on. It never
//! wraps: a row that is old never looks like a new one.

use super::packed::Count;
use crate::clock::Tick;

/// The failures in a row of a closed generation (the lower bits) and the moment of the last one (the upper bits). It is zero before
/// the first one, and after a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(u64);

impl Count for Row {
    fn bits(self) -> u64 {
        self.0
    }

    fn from_bits(word: u64) -> Row {
        Row(word & ((1 << Self::BITS) - 1))
    }
}

/// When failures are no row: two that follow each other lie further apart than this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forgetting {
    /// In milliseconds.
    after: u64,
    /// How many bits of a [`Row`] are failures.
    failure_bits: u32,
}

impl Forgetting {
    /// How many bits a whole tick leaves to the failures.
    const LEAST_FAILURE_BITS: u32 = Row::BITS - Tick::BITS;

    pub(super) fn new(after_millis: u32, threshold: u32) -> Forgetting {
        let bits_of_threshold = u32::BITS - threshold.leading_zeros();
        Forgetting {
            after: after_millis.into(),
            failure_bits: bits_of_threshold.max(Self::LEAST_FAILURE_BITS),
        }
    }

    /// Returns how many failures are in a row at `now`: none if the last one lies too far back, or, by the clock of somebody else,
    /// too far ahead.
    pub(super) fn failures_at(self, row: Row, now: Tick) -> u32 {
        let apart = self.in_units(now).abs_diff(row.0 >> self.failure_bits);
        // Both moments are rounded down, so this is less than a unit away from the truth: nothing is forgotten early.
        let is_forgotten = apart > self.after.div_ceil(1 << self.unit_bits());
        if is_forgotten { 0 } else { self.failures(row) }
    }

    /// Adds a failure at `now` to those that are not forgotten. No more are counted than fit, which are at least the threshold.
    pub(super) fn add_failure(self, row: Row, now: Tick) -> Row {
        let most = Self::mask(self.failure_bits);
        let failures = u64::from(self.failures_at(row, now)) + 1;
        Row(self.in_units(now) << self.failure_bits | failures.min(most))
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits are failures")]
    fn failures(self, row: Row) -> u32 {
        (row.0 & Self::mask(self.failure_bits)) as u32
    }

    fn in_units(self, moment: Tick) -> u64 {
        moment.bits() >> self.unit_bits()
    }

    /// How many of its bits a moment lacks.
    fn unit_bits(self) -> u32 {
        self.failure_bits - Self::LEAST_FAILURE_BITS
    }

    const fn mask(bits: u32) -> u64 {
        (1 << bits) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Row = Row(0);

    fn at(millis: u64) -> Tick {
        Tick::at(millis)
    }

    /// Thresholds, and the units in milliseconds in which moments are known beside them.
    const UNITS: [(u32, u64); 6] = [
        (1, 1),
        (127, 1),
        (128, 2),
        (256, 4),
        (u16::MAX as u32, 1 << 9),
        (u32::MAX, 1 << 25),
    ];

    #[test]
    fn a_row_lasts_for_as_long_as_asked_and_up_to_two_units_longer() {
        for (threshold, unit) in UNITS {
            for after in [0, 1, 100, 60_000] {
                let forgetting = Forgetting::new(after, threshold);
                let after = u64::from(after);
                for last in [0, 1, 1 << 36, (1 << 36) + unit - 1].map(at) {
                    let row = forgetting.add_failure(NONE, last);
                    let failures_after = |millis| forgetting.failures_at(row, last.saturating_add(at(millis)));
                    let case = format!("{after} ms, a threshold of {threshold}, from {last:?}");
                    assert_eq!(failures_after(0), 1, "{case}");
                    assert_eq!(failures_after(after), 1, "forgotten early: {case}");
                    let over = after + if unit == 1 { 1 } else { 2 * unit };
                    assert_eq!(failures_after(over), 0, "remembered for too long: {case}");
                    assert_eq!(failures_after(Tick::MAX.bits()), 0, "it wraps: {case}");
                }
            }
        }
    }

    /// As of another test.
    #[test]
    fn by_a_clock_that_is_behind_a_row_is_forgotten_alike() {
        let forgetting = Forgetting::new(100, 5);
        let row = forgetting.add_failure(NONE, at(1_000));
        assert_eq!(forgetting.failures_at(row, at(900)), 1);
        assert_eq!(forgetting.failures_at(row, at(899)), 0);
        let row = forgetting.add_failure(row, at(900));
        assert_eq!(forgetting.failures_at(row, at(1_000)), 2, "timed by the latest clock");
        assert_eq!(forgetting.failures_at(row, at(1_001)), 0);
        let row = forgetting.add_failure(row, at(0));
        assert_eq!(forgetting.failures_at(row, at(0)), 1, "a row of its own");
    }

    #[test]
    fn a_row_counts_up_to_its_threshold_at_least_and_never_wraps() {
        for (threshold, _) in UNITS {
            for now in [Tick::ZERO, at(1 << 36), Tick::MAX] {
                let forgetting = Forgetting::new(u32::MAX - 1, threshold);
                let one = forgetting.add_failure(NONE, now);
                let before = Row(one.0 + u64::from(threshold) - 1);
                assert_eq!(forgetting.failures_at(before, now), threshold, "at {now:?}");
                let most = (0..200).fold(before, |row, _| forgetting.add_failure(row, now));
                let failures = forgetting.failures_at(most, now);
                assert!(failures >= threshold, "{failures} of {threshold} at {now:?}");
                assert_eq!(Row::from_bits(u64::MAX << Row::BITS | most.bits()), most);
            }
        }
    }
}
