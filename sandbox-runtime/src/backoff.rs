//! Delays as pure values: no clock, no state.

use std::time::Duration;

use crate::policy::Policy;

impl Policy {
    /// The delay before the `retry`-th retry, counted from 1: `base · 2^(retry-1)`.
    ///
    /// What would exceed [`Duration::MAX`] is `Duration::MAX`.
    ///
    /// ```
    /// # use sandbox_runtime::Policy;
    /// # use std::time::Duration;
    /// let policy = Policy::new().backoff_base(Duration::from_millis(100));
    /// let delays = [1, 2, 3].map(|retry| policy.delay_before(retry).as_millis());
    /// assert_eq!(delays, [100, 200, 400]);
    /// ```
    #[must_use]
    pub const fn delay_before(&self, retry: u32) -> Duration {
        doubled(self.backoff_base, retry.saturating_sub(1))
    }
}

const fn doubled(base: Duration, times: u32) -> Duration {
    let nanos = base.as_nanos();
    if nanos == 0 {
        return Duration::ZERO;
    }
    if times >= nanos.leading_zeros() {
        return Duration::MAX;
    }
    from_nanos(nanos << times)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(base: Duration, retry: u32) -> Duration {
        Policy::new().backoff_base(base).delay_before(retry)
    }

    #[test]
    fn doubles_before_each_retry() {
        let base = Duration::from_millis(500);
        let delays: Vec<_> = (1..=5).map(|retry| delay(base, retry).as_millis()).collect();
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
}
