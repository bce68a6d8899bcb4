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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_learn_of_refusals_and_of_the_longest_attempt() {
        let limits = Limits::new();
        assert_eq!(
            (limits.take_refusals(), limits.longest_refused()),
            (false, Duration::ZERO)
        );
        for (millis, longest) in [(20, 20), (10, 20), (30, 30)] {
            limits.note_refusal(Duration::from_millis(millis));
            assert!(limits.take_refusals(), "one was refused");
            assert!(!limits.take_refusals(), "none since then");
            assert_eq!(limits.longest_refused(), Duration::from_millis(longest));
        }
    }

    #[test]
    fn who_has_opened_it_is_known_until_that_changes() {
        let limits = Limits::new();
        for by_others in [false, true, false] {
            limits.be_opened_by_others(by_others);
            assert_eq!(limits.is_opened_by_others(), by_others);
        }
    }
}
