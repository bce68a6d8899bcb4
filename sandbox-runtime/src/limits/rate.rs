//! [`Log`]: how many attempts have begun in the last so and so much time.

#[cfg(test)]
mod tests;

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
        // What is kept for the sake of another rate may be too long ago to count: mostly nothing is.
        if self.attempts < u64::from(rate.calls) {
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
