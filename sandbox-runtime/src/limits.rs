//! [`Limits`]: how many calls are made at a time, how many attempts in a length of time, and for how long a dependency has asked to
//! be left alone.
//!
//! They belong to a breaker and are made when they are first needed. What one call does with them is [`CallLimits`].

mod call;
mod hold;
mod nesting;
#[cfg(feature = "fleet")]
mod others;
mod places;
mod rate;
#[cfg(feature = "fleet")]
mod share;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::breaker::CircuitBreaker;
use crate::clock::saturating_add;
use crate::failure::Stop;
use crate::policy::{Policy, Rate, RateScope};
use crate::site::SiteRef;

pub(crate) use call::CallLimits;
use hold::Hold;
#[cfg(feature = "fleet")]
use others::Others;
use places::{Place, Places};
use rate::Log;
#[cfg(feature = "fleet")]
pub(crate) use share::Demand;
#[cfg(feature = "fleet")]
use share::{Share, in_force, may_grow};
#[cfg(not(feature = "fleet"))]
use unshared::{in_force, may_grow};

/// The limits of the calls with one breaker.
pub(crate) struct Limits {
    places: Places,
    log: Log,
    hold: Hold,
    /// Who has it is the next to begin an attempt by a rate. A fair queue: callers get it in the order in which they came.
    turn: Semaphore,
    /// Who has it is the next to take a place and then its turn: in between, nobody who came later is to overtake. Who has a place
    /// already does not stand in this line, in which somebody may wait for that very place.
    line: Semaphore,
    /// How many stand in the line, wait for their turn or have it.
    in_turn: AtomicU32,
    /// Wakes everybody who waits, to look whether they still have to.
    woken: Arc<Notify>,
    #[cfg(feature = "fleet")]
    share: Share,
    #[cfg(feature = "fleet")]
    others: Others,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// No code of the user runs while something in it is locked.
impl RefUnwindSafe for Limits {}
impl UnwindSafe for Limits {}

/// Why an attempt is held back, and for how long at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Every place is taken, by other calls.
    Others,
    /// So many attempts have begun as the rate allows.
    Rate(Duration),
    /// The dependency has asked to wait.
    Dependency(Duration),
}

/// What a call has to obey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    max_concurrent: Option<u32>,
    rate: Option<Rate>,
    /// The longest that it waits.
    longest: Duration,
}

impl Terms {
    /// Those of a call to which so much time is `left`, if it is limited.
    #[inline]
    pub(crate) fn of(policy: &Policy, left: Option<Duration>) -> Terms {
        let longest = policy.queue.unwrap_or(policy.timeout);
        Terms {
            max_concurrent: policy.max_concurrent,
            rate: policy.rate,
            longest: left.map_or(longest, |left| left.min(longest)),
        }
    }

    /// Tells whether a call that is held back need not wait: it would be refused in the end.
    fn refuse_at_once(self, held: Held) -> bool {
        self.longest <= held.left() && (self.longest.is_zero() || !may_grow(self.rate, held))
    }
}

impl Limits {
    pub(crate) fn new() -> Limits {
        Limits {
            places: Places::new(),
            log: Log::new(),
            hold: Hold::new(),
            turn: Semaphore::new(1),
            line: Semaphore::new(1),
            in_turn: AtomicU32::new(0),
            woken: Arc::default(),
            #[cfg(feature = "fleet")]
            share: Share::new(),
            #[cfg(feature = "fleet")]
            others: Others::new(),
        }
    }

    /// Has everybody who waits look whether they still have to: the tool may be off by now, or its breaker open.
    pub(crate) fn wake(&self) {
        self.woken.notify_waiters();
    }

    /// Resolves when somebody [wakes](Self::wake) those who wait, after this has been called.
    fn woken(&self) -> OwnedNotified {
        Arc::clone(&self.woken).notified_owned()
    }

    /// Changes how many calls are made at a time: who waits has the places that this adds.
    pub(crate) fn resize(&self, max_concurrent: u32) {
        self.places.resize(max_concurrent);
    }

    /// Lets no attempt begin for so long, because the dependency has asked for that.
    pub(crate) fn hold(&self, lasts: Duration) {
        self.hold.begin(lasts);
    }

    /// Ends what the dependency has asked for.
    pub(crate) fn let_go(&self) {
        self.hold.end();
    }

    /// How much longer the dependency is to be left alone; `None` if it is not.
    pub(crate) fn held_for(&self) -> Option<Duration> {
        self.hold.left()
    }

    /// Forgets all calls, of which none may be under way.
    pub(crate) fn forget(&self) {
        self.places.resize(0);
        self.log.forget();
        self.hold.end();
        #[cfg(feature = "fleet")]
        self.share.forget();
        #[cfg(feature = "fleet")]
        self.be_opened_by_others(false);
    }

    /// Tells whether that may be so: it may be over.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.hold.may_last()
    }

    /// Tells whether they would do the same if they were new. Nobody has a call in them.
    #[cfg(feature = "keyed")]
    pub(crate) fn are_idle(&self) -> bool {
        self.held_for().is_none() && self.log.is_over()
    }

    /// Tells whether an attempt by these terms needs a place: not within a call that has one, which shares its own.
    fn needs_place(self: &Arc<Self>, terms: Terms) -> bool {
        terms.max_concurrent.is_some() && !nesting::is_within(self)
    }

    /// Lets an attempt begin if nobody has to be waited for, and tells whether it has taken a place.
    #[inline]
    fn begin(self: &Arc<Self>, terms: Terms, hold: &Hold) -> Result<bool, Held> {
        if let Some(number) = terms.max_concurrent {
            self.places.resize(number);
        }
        let takes_place = self.needs_place(terms);
        // Relaxed: of two that come at the same time, either may be the first.
        if self.in_turn.load(Ordering::Relaxed) > 0
            && let Some(rate) = terms.rate
        {
            return Err(self.held_in_turn(rate, takes_place, hold));
        }
        if takes_place && !self.places.try_take() {
            return Err(Held::Others);
        }
        let passes = self.try_pass(terms.rate, hold);
        if takes_place && passes.is_err() {
            self.places.leave();
        }
        passes.map(|()| takes_place)
    }

    /// Lets an attempt pass if nothing holds it back, and counts it.
    #[inline]
    fn try_pass(&self, rate: Option<Rate>, hold: &Hold) -> Result<(), Held> {
        if let Some(left) = hold.left() {
            return Err(Held::Dependency(left));
        }
        match rate {
            Some(rate) => self
                .log
                .try_take(in_force(self, rate))
                .map_err(|left| held_by(rate, left)),
            None => Ok(()),
        }
    }

    /// Waits until an attempt may begin, until this moment at most. Has taken a place for it, if it needs one.
    async fn wait(&self, rate: Option<Rate>, needs_place: bool, hold: &Hold, until: Instant) -> Result<(), Held> {
        let Some(rate) = rate else {
            let place = self.place(needs_place, until).await?;
            return self.pass(None, hold, until).await.map(|()| keep(place));
        };
        let _in_turn = InTurn::of(&self.in_turn);
        let held = |_| self.held_in_turn(rate, needs_place, hold);
        let _line = match needs_place {
            true => Some(timeout_at(until, self.line.acquire()).await.map_err(held)?),
            false => None,
        };
        let place = self.place(needs_place, until).await?;
        let _turn = timeout_at(until, self.turn.acquire()).await.map_err(held)?;
        self.pass(Some(rate), hold, until).await.map(|()| keep(place))
    }

    /// Waits for a place, if one is needed.
    async fn place(&self, is_needed: bool, until: Instant) -> Result<Option<Place<'_>>, Held> {
        if !is_needed {
            return Ok(None);
        }
        let place = timeout_at(until, self.places.take()).await;
        place.ok().flatten().map(Some).ok_or(Held::Others)
    }

    /// Waits until nothing holds back an attempt whose turn it is, until this moment at most, and counts it.
    async fn pass(&self, rate: Option<Rate>, hold: &Hold, until: Instant) -> Result<(), Held> {
        loop {
            // Before it is asked for: either may come in between.
            let (ended, share_changed) = (hold.ended(), self.share_changed());
            let held = match self.try_pass(rate, hold) {
                Ok(()) => return Ok(()),
                Err(held) => held,
            };
            let opens = saturating_add(Instant::now(), held.left());
            let is_too_late = opens >= until;
            // It would be refused then, and others wait behind it.
            if is_too_late && !may_grow(rate, held) {
                return Err(held);
            }
            // Whichever comes first: it is asked for again.
            let changed = timeout_at(opens.min(until), first_of(ended, share_changed)).await;
            if is_too_late && changed.is_err() {
                return Err(held);
            }
        }
    }

    /// What holds back an attempt that waits behind others.
    fn held_in_turn(&self, rate: Rate, needs_place: bool, hold: &Hold) -> Held {
        match (hold.left(), self.log.next(in_force(self, rate))) {
            (Some(left), _) => Held::Dependency(left),
            // The first in the line waits for a place.
            (None, Duration::ZERO) if needs_place => Held::Others,
            (None, left) => held_by(rate, left),
        }
    }
}

/// What holds back an attempt for which a rate has no room for so long. Of a share, nobody knows: but then all of it is there again.
fn held_by(rate: Rate, left: Duration) -> Held {
    Held::Rate(match rate.scope {
        RateScope::Process => left,
        #[cfg(feature = "fleet")]
        RateScope::Fleet => left.min(rate.per),
    })
}

/// Without a fleet, a process has all of its rate.
#[cfg(not(feature = "fleet"))]
mod unshared {
    use std::future::{Future, pending};

    use super::{Held, Limits, Rate};

    pub(super) fn in_force(_: &Limits, rate: Rate) -> Rate {
        rate
    }

    pub(super) fn may_grow(_: Option<Rate>, _: Held) -> bool {
        false
    }

    impl Limits {
        pub(super) fn want_more(&self, _: Option<Rate>, _: Held) {}

        pub(super) fn miss(&self, _: Option<Rate>, _: Held) {}

        pub(super) fn share_changed(&self) -> impl Future<Output = ()> {
            pending()
        }
    }
}

/// The limits of an annotated function, or of the breaker of a tool without a name.
fn own(site: Option<SiteRef>, breaker: &CircuitBreaker) -> &Arc<Limits> {
    site.map_or(breaker, |site| &site.0.breaker).limits()
}

/// Lets the first attempt of a call begin by its limits if it has to wait for nothing, and tells whether it has taken a place:
/// then the poll of its tool begins. `None` if it may have to wait.
#[cold]
pub(crate) fn begin_at_once(site: Option<SiteRef>, breaker: &CircuitBreaker, terms: Terms) -> Option<bool> {
    if breaker.is_held() {
        return None;
    }
    let limits = own(site, breaker);
    let takes_place = limits.begin(terms, &limits.hold).ok()?;
    if takes_place {
        nesting::enter(limits);
    }
    Some(takes_place)
}

/// The poll in which a call has taken its place at once is over.
#[cold]
pub(crate) fn leave_poll(site: Option<SiteRef>, breaker: &CircuitBreaker) {
    nesting::leave(own(site, breaker));
}

/// The same, and with it the call.
#[cold]
pub(crate) fn leave_place(site: Option<SiteRef>, breaker: &CircuitBreaker) {
    let limits = own(site, breaker);
    nesting::leave(limits);
    limits.places.leave();
}

/// Keeps a place that has been taken: whoever waited for it leaves it.
fn keep(place: Option<Place<'_>>) {
    if let Some(place) = place {
        place.keep();
    }
}

/// One that waits for its turn, or has it.
struct InTurn<'a>(&'a AtomicU32);

impl InTurn<'_> {
    fn of(number: &AtomicU32) -> InTurn<'_> {
        number.fetch_add(1, Ordering::Relaxed);
        InTurn(number)
    }
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    /// The reason by which the call ends.
    pub(crate) const fn stop(self) -> Stop {
        match self {
            Held::Others => Stop::Overloaded,
            Held::Rate(_) | Held::Dependency(_) => Stop::RateLimited,
        }
    }

    /// How long at least, as far as that is known.
    pub(crate) fn left(self) -> Duration {
        match self {
            Held::Others => Duration::ZERO,
            Held::Rate(left) | Held::Dependency(left) => left,
        }
    }
}

/// Resolves with whichever does first.
async fn first_of(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        ready => ready,
    })
    .await;
}
