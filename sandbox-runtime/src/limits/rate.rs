//! [`Log`]: how many attempts have begun in the last so and so much time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::saturating_add;
use crate::policy::Rate;

/// About how many entries are kept. Of a greater number of attempts, several share one.
const MOST: u32 = 1_024;

/// When attempts have begun. A log, and not a bucket that is filled again: a bucket lets up to twice as many pass in a length of
/// time, which the quota of a dependency would not.
#[derive(Debug)]
pub(super) struct Log(Mutex<Entries>);

// Moments are compared far more often than they are counted with, which takes several times as long: so one is kept that follows from
// the others, and what most attempts look at stands outside of the queue.
#[derive(Debug)]
struct Entries {
    /// Those before the latest, from the oldest on.
    earlier: VecDeque<Entry>,
    latest: Option<Entry>,
    /// Attempts since then for which no clock was read, which costs more than all the rest. They count as begun when one is read: later
    /// than they did, so that no length of time has more than it may.
    undated: u32,
    /// How many share an entry, at the rate that was last obeyed.
    share: u32,
    /// Those of all entries, and those without one.
    attempts: u64,
    /// The most of them since that was last asked.
    #[cfg(feature = "fleet")]
    most: u64,
    /// How far back the rate looks that looks back farthest: a rate may give way to another, and come back.
    per: Duration,
    /// When the oldest entry is to be forgotten, or earlier.
    oldest_until: Option<Instant>,
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
    #[inline]
    pub(super) fn try_take(&self, rate: Rate) -> Result<(), Duration> {
        // The clock is read under the lock, so that entries are in order.
        self.locked().try_take(rate, Instant::now)
    }

    /// Tells whether all that have begun were longer ago than any rate looks back.
    #[cfg(feature = "keyed")]
    pub(super) fn is_over(&self) -> bool {
        let mut entries = self.locked();
        let now = Instant::now();
        entries.date(now);
        let since = |latest: &Entry| now.checked_duration_since(latest.last);
        // By a clock that is behind, everything is.
        let is_over = |latest| since(latest).is_none_or(|since| since >= entries.per);
        entries.latest.as_ref().is_none_or(is_over)
    }

    /// Forgets all attempts.
    pub(super) fn forget(&self) {
        *self.locked() = Entries::new();
    }

    /// How many have begun in the length of time of the rate that ends now, and about how many at most in one since this was last asked.
    #[cfg(feature = "fleet")]
    pub(super) fn used(&self, rate: Rate) -> (u32, u32) {
        let mut entries = self.locked();
        let now = Instant::now();
        entries.wait(rate, now);
        let used = entries.used(rate, now);
        let kept = entries.attempts;
        let most = std::mem::replace(&mut entries.most, kept);
        let number = |attempts: u64| u32::try_from(attempts).unwrap_or(u32::MAX);
        (number(used), number(most.max(used)))
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
            earlier: VecDeque::new(),
            latest: None,
            undated: 0,
            share: 1,
            attempts: 0,
            #[cfg(feature = "fleet")]
            most: 0,
            per: Duration::ZERO,
            oldest_until: None,
        }
    }

    #[inline]
    fn try_take(&mut self, rate: Rate, now: impl FnOnce() -> Instant) -> Result<(), Duration> {
        let has_room = self.per == rate.per && self.attempts < u64::from(rate.calls);
        if has_room && self.undated + 1 < share(rate) {
            self.undated += 1;
            self.count();
            return Ok(());
        }
        let now = now();
        match self.wait(rate, now) {
            Some(left) => Err(left),
            None => {
                self.count();
                self.add(now, 1, 0);
                if self.earlier.len() > 2 * MOST as usize {
                    self.condense(now, rate);
                }
                Ok(())
            }
        }
    }

    #[inline(always)]
    fn count(&mut self) {
        self.attempts += 1;
        #[cfg(feature = "fleet")]
        {
            self.most = self.most.max(self.attempts);
        }
    }

    #[cfg(feature = "fleet")]
    fn used(&self, rate: Rate, now: Instant) -> u64 {
        let entries = self.earlier.iter().chain(&self.latest);
        let recent = entries.filter(|entry| now.saturating_duration_since(entry.last) < rate.per);
        recent.map(|entry| u64::from(entry.attempts)).sum()
    }

    /// Forgets what was longer ago than every rate looks back, and tells how long one more attempt has to wait.
    #[inline(always)]
    fn wait(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        // A policy that was never checked: no attempt may ever begin.
        if rate.calls == 0 {
            return Some(Duration::MAX);
        }
        self.share = share(rate);
        // Another clock has written that, such as the one of another test: it says nothing here.
        if self.latest.is_some_and(|latest| latest.last > now) {
            self.forget_dated();
        }
        self.date(now);
        if self.per < rate.per {
            self.per = rate.per;
            self.forget_until(now);
        } else if self.oldest_until.is_some_and(|until| until <= now) {
            self.forget_until(now);
        }
        // Mostly nothing is kept for the sake of another rate, and then all that is kept counts.
        if self.per == rate.per && self.attempts < u64::from(rate.calls) {
            return None;
        }
        self.wait_for_fewer(rate, now)
    }

    fn forget_until(&mut self, now: Instant) {
        while let Some(oldest) = self.earlier.front().or(self.latest.as_ref()) {
            let until = saturating_add(oldest.last, self.per);
            if now < until {
                self.oldest_until = Some(until);
                return;
            }
            self.attempts -= u64::from(oldest.attempts);
            if self.earlier.pop_front().is_none() {
                self.latest = None;
            }
        }
        self.oldest_until = None;
    }

    #[cold]
    fn wait_for_fewer(&self, rate: Rate, now: Instant) -> Option<Duration> {
        let mut attempts = self.attempts;
        let mut left = None;
        for entry in self.earlier.iter().chain(&self.latest) {
            let ago = now - entry.last;
            // A rate may have become lower: then more than one has to be longer ago.
            if ago < rate.per && attempts < u64::from(rate.calls) {
                break;
            }
            attempts -= u64::from(entry.attempts);
            left = rate.per.checked_sub(ago).filter(|left| !left.is_zero());
        }
        left
    }

    #[cold]
    fn forget_dated(&mut self) {
        *self = Entries {
            undated: self.undated,
            share: self.share,
            attempts: self.undated.into(),
            ..Entries::new()
        };
    }

    /// Gives an entry to those that have none.
    #[inline]
    fn date(&mut self, now: Instant) {
        if self.undated > 0 {
            let undated = std::mem::take(&mut self.undated);
            self.add(now, undated, undated);
        }
    }

    /// Gives them an entry, or that of the latest before, which then count as begun now: those and the ones of these that are late have to
    /// be fewer than share an entry.
    fn add(&mut self, now: Instant, attempts: u32, late: u32) {
        let has_room = |latest: &&mut Entry| latest.last == now || latest.attempts + late < self.share;
        if let Some(latest) = self.latest.as_mut().filter(has_room) {
            latest.add(now, attempts);
            return;
        }
        let latest = Entry {
            first: now,
            last: now,
            attempts,
        };
        self.earlier.extend(self.latest.replace(latest));
        if self.oldest_until.is_none() {
            self.oldest_until = Some(saturating_add(now, self.per));
        }
    }

    /// Has those share entries that are kept for a longer rate than this one.
    #[cold]
    fn condense(&mut self, now: Instant, rate: Rate) {
        let resolution = self.per / MOST;
        let mut condensed: VecDeque<Entry> = VecDeque::new();
        for entry in self.earlier.drain(..) {
            match condensed.back_mut() {
                Some(before) if now - entry.last >= rate.per && entry.last - before.first < resolution => {
                    before.add(entry.last, entry.attempts);
                }
                _ => condensed.push_back(entry),
            }
        }
        self.earlier = condensed;
    }
}

/// How many attempts share an entry. Of those that once were in it when a length of time ends, all but one may count for longer than they
/// had to: of 1,024 that a rate allows, less than one.
const fn share(rate: Rate) -> u32 {
    rate.calls.div_ceil(MOST)
}

impl Entry {
    fn add(&mut self, last: Instant, attempts: u32) {
        self.last = last;
        self.attempts = self.attempts.saturating_add(attempts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::RateScope;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn rate(calls: u32, per: Duration) -> Rate {
        let scope = RateScope::Process;
        Rate { calls, per, scope }
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
            let (mut log, rate) = (Entries::new(), rate(calls, millis(per)));
            let (mut now, mut begun) = (Instant::now(), Vec::new());
            for pause in pauses {
                now += millis(pause);
                let recent = begun.iter().filter(|at| now.duration_since(**at) < rate.per).count();
                match log.try_take(rate, || now) {
                    Ok(()) => {
                        prop_assert!(recent < calls as usize, "{recent} of {calls} had begun, and one more did");
                        begun.push(now);
                    }
                    Err(left) => {
                        prop_assert!(recent >= calls as usize, "{recent} of {calls} had begun, and one more did not");
                        prop_assert!(log.try_take(rate, || now + left - millis(1)).is_err(), "before it is time");
                        now += left;
                        prop_assert_eq!(log.try_take(rate, || now), Ok(()), "when it is time");
                        begun.push(now);
                    }
                }
            }
        }

        /// So many that entries are shared: never more, and of 1,024 at most one less than without sharing, whoever reads the clock
        /// in between.
        #[test]
        fn large_numbers_share_entries(
            calls in 1_024_u32..9_000,
            pauses in proptest::collection::vec((0_u64..200, 0_u64..300, 0_u8..4), 1..60),
        ) {
            let rate = rate(calls, millis(1_000));
            let (mut log, mut now, mut begun) = (Entries::new(), Instant::now(), VecDeque::new());
            for (pause, burst, looks) in pauses {
                now += millis(pause);
                for _ in 0..burst * u64::from(calls) / 1_000 {
                    now += Duration::from_nanos(pause);
                    while begun.front().is_some_and(|at| now.duration_since(*at) >= rate.per) {
                        begun.pop_front();
                    }
                    match log.try_take(rate, || now) {
                        Ok(()) => {
                            begun.push_back(now);
                            prop_assert!(begun.len() <= calls as usize, "more than the rate");
                        }
                        Err(_) => {
                            let least = calls - calls / MOST;
                            prop_assert!(begun.len() >= least as usize, "one was refused beside {}", begun.len());
                        }
                    }
                    if looks == 0 {
                        log.wait(rate, now);
                    }
                    prop_assert!(log.earlier.len() <= 2 * MOST as usize, "the log grows");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Two rates in turns: each is obeyed by all attempts, whichever rate they began by.
        #[test]
        fn rates_that_take_turns_are_both_obeyed(
            pauses in proptest::collection::vec((0_u64..20, any::<bool>()), 1..200),
        ) {
            let rates = [rate(2, millis(60)), rate(3, millis(10))];
            let (mut log, mut now, mut begun) = (Entries::new(), Instant::now(), Vec::new());
            // How far it looks back has to be known from the beginning.
            prop_assert_eq!(log.wait(rates[0], now), None);
            for (pause, which) in pauses {
                now += millis(pause);
                let rate = rates[usize::from(which)];
                let recent = begun.iter().filter(|at| now.duration_since(**at) < rate.per).count();
                let is_taken = log.try_take(rate, || now).is_ok();
                prop_assert_eq!(is_taken, recent < rate.calls as usize, "{} of {:?} had begun", recent, rate);
                if is_taken {
                    begun.push(now);
                }
            }
        }
    }

    #[test]
    fn one_that_nobody_has_dated_keeps_no_other_one() {
        let rate = rate(2 * MOST, millis(1_000));
        let (mut log, start) = (Entries::new(), Instant::now());
        for at in [0, 1, 2] {
            assert_eq!(log.try_take(rate, || start + millis(at)), Ok(()));
        }
        for _ in 3..rate.calls {
            assert_eq!(log.try_take(rate, || start + millis(2)), Ok(()));
        }
        let refused = log.try_take(rate, || start + millis(1_000) - Duration::from_nanos(1));
        assert_eq!(refused, Err(Duration::from_nanos(1)), "until the first is over");
        let later = log.try_take(rate, || start + millis(1_001));
        assert_eq!(
            later,
            Ok(()),
            "two are over, and one of them at most may count for longer"
        );
    }

    #[test]
    fn none_is_none() {
        let (mut log, none) = (Entries::new(), rate(0, millis(1)));
        assert_eq!(log.try_take(none, Instant::now), Err(Duration::MAX));
    }

    #[test]
    fn a_short_rate_beside_a_long_one_does_not_make_the_log_grow() {
        let (mut log, mut now) = (Entries::new(), Instant::now());
        let long = rate(1, Duration::from_secs(3_600));
        assert_eq!(log.try_take(long, || now), Ok(()));
        for _ in 0..20_000 {
            now += millis(10);
            assert_eq!(log.try_take(rate(100, Duration::from_secs(1)), || now), Ok(()));
        }
        assert!(log.earlier.len() <= 3 * MOST as usize, "{} entries", log.earlier.len());
    }

    /// They have begun by no clock yet, and so by none that is another one.
    #[test]
    fn those_without_a_date_count_by_the_next_clock() {
        let rate = rate(2 * MOST, millis(1_000));
        let (mut log, start) = (Entries::new(), Instant::now());
        for _ in 0..2 {
            assert_eq!(log.try_take(rate, || start + millis(500)), Ok(()));
        }
        assert_eq!(log.wait(rate, start), None, "a clock that is behind");
        for _ in 1..rate.calls {
            assert_eq!(log.try_take(rate, || start), Ok(()), "all but the one without a date");
        }
        assert_eq!(log.try_take(rate, || start), Err(millis(1_000)), "that one counts");
        for _ in 0..rate.calls {
            let later = log.try_take(rate, || start + millis(1_000));
            assert_eq!(later, Ok(()), "and no longer than others");
        }
    }

    #[test]
    fn another_clock_and_another_rate_lock_nobody_out() {
        let (mut log, now) = (Entries::new(), Instant::now() + millis(1_000));
        let rate = |calls| rate(calls, millis(10));
        for _ in 0..3 {
            assert_eq!(log.try_take(rate(3), || now), Ok(()));
        }
        assert_eq!(
            log.try_take(rate(1), || now),
            Err(millis(10)),
            "a lower rate waits for all of them"
        );
        assert_eq!(log.try_take(rate(4), || now), Ok(()), "a higher rate has room");
        assert_eq!(
            log.try_take(rate(1), || now - millis(500)),
            Ok(()),
            "a clock that is behind"
        );
    }
}
