//! The delays before retries, as pure values: without a clock or state, and with the random number passed in.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::policy::{Jitter, Policy};

impl Policy {
    /// The delay before the `retry`-th retry, counted from 1: `base · 2^(retry-1)`, at most
    /// [`backoff_max`](Policy::backoff_max), spread by [`jitter`](Policy::jitter).
    ///
    /// `random` is a random number that selects a delay from the range of the jitter; it has no effect without jitter. The delay
    /// saturates at [`Duration::MAX`].
    ///
    /// ```
    /// # use sandbox_runtime::{Jitter, Policy};
    /// # use std::time::Duration;
    /// let policy = Policy::new().backoff_base(Duration::from_millis(100)).backoff_max(Duration::from_millis(300));
    /// let delays = [1, 2, 3].map(|retry| policy.delay_before(retry, 0).as_millis());
    /// assert_eq!(delays, [100, 200, 300]);
    ///
    /// let spread = policy.jitter(Jitter::Full).delay_before(3, 123_456_789);
    /// assert!(spread <= Duration::from_millis(300));
    /// ```
    #[must_use]
    pub const fn delay_before(&self, retry: u32, random: u64) -> Duration {
        let doubled = doubled(self.backoff_base.as_nanos(), retry.saturating_sub(1));
        let longest = match self.backoff_max {
            Some(max) if max.as_nanos() < doubled => max.as_nanos(),
            _ => doubled,
        };
        let shortest = match self.jitter {
            Jitter::None => longest,
            Jitter::Full => 0,
            Jitter::Equal => longest / 2,
        };
        from_nanos(shortest + random as u128 % (longest - shortest + 1))
    }

    /// The random number for the `retry`-th delay of a call.
    #[inline]
    pub(crate) fn random_for(&self, retry: u32) -> u64 {
        match (self.jitter, self.jitter_seed) {
            (Jitter::None, _) => 0,
            (_, Some(seed)) => mixed(seed.wrapping_add(u64::from(retry))),
            // The standard library gives every `RandomState` other keys.
            (_, None) => RandomState::new().hash_one(retry),
        }
    }
}

const fn doubled(nanos: u128, times: u32) -> u128 {
    if nanos == 0 {
        0
    } else if times >= nanos.leading_zeros() {
        Duration::MAX.as_nanos()
    } else {
        nanos << times
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "larger values are handled first; a remainder of 10^9 fits"
)]
const fn from_nanos(nanos: u128) -> Duration {
    const NANOS_PER_SEC: u128 = 1_000_000_000;
    if nanos >= Duration::MAX.as_nanos() {
        return Duration::MAX;
    }
    Duration::new((nanos / NANOS_PER_SEC) as u64, (nanos % NANOS_PER_SEC) as u32)
}

/// Maps neighbouring numbers to numbers far apart: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn delay(base: Duration, retry: u32) -> Duration {
        Policy::new().backoff_base(base).delay_before(retry, u64::MAX)
    }

    #[test]
    fn doubles_before_each_retry() {
        let delays: Vec<_> = (1..=5).map(|retry| delay(500 * MILLI, retry).as_millis()).collect();
        assert_eq!(delays, [500, 1_000, 2_000, 4_000, 8_000]);
    }

    #[test]
    fn is_exact_beyond_the_range_of_64_bit_nanoseconds() {
        assert_eq!(delay(Duration::from_secs(1), 41), Duration::from_secs(1 << 40));
        assert_eq!(delay(Duration::from_nanos(1), 90).as_nanos(), 1 << 89);
    }

    #[test]
    fn saturates_instead_of_overflowing() {
        let bases = [Duration::from_nanos(1), Duration::from_millis(u64::MAX), Duration::MAX];
        for base in bases {
            for retry in [130, 1_000, u32::MAX] {
                assert_eq!(delay(base, retry), Duration::MAX, "{base:?} before retry {retry}");
            }
        }
        assert_eq!(delay(Duration::MAX, 1), Duration::MAX);
    }

    #[test]
    fn no_base_is_no_delay_at_any_retry() {
        for retry in [0, 1, 64, 128, u32::MAX] {
            assert_eq!(delay(Duration::ZERO, retry), Duration::ZERO, "before retry {retry}");
        }
    }

    #[test]
    fn jitter_reaches_both_ends_of_its_range() {
        let policy = Policy::new().backoff_base(10 * MILLI);
        let nanos = 10_000_000;
        let full = policy.jitter(Jitter::Full);
        assert_eq!(
            (full.delay_before(1, 0), full.delay_before(1, nanos)),
            (Duration::ZERO, 10 * MILLI)
        );
        let equal = policy.jitter(Jitter::Equal);
        assert_eq!(
            (equal.delay_before(1, 0), equal.delay_before(1, nanos / 2)),
            (5 * MILLI, 10 * MILLI)
        );
    }

    #[test]
    fn a_seed_repeats_its_delays_and_no_seed_does_not() {
        let policy = Policy::new().jitter(Jitter::Full);
        let drawn = |policy: Policy| (1..20).map(|retry| policy.random_for(retry)).collect::<Vec<_>>();
        assert_eq!(drawn(policy.jitter_seed(7)), drawn(policy.jitter_seed(7)));
        assert_ne!(drawn(policy.jitter_seed(7)), drawn(policy.jitter_seed(8)));
        assert_ne!(drawn(policy), drawn(policy), "two calls drew the same numbers");
    }

    fn durations() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::from_nanos(1)),
            Just(Duration::MAX),
            (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
            (0_u64..100_000).prop_map(Duration::from_millis),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_delay_exceeds_its_bounds(
            base in durations(), max in durations(), retry in any::<u32>(), random in any::<u64>(),
        ) {
            let policy = Policy::new().backoff_base(base).backoff_max(max);
            let plain = policy.delay_before(retry, random);
            prop_assert!(plain <= max);
            let full = policy.jitter(Jitter::Full).delay_before(retry, random);
            prop_assert!(full <= plain);
            let equal = policy.jitter(Jitter::Equal).delay_before(retry, random);
            prop_assert!(plain / 2 <= equal + Duration::from_nanos(1) && equal <= plain);
        }

        #[test]
        fn delays_never_shrink_from_one_retry_to_the_next(base in durations(), retry in 1..u32::MAX) {
            let policy = Policy::new().backoff_base(base);
            prop_assert!(policy.delay_before(retry, 0) <= policy.delay_before(retry + 1, 0));
        }
    }
}
