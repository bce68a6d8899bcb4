//! [`Log`]: how many attempts have begun in the last so and so much time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::Rate;

/// The most entries that are kept. Of a greater number of attempts, several share one.
const MOST: u32 = 1_024;

/// When attempts have begun. A log, and not a bucket that is filled again: a bucket lets up to twice as many pass in a length of
/// time, which the quota of a dependency would not.
#[derive(Debug)]
pub(super) struct Log(Mutex<Entries>);

#[derive(Debug)]
struct Entries {
    /// From the oldest to the latest.
    entries: VecDeque<Entry>,
    /// Those of all entries.
    attempts: u64,
    /// How far the latest rate looks back.
    per: Duration,
}

/// Attempts that have begun at about the same time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    first: Instant,
    last: Instant,
    attempts: u32,
}

impl Log {
    pub(super) const fn new() -> Log {
        Log(Mutex::new(Entries::new()))
    }

    /// Counts an attempt that begins now, unless as many as may have begun; then tells how long it takes until one more may.
    pub(super) fn try_take(&self, rate: Rate) -> Result<(), Duration> {
        let mut entries = self.locked();
        // Read under the lock, so that entries are in order.
        entries.try_take(rate, Instant::now())
    }

    /// Tells whether all that have begun were longer ago than the latest rate looks back.
    #[cfg(feature = "keyed")]
    pub(super) fn is_over(&self) -> bool {
        let entries = self.locked();
        let since = |latest: &Entry| Instant::now().checked_duration_since(latest.last);
        let is_over = |latest| since(latest).is_none_or(|since| since >= entries.per);
        entries.entries.back().is_none_or(is_over)
    }

    /// Forgets all attempts.
    pub(super) fn forget(&self) {
        *self.locked() = Entries::new();
    }

    /// How long it takes until one more attempt may begin.
    pub(super) fn next(&self, rate: Rate) -> Duration {
        let mut entries = self.locked();
        entries.wait(rate, Instant::now()).unwrap_or_default()
    }

    fn locked(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    const fn new() -> Entries {
        Entries {
            entries: VecDeque::new(),
            attempts: 0,
            per: Duration::ZERO,
        }
    }

    fn try_take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        match self.wait(rate, now) {
            Some(left) => Err(left),
            None => {
                self.note(rate, now);
                Ok(())
            }
        }
    }

    /// Forgets what was longer ago than the rate looks back, and tells how long one more attempt has to wait.
    fn wait(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        // Another clock has written that, such as the one of another test: it says nothing here.
        if self.entries.back().is_some_and(|latest| latest.last > now) {
            *self = Entries::new();
        }
        while let Some(oldest) = self.entries.front().filter(|oldest| now - oldest.last >= rate.per) {
            self.attempts -= u64::from(oldest.attempts);
            self.entries.pop_front();
        }
        let mut attempts = self.attempts;
        let mut left = None;
        // A rate may have become lower: then more than one has to be longer ago.
        for entry in &self.entries {
            if attempts < u64::from(rate.calls) {
                break;
            }
            attempts -= u64::from(entry.attempts);
            left = Some(rate.per - (now - entry.last));
        }
        left
    }

    fn note(&mut self, rate: Rate, now: Instant) {
        let resolution = match rate.calls {
            ..=MOST => Duration::ZERO,
            _ => rate.per / MOST,
        };
        self.attempts += 1;
        self.per = rate.per;
        match self.entries.back_mut() {
            Some(latest) if now - latest.first < resolution => {
                latest.last = now;
                latest.attempts = latest.attempts.saturating_add(1);
            }
            _ => self.entries.push_back(Entry {
                first: now,
                last: now,
                attempts: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whenever attempts come, no length of time as long as the rate's has more than it allows, and whoever waits for as long as
        /// is said may begin.
        #[test]
        fn no_length_of_time_has_more(
            calls in 1_u32..6,
            per in 1_u64..50,
            pauses in proptest::collection::vec(0_u64..20, 1..200),
        ) {
            let (mut log, rate) = (Entries::new(), Rate { calls, per: millis(per) });
            let (mut now, mut begun) = (Instant::now(), Vec::new());
            for pause in pauses {
                now += millis(pause);
                let recent = begun.iter().filter(|at| now.duration_since(**at) < rate.per).count();
                match log.try_take(rate, now) {
                    Ok(()) => {
                        prop_assert!(recent < calls as usize, "{recent} of {calls} had begun, and one more did");
                        begun.push(now);
                    }
                    Err(left) => {
                        prop_assert!(recent >= calls as usize, "{recent} of {calls} had begun, and one more did not");
                        prop_assert!(log.try_take(rate, now + left - millis(1)).is_err(), "before it is time");
                        now += left;
                        prop_assert_eq!(log.try_take(rate, now), Ok(()), "when it is time");
                        begun.push(now);
                    }
                }
            }
        }

        /// So many that entries are shared: never more, and at most a 1,024th later than without sharing.
        #[test]
        fn large_numbers_share_entries(step in 1_u64..2_000) {
            let rate = Rate { calls: 2_048, per: Duration::from_secs(2) };
            let mut log = Entries::new();
            let mut now = Instant::now();
            let mut begun = VecDeque::new();
            for _ in 0..6_000 {
                now += Duration::from_micros(step);
                while begun.front().is_some_and(|at| now.duration_since(*at) >= rate.per) {
                    begun.pop_front();
                }
                match log.try_take(rate, now) {
                    Ok(()) => {
                        begun.push_back(now);
                        prop_assert!(begun.len() <= 2_048, "more than the rate");
                    }
                    Err(_) => {
                        let slack = now + rate.per / MOST;
                        let later = begun.iter().filter(|at| slack.duration_since(**at) < rate.per).count();
                        prop_assert!(later + 64 >= 2_048, "one was refused beside {later}");
                    }
                }
                prop_assert!(log.entries.len() <= MOST as usize + 1, "the log grows");
            }
        }
    }

    #[test]
    fn another_clock_and_another_rate_lock_nobody_out() {
        let (mut log, now) = (Entries::new(), Instant::now() + millis(1_000));
        let rate = |calls| Rate { calls, per: millis(10) };
        for _ in 0..3 {
            assert_eq!(log.try_take(rate(3), now), Ok(()));
        }
        assert_eq!(
            log.try_take(rate(1), now),
            Err(millis(10)),
            "a lower rate waits for all of them"
        );
        assert_eq!(log.try_take(rate(4), now), Ok(()), "a higher rate has room");
        assert_eq!(
            log.try_take(rate(1), now - millis(500)),
            Ok(()),
            "a clock that is behind"
        );
    }
}
