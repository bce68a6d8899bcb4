//! [`Share`]: how much of a rate this process has, of which the replicas of its service have the rest.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Held, Limits};
use crate::changes;
use crate::policy::{Rate, RateScope};

/// The share, and how much more is wanted. All atomics are relaxed: each tells something by itself, and whoever looks looks again.
#[derive(Debug)]
pub(super) struct Share {
    /// How many of the rate's attempts, or [`WHOLE`](Self::WHOLE).
    calls: AtomicU64,
    /// Wakes whoever waits for more.
    changed: Notify,
    /// How many calls were refused since that was last asked.
    refused: AtomicU32,
    /// Set once a call has been held back since then.
    is_wanted: AtomicBool,
    /// The rate of the first call that has found nobody to have set the share.
    rate: Mutex<Option<Rate>>,
    /// Whether there is one.
    is_rate_known: AtomicBool,
}

/// What this process needs of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// How many attempts have begun in the length of time of the rate that ends now.
    pub(crate) used: u32,
    /// How many would have begun in one since the last look, if nothing had held them back: as far as that is known.
    pub(crate) wanted: u32,
}

impl Share {
    const WHOLE: u64 = u64::MAX;

    pub(super) const fn new() -> Share {
        Share {
            calls: AtomicU64::new(Self::WHOLE),
            changed: Notify::const_new(),
            refused: AtomicU32::new(0),
            is_wanted: AtomicBool::new(false),
            rate: Mutex::new(None),
            is_rate_known: AtomicBool::new(false),
        }
    }

    /// As much of a rate as this process has.
    fn of(&self, rate: Rate) -> Rate {
        let share = self.calls.load(Ordering::Relaxed);
        if share == Self::WHOLE && !self.is_rate_known.load(Ordering::Relaxed) {
            self.note(rate);
        }
        let calls = u32::try_from(share).map_or(rate.calls, |share| share.min(rate.calls));
        Rate { calls, ..rate }
    }

    #[cold]
    fn note(&self, rate: Rate) {
        *self.rate() = Some(rate);
        self.is_rate_known.store(true, Ordering::Relaxed);
        changes::changed();
    }

    fn rate(&self) -> MutexGuard<'_, Option<Rate>> {
        // Nothing panics while it is locked.
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As if it were new.
    pub(super) fn forget(&self) {
        self.calls.store(Self::WHOLE, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
        self.is_wanted.store(false, Ordering::Relaxed);
        self.is_rate_known.store(false, Ordering::Relaxed);
        *self.rate() = None;
    }

    fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::Relaxed) {
            changes::changed();
        }
    }
}

/// As much of a rate as this process has.
pub(super) fn in_force(limits: &Limits, rate: Rate) -> Rate {
    match rate.scope {
        RateScope::Process => rate,
        RateScope::Fleet => limits.share.of(rate),
    }
}

/// Tells whether more of the rate that holds an attempt back may be had before attempts have become old.
pub(super) fn may_grow(rate: Option<Rate>, held: Held) -> bool {
    matches!(held, Held::Rate(_)) && rate.is_some_and(|rate| rate.scope == RateScope::Fleet)
}

impl Limits {
    /// Notes that an attempt is held back by this rate.
    pub(super) fn want_more(&self, rate: Option<Rate>, held: Held) {
        if may_grow(rate, held) {
            self.share.want();
        }
    }

    /// Notes that a call is refused because of this rate.
    pub(super) fn miss(&self, rate: Option<Rate>, held: Held) {
        if may_grow(rate, held) {
            self.share.refused.fetch_add(1, Ordering::Relaxed);
            self.share.want();
        }
    }

    /// Resolves at the next change of the share, also at one before it is first polled.
    pub(super) fn share_changed(&self) -> impl Future<Output = ()> {
        self.share.changed.notified()
    }

    /// Sets how much of its rate this process has, `None` for all of it.
    pub(crate) fn set_share(&self, share: Option<u32>) {
        let share = share.map_or(Share::WHOLE, u64::from);
        if self.share.calls.swap(share, Ordering::Relaxed) != share {
            self.share.changed.notify_waiters();
        }
    }

    /// How much of its rate this process has, `None` if nobody has set it.
    pub(crate) fn share(&self) -> Option<u32> {
        u32::try_from(self.share.calls.load(Ordering::Relaxed)).ok()
    }

    /// The rate that a call has had.
    pub(crate) fn shared_rate(&self) -> Option<Rate> {
        *self.share.rate()
    }

    /// Tells whether an attempt has been held back since the last look at the demand.
    pub(crate) fn is_share_wanted(&self) -> bool {
        self.share.is_wanted.load(Ordering::Relaxed)
    }

    /// What this process needs of a rate.
    pub(crate) fn demand(&self, rate: Rate) -> Demand {
        self.share.is_wanted.store(false, Ordering::Relaxed);
        let refused = self.share.refused.swap(0, Ordering::Relaxed);
        let waiting = self.in_turn.load(Ordering::Relaxed);
        if waiting > 0 {
            // They have to be thought of at the next look as well.
            self.share.is_wanted.store(true, Ordering::Relaxed);
        }
        let (used, most) = self.log.used(rate);
        let wanted = most.saturating_add(waiting).saturating_add(refused).min(rate.calls);
        Demand { used, wanted }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::limits::InTurn;

    const RATE: Rate = Rate {
        calls: 10,
        per: Duration::from_secs(60),
        scope: RateScope::Fleet,
    };
    const HELD: Held = Held::Rate(Duration::from_secs(1));

    #[test]
    fn what_is_held_back_is_wanted_until_it_has_been_asked_for() {
        let limits = Limits::new();
        limits.want_more(Some(RATE), Held::Others);
        assert!(!limits.is_share_wanted(), "more of the rate would not help");
        let change = pin!(changes::next_change());
        limits.want_more(Some(RATE), HELD);
        assert!(limits.is_share_wanted());
        assert!(
            change.now_or_never().is_some(),
            "whoever follows it learns that at once"
        );
        limits.miss(Some(RATE), HELD);
        limits.miss(Some(RATE), HELD);
        assert_eq!(limits.demand(RATE), Demand { used: 0, wanted: 2 }, "two were refused");
        assert!(!limits.is_share_wanted(), "nobody waits for it");
        let waiting = InTurn::of(&limits.in_turn);
        limits.miss(Some(RATE), HELD);
        assert_eq!(
            limits.demand(RATE),
            Demand { used: 0, wanted: 2 },
            "one waits, and one was refused"
        );
        assert!(limits.is_share_wanted(), "one still waits");
        drop(waiting);
        assert_eq!(limits.demand(RATE), Demand { used: 0, wanted: 0 });
        assert!(!limits.is_share_wanted(), "it waits no more");
    }

    #[test]
    fn a_share_is_in_force_until_it_is_forgotten() {
        let limits = Limits::new();
        assert_eq!((limits.share(), limits.shared_rate()), (None, None));
        assert_eq!(in_force(&limits, RATE), RATE, "nobody has set a share");
        let slower = Rate { calls: 2, ..RATE };
        assert_eq!(in_force(&limits, slower), slower, "that of another call");
        assert_eq!(limits.shared_rate(), Some(RATE), "the first has become known");
        let change = pin!(limits.share_changed());
        limits.set_share(Some(3));
        assert!(change.now_or_never().is_some(), "whoever waits asks again");
        assert_eq!((limits.share(), in_force(&limits, RATE).calls), (Some(3), 3));
        assert_eq!(
            in_force(&limits, slower).calls,
            2,
            "a share allows no more than the rate"
        );
        limits.miss(Some(RATE), HELD);
        limits.share.forget();
        assert_eq!((limits.share(), limits.shared_rate()), (None, None));
        assert!(!limits.is_share_wanted());
        assert_eq!(limits.demand(RATE), Demand { used: 0, wanted: 0 });
        limits.set_share(Some(3));
        assert_eq!(in_force(&limits, RATE).calls, 3);
        assert_eq!(limits.shared_rate(), None, "nobody has to learn of a rate with a share");
    }
}
