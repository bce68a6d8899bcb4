//! How are random times drawn? In whole numbers: the same on every machine.

use std::time::Duration;

use fastrand::Rng;

/// A time from a distribution that is given by its quantiles: at a share of all draws, in ten thousand, so many milliseconds;
/// linear between them. The first share is 0, and the last 10,000.
pub(crate) fn from_quantiles(random: &mut Rng, quantiles: &[(u64, u64)]) -> Duration {
    let share = random.u64(0..10_000);
    let mut millis = 0;
    for pair in quantiles.windows(2) {
        let [(from, shortest), (to, longest)] = [pair[0], pair[1]];
        if (from..to).contains(&share) {
            millis = shortest + (longest - shortest) * (share - from) / (to - from);
        }
    }
    Duration::from_millis(millis)
}
