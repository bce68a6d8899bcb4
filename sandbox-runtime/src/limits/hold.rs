//! [`Hold`]: a dependency that has asked to be left alone for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::clock::saturating_add;
use crate::gate::HOLDING;

/// The longest that one is left alone, whatever it has asked for: what it says comes from outside.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Holds back all attempts of a breaker. While there is one, the gate is open.
#[derive(Debug)]
pub(super) struct Hold {
    is_held: AtomicBool,
    lasting: Mutex<Option<Lasting>>,
    /// Wakes those who wait when it ends before its time.
    ended: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Lasting {
    until: Instant,
    length: Duration,
}

impl Lasting {
    /// What is left, and never more than from the beginning: the clock may be another one, such as that of another test.
    fn left(&self) -> Option<Duration> {
        let left = self.until.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then(|| left.min(self.length))
    }
}

impl Hold {
    pub(super) const fn new() -> Hold {
        Hold {
            is_held: AtomicBool::new(false),
            lasting: Mutex::new(None),
            ended: Notify::const_new(),
        }
    }

    /// Begins one, or makes the one under way longer.
    pub(super) fn begin(&self, lasts: Duration) {
        let length = lasts.min(LONGEST);
        let mut lasting = self.locked();
        if length.is_zero()
            || lasting
                .and_then(|lasting| lasting.left())
                .is_some_and(|left| left >= length)
        {
            return;
        }
        let until = saturating_add(Instant::now(), length);
        if lasting.replace(Lasting { until, length }).is_none() {
            HOLDING.add();
            // Relaxed: who learns that an attempt has heard of it, learns that by what orders the two.
            self.is_held.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn end(&self) {
        self.end_in(&mut self.locked());
        self.ended.notify_waiters();
    }

    /// Resolves when it [ends](Self::end) before its time, after this has been called.
    pub(super) fn ended(&self) -> Notified<'_> {
        self.ended.notified()
    }

    fn end_in(&self, lasting: &mut Option<Lasting>) {
        if lasting.take().is_some() {
            self.is_held.store(false, Ordering::Relaxed);
            HOLDING.subtract();
        }
    }

    /// Tells whether there is one: it may be over.
    #[inline]
    pub(super) fn may_last(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// How much longer it lasts.
    #[inline]
    pub(super) fn left(&self) -> Option<Duration> {
        self.may_last().then(|| self.left_if_it_lasts())?
    }

    #[cold]
    fn left_if_it_lasts(&self) -> Option<Duration> {
        let mut lasting = self.locked();
        let left = lasting.and_then(|lasting| lasting.left());
        if left.is_none() {
            self.end_in(&mut lasting);
        }
        left
    }

    fn locked(&self) -> MutexGuard<'_, Option<Lasting>> {
        // Nothing panics while it is locked.
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of a breaker that is dropped: nobody would find out that it is over.
impl Drop for Hold {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::gate;

    const SECOND: Duration = Duration::from_secs(1);

    // The only unit test in which there are some: the gate is that of the process.
    #[tokio::test(start_paused = true)]
    async fn the_longest_that_was_asked_for_counts() {
        let is_gate_open = || gate::is_open_for(gate::HOLDS);
        let hold = Hold::new();
        hold.begin(Duration::ZERO);
        assert!(!hold.may_last() && !is_gate_open(), "no time is asked for");
        for (asked, left) in [(10, 10), (5, 10), (20, 20)] {
            hold.begin(SECOND * asked);
            assert_eq!(hold.left(), Some(SECOND * left), "{asked} s were asked for");
        }
        assert!(hold.may_last() && is_gate_open());
        advance(SECOND * 20).await;
        assert_eq!(hold.left(), None);
        assert!(
            !hold.may_last() && !is_gate_open(),
            "whoever asks finds out that it is over"
        );
        hold.begin(SECOND);
        drop(hold);
        assert!(!is_gate_open(), "nobody asks one that is gone");
    }
}
