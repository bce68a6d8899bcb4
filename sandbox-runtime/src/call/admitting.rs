//! How the attempts of a call are admitted: by what surrounds it, which it finds behind the gate, and by the breaker.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::injected::Injected;
use super::owed::Owed;
use super::state::surroundings_in;
use super::{CallState, Controls, Returned};
use crate::breaker::{Admission, CircuitBreaker};
use crate::failure::{Refusal, Stop};
use crate::gate;
use crate::limits::Terms;
use crate::policy::Policy;
use crate::record::{Step, count};
use crate::site::SiteRef;
use crate::steering;
use crate::surroundings::{self, Called, Concern, Queue, Surroundings};
use crate::tool::Handler;
use crate::tool::keep::Last;

/// Admits an attempt that the breaker has refused.
#[cold]
fn admit_in_shadow(breaker: &CircuitBreaker, site: Option<SiteRef>, is_recorded: bool) -> Admission {
    if is_recorded {
        count(site, Step::Overlooked);
    }
    breaker.admit_in_shadow()
}

impl<S: Controls> CallState<S> {
    /// Asks a closed breaker for the first attempt of a call that nothing surrounds, and leaves it to the caller to
    /// [write it down](Self::note_first_attempt).
    #[inline]
    pub(super) fn admit_if_simple(self: Pin<&mut Self>) -> Option<Owed> {
        if gate::is_open() || self.controls.policy().is_limited() {
            return self.admit_behind_gate();
        }
        self.admit_unconcerned()
    }

    #[inline(always)]
    fn admit_unconcerned(self: Pin<&mut Self>) -> Option<Owed> {
        let admission = self.controls.breaker().request_if_closed()?;
        self.start_clock_unconcerned();
        Some(Owed::of(admission))
    }

    /// The same where something may concern the call.
    // Every other function is called in the place of the return: so this one saves no registers, and takes few instructions where
    // nobody is interested.
    #[cold]
    #[inline(never)]
    fn admit_behind_gate(self: Pin<&mut Self>) -> Option<Owed> {
        match self.concern() {
            Concern::Nothing => self.admit_unconcerned(),
            Concern::Record => self.admit_recorded(),
            Concern::Surroundings => self.admit_surrounded(),
        }
    }

    #[inline(always)]
    fn concern(&self) -> Concern {
        // It may have been handed here from where something surrounded it.
        match self.rare {
            Some(_) => Concern::Surroundings,
            None if self.setting(Policy::is_limited) => Concern::Surroundings,
            None => surroundings::concern_of(self.site_of_this_name(), self.controls.breaker()),
        }
    }

    /// Tells whether the next attempt may be held back.
    #[inline(always)]
    fn is_limited(&self) -> bool {
        self.setting(Policy::is_limited) || gate::is_open_for(gate::HOLDS) && self.breaker().held_for().is_some()
    }

    #[cold]
    #[inline(never)]
    fn admit_recorded(self: Pin<&mut Self>) -> Option<Owed> {
        let admission = self.controls.breaker().request_if_closed()?;
        let owed = self.record_ready(Owed::of(admission));
        self.start_clock_unconcerned();
        Some(owed)
    }

    /// The same where something may surround the call, or stand in its way: if it does, that has to be asked first.
    #[cold]
    #[inline(never)]
    fn admit_surrounded(mut self: Pin<&mut Self>) -> Option<Owed> {
        self.as_mut().look_around();
        let is_free = self.rare.is_none() && !self.is_limited() && !steering::is_off(self.controls.site());
        is_free.then(|| self.admit_recorded())?
    }

    /// Finds what concerns a call that begins: what surrounds its caller, what an operator has set for its tool, its limits. It is
    /// found once.
    #[cold]
    pub(super) fn look_around(mut self: Pin<&mut Self>) {
        if self.attempts > 0 || !gate::is_open() && !self.setting(Policy::is_limited) {
            return;
        }
        // First, because another site may stand for the tool there.
        if surroundings::may_surround_caller(self.site_of_this_name()) {
            self.as_mut().enters_new_surroundings();
        }
        if let Some(policy) = steering::policy_for(self.site(), || self.controls.policy()) {
            let rare = self.as_mut().project().rare.get_or_insert_default();
            rare.overridden.get_or_insert(policy);
        }
        if self.is_limited() {
            self.obey_limits();
        }
    }

    /// Asks what concerns the call for leave to make an attempt; ready at once where nothing does.
    #[inline]
    pub(super) fn poll_admission(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if (gate::is_open() || self.controls.policy().is_limited()) && self.as_mut().is_denied() {
            return Poll::Ready(Err(Stop::Disabled));
        }
        if self.is_surrounded() {
            return self.poll_admission_around(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// Records that the call begins, if it does, finds limits that have come since, and tells whether an operator has switched its
    /// tool off.
    #[cold]
    fn is_denied(mut self: Pin<&mut Self>) -> bool {
        if self.attempts == 0 {
            self.as_mut().record_beginning();
        }
        if self.is_limited() {
            self.as_mut().obey_limits();
        }
        steering::is_off(self.site())
    }

    #[cold]
    fn poll_admission_around(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let queue = match self.refusal() {
            Some(_) => Queue::Refused,
            None => Queue::By(Terms::of(&self.policy(), self.time_left())),
        };
        let this = self.project();
        match surroundings_in(this.rare) {
            Some(surroundings) => surroundings.poll_admission(*this.attempts, queue, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    #[cold]
    fn obey_limits(self: Pin<&mut Self>) {
        let this = self.project();
        let rare = this.rare.get_or_insert_default();
        let surroundings = rare.surroundings.get_or_insert_with(Surroundings::empty);
        surroundings.obey_limits(this.controls.site(), this.controls.breaker());
    }

    /// Why the breaker would refuse an attempt now, unless it is in shadow.
    #[inline]
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let refusal = match self.stand_in() {
            None => self.controls.breaker().refusal(),
            Some(stand_in) => stand_in.refusal(),
        }?;
        (!self.is_shadow()).then_some(refusal)
    }

    #[inline]
    fn is_shadow(&self) -> bool {
        gate::is_open_for(gate::STEERED) && steering::is_shadow(self.site())
    }

    #[inline(always)]
    fn request(mut self: Pin<&mut Self>) -> Result<Admission, Refusal> {
        self.as_mut().inject()?;
        let answer = match self.stand_in() {
            None => self.controls.breaker().request(self.setting(|policy| policy.timeout)),
            Some(stand_in) => stand_in.request(self.policy().timeout),
        };
        match answer {
            Err(_) if self.is_shadow() => Ok(admit_in_shadow(self.breaker(), self.site(), self.is_recorded())),
            answer => answer,
        }
    }

    /// Asks the breaker for the first attempt. Further ones have been asked for when their delay was over.
    pub(super) fn admit<R>(mut self: Pin<&mut Self>) -> Result<Option<Injected>, Returned<S, R>>
    where
        S::Handler: Handler<R>,
    {
        match self.as_mut().request() {
            Ok(admission) => Ok(self.begin_attempt(admission)),
            Err(refusal) => Err(self.reject(refusal)),
        }
    }

    /// Asks the breaker for a further attempt; `last` is what the one before has left.
    pub(super) fn admit_retry<R>(mut self: Pin<&mut Self>, last: Last<R>) -> Result<Option<Injected>, Returned<S, R>>
    where
        S::Handler: Handler<R>,
    {
        // A timer may wake late, and an attempt that would be cut at its first wait is better not begun.
        if self.time_left().is_some_and(|left| left.is_zero()) {
            return Err(self.finish_with(Stop::NoTimeLeft, last, None));
        }
        match self.as_mut().request() {
            Ok(admission) => Ok(self.begin_attempt(admission)),
            Err(refusal) => Err(self.finish_with(Stop::BreakerOpened, last, Some(refusal))),
        }
    }

    /// Writes down the first attempt of a call that nothing surrounds.
    #[inline]
    pub(super) fn note_first_attempt(mut self: Pin<&mut Self>, owed: Owed) {
        let this = self.as_mut().project();
        *this.owed = Some(owed);
        *this.attempts = 1;
        if owed.is_recorded() {
            count(self.controls.site(), Step::NotReady);
        }
    }

    /// Begins the attempt that has been admitted, and returns what comes before its tool.
    #[inline]
    fn begin_attempt(mut self: Pin<&mut Self>, admission: Admission) -> Option<Injected> {
        self.as_mut().set_admission(Some(admission));
        if self.is_recorded() {
            count(self.site(), Step::Attempted);
        }
        let this = self.as_mut().project();
        // Cannot overflow: there are at most `max_attempts`.
        *this.attempts += 1;
        if let Some(surroundings) = surroundings_in(this.rare) {
            surroundings.attempt_began(*this.attempts);
        }
        self.injected()
    }

    /// The annotated function, if it has one name in all calls.
    fn site_of_this_name(&self) -> Option<SiteRef> {
        let site = self.controls.site()?;
        std::ptr::eq(site.0.info.name, self.controls.name()).then_some(site)
    }

    /// Looks up what surrounds a call that has entered nothing yet, and tells whether that was found just now.
    #[cold]
    fn enters_new_surroundings(mut self: Pin<&mut Self>) -> bool {
        let this = self.as_mut().project();
        if surroundings_in(this.rare).is_some() {
            return false;
        }
        let called = Called {
            name: this.controls.name(),
            site: this.controls.site(),
            breaker: this.controls.breaker(),
        };
        // Who observes a call does so from its beginning, and a call ends where it began.
        let begins = *this.attempts == 0;
        let Some(found) = Surroundings::enter(begins.then_some(called)) else {
            return false;
        };
        let rare = this.rare.get_or_insert_default();
        // By this id observers know the call. One that has asked for its own has run its tool, and nobody observes it.
        rare.call_id = rare.call_id.or(found.call_id());
        rare.surroundings = Some(found);
        self.note_start();
        true
    }

    /// The same at a later poll: the call may have been handed into a scope since.
    #[inline]
    pub(super) fn enters_surroundings(self: Pin<&mut Self>) -> bool {
        surroundings::is_scope_polled() && self.enters_new_surroundings()
    }
}
