//! [`Others`]: what the other replicas of the service need to know of a breaker, and what this one has to know of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Limits;

/// Relaxed, all of it: whoever asks asks again.
pub(super) struct Others {
    /// Set if the breaker has refused somebody since that was last asked.
    has_refused: AtomicBool,
    /// The longest that an attempt of those may take who were ever refused, in milliseconds.
    longest: AtomicU64,
    /// Set while the breaker is not closed because other replicas have found failures. Of two transitions at the same time the later one
    /// may be noted first, and then refusals name the wrong cause until the next one.
    have_opened: AtomicBool,
}

impl Others {
    pub(super) const fn new() -> Others {
        Others {
            has_refused: AtomicBool::new(false),
            longest: AtomicU64::new(0),
            have_opened: AtomicBool::new(false),
        }
    }
}

impl Limits {
    /// Notes that somebody is refused whose attempt would have taken so long at most; zero if that is unknown.
    pub(crate) fn note_refusal(&self, limit: Duration) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        if self.others.longest.load(Ordering::Relaxed) < limit {
            self.others.longest.fetch_max(limit, Ordering::Relaxed);
        }
        self.others.has_refused.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_refusals(&self) -> bool {
        self.others.has_refused.swap(false, Ordering::Relaxed)
    }

    /// The longest that an attempt of those may take who were refused; zero if that is unknown.
    pub(crate) fn longest_refused(&self) -> Duration {
        Duration::from_millis(self.others.longest.load(Ordering::Relaxed))
    }

    pub(crate) fn be_opened_by_others(&self, by_others: bool) {
        self.others.have_opened.store(by_others, Ordering::Relaxed);
    }

    pub(crate) fn is_opened_by_others(&self) -> bool {
        self.others.have_opened.load(Ordering::Relaxed)
    }
}
