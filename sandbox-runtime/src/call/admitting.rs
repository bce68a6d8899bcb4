//! How the attempts of a call are admitted: by what surrounds it, which it finds behind the gate, and by the breaker.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::Guard;

use super::injected::Injected;
use super::owed::Owed;
use super::{CallState, Controls, Returned};
use crate::breaker::{Admission, CircuitBreaker};
use crate::failure::{Refusal, Stop};
use crate::gate;
use crate::overrides::Override;
use crate::policy::Policy;
use crate::record::{Step, count};
use crate::site::SiteRef;
use crate::steering::{self, Found};
use crate::surroundings::{self, Called, Concern, Surroundings};
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
        let policy = self.controls.policy();
        self.start_clock_by(&policy);
        Some(Owed::of(admission))
    }

    /// The same where something may concern the call.
    // Every other function is called in the place of the return: so this one saves no registers, and takes few instructions where
    // nobody is interested.
    #[cold]
    #[inline(never)]
    fn admit_behind_gate(self: Pin<&mut Self>) -> Option<Owed> {
        match self.concern() {
            Concern::Nothing if !self.controls.policy().is_limited() => self.admit_unconcerned(),
            Concern::Nothing | Concern::Record => self.admit_recorded(),
            Concern::Settings => None,
            Concern::Surroundings => self.admit_surrounded(),
        }
    }

    #[inline(always)]
    fn concern(&self) -> Concern {
        // It may have been handed here from where something surrounded it.
        match self.rare {
            Some(_) => Concern::Surroundings,
            None => surroundings::concern_of(self.site_of_this_name(), self.controls.breaker()),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_recorded(self: Pin<&mut Self>) -> Option<Owed> {
        self.admit_by(|state| state.controls.policy())
    }

    /// Admits a call that nothing surrounds and that is expected to succeed at once.
    #[inline(always)]
    fn admit_by(mut self: Pin<&mut Self>, policy: impl Fn(&Self) -> Policy) -> Option<Owed> {
        let admission = self.controls.breaker().request_if_closed()?;
        let Some(owed) = self.begin_at_once(Owed::of(admission), &policy(&self)) else {
            // Before the poll goes on, which has to know of a place that the call takes in it.
            self.as_mut().obey_limits();
            return None;
        };
        let owed = self.record_ready(owed, &policy);
        let policy = policy(&self);
        self.start_clock_by(&policy);
        Some(owed)
    }

    /// The same where something may surround the call, or stand in its way: if it does, that has to be asked first.
    #[cold]
    #[inline(never)]
    fn admit_surrounded(mut self: Pin<&mut Self>) -> Option<Owed> {
        self.as_mut().look_around();
        let is_free = self.rare.is_none() && !steering::is_off(self.controls.site());
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
        if let Some(set) = Guard::into_inner(steering::policy_for(self.site(), || self.controls.policy())) {
            self.as_mut().keep_overridden(set);
        }
        if self.is_limited() {
            self.obey_limits();
        }
    }

    /// Tells whether a call that was not admitted at once may have the settings of an operator, of which it does not know yet.
    #[inline]
    pub(super) fn may_be_overridden(&self) -> bool {
        self.rare.is_none() && (gate::is_open_for(gate::STEERED) || self.controls.policy().is_limited())
    }

    /// The settings that an operator has given to the tool of a call that nothing else concerns. If there are none, what else concerns the
    /// call has been found.
    #[inline]
    pub(super) fn find_overridden(self: Pin<&mut Self>) -> Found {
        match self.concern() {
            Concern::Settings => {
                let set = steering::policy_for(self.controls.site(), || self.controls.policy());
                if set.is_some() {
                    return set;
                }
            }
            // Perhaps only since the first look.
            Concern::Surroundings => {
                self.look_around();
                return Guard::from_inner(None);
            }
            Concern::Nothing | Concern::Record => {}
        }
        // They may have been taken back since.
        if self.is_limited() {
            self.obey_limits();
        }
        Guard::from_inner(None)
    }

    /// The same as [`admit_if_simple`](Self::admit_if_simple) for a call that nothing concerns but these settings of an operator.
    #[inline]
    pub(super) fn admit_overridden(self: Pin<&mut Self>, set: &Policy) -> Option<Owed> {
        let is_off = steering::is_off(self.controls.site());
        (!is_off).then(|| self.admit_by(|_| *set))?
    }

    /// Keeps the settings that an operator has given to the tool, in place of the call's own.
    #[cold]
    pub(super) fn keep_overridden(self: Pin<&mut Self>, set: Arc<Override>) {
        self.get_or_insert_around().overridden.get_or_insert(set);
    }

    /// Asks what concerns the call for leave to make an attempt; ready at once where nothing does.
    #[inline]
    pub(super) fn poll_admission(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if gate::is_open() || self.controls.policy().is_limited() || self.is_concerned() {
            return self.poll_admission_behind_gate(cx);
        }
        Poll::Ready(Ok(()))
    }

    #[cold]
    fn poll_admission_behind_gate(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.attempts == 0 {
            self.as_mut().record_beginning();
        }
        if steering::is_off(self.site()) {
            return Poll::Ready(Err(Stop::Disabled));
        }
        if self.is_surrounded()
            && let stopped_or_pending @ (Poll::Pending | Poll::Ready(Err(_))) = self.as_mut().poll_admission_around(cx)
        {
            return stopped_or_pending;
        }
        if self.is_limited() {
            self.as_mut().obey_limits();
        }
        self.poll_limits(cx)
    }

    #[cold]
    fn poll_admission_around(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let attempts = self.attempts;
        match self.surroundings_mut() {
            Some(surroundings) => surroundings.poll_admission(attempts, cx),
            None => Poll::Ready(Ok(())),
        }
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
    pub(super) fn note_first_attempt(mut self: Pin<&mut Self>, owed: Owed, is_limited: bool) {
        let owed = self.as_mut().keep_place_taken_at_once(owed, is_limited);
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
        // Cannot overflow: there are at most `max_attempts`.
        let attempts = self.attempts + 1;
        *self.as_mut().project().attempts = attempts;
        if let Some(surroundings) = self.as_mut().surroundings_mut() {
            surroundings.attempt_began(attempts);
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
        if self.is_surrounded() {
            return false;
        }
        let has_limits = self.limits().is_some();
        let this = self.as_mut().project();
        let called = Called {
            name: this.controls.name(),
            site: this.controls.site(),
            breaker: this.controls.breaker(),
        };
        // Who observes a call does so from its beginning, and a call ends where it began. One with limits has begun: it may be in the queue.
        let begins = *this.attempts == 0 && !has_limits;
        let Some(found) = Surroundings::enter(begins.then_some(called)) else {
            return false;
        };
        let rare = this.rare.get_or_insert_default();
        // By this id observers know the call. One that has asked for its own has run its tool, and nobody observes it.
        rare.call_id = rare.call_id.or(found.call_id());
        self.as_mut().get_or_insert_around().surroundings = Some(found);
        self.note_start();
        true
    }

    /// The same at a later poll: the call may have been handed into a scope since.
    #[inline]
    pub(super) fn enters_surroundings(self: Pin<&mut Self>) -> bool {
        surroundings::is_scope_polled() && self.enters_new_surroundings()
    }
}
