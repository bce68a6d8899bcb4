//! How a call obeys limits: at once where nobody has to be waited for, and otherwise as part of what few calls have.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::owed::Owed;
use super::{CallState, Controls};
use crate::failure::{Failure, Stop};
use crate::gate;
use crate::limits::{self, CallLimits, Terms};
use crate::policy::Policy;

impl<S: Controls> CallState<S> {
    /// Tells whether the next attempt may be held back.
    #[inline(always)]
    pub(super) fn is_limited(&self) -> bool {
        self.setting(Policy::is_limited) || gate::is_open_for(gate::HOLDS) && self.breaker().held_for().is_some()
    }

    /// Lets the first attempt of a call begin that nothing surrounds, by this policy; `None` if it may have to wait.
    #[inline(always)]
    pub(super) fn begin_at_once(&self, owed: Owed, policy: &Policy) -> Option<Owed> {
        // Of most functions the compiler knows that they have no limits.
        if !policy.is_limited() {
            return Some(owed);
        }
        let terms = Terms::of(policy, None);
        let takes_place = limits::begin_at_once(self.controls.site(), self.controls.breaker(), terms)?;
        Some(if takes_place { owed.in_place() } else { owed })
    }

    /// Leaves the place of a call that has [begun at once](Self::begin_at_once), and has ended.
    #[inline(always)]
    pub(super) fn leave_place_taken_at_once(&self, owed: Owed, is_limited: bool) {
        if is_limited && owed.is_in_place() {
            limits::leave_place(self.controls.site(), self.controls.breaker());
        }
    }

    /// Keeps the place of a call that has [begun at once](Self::begin_at_once), and has not ended in that poll.
    #[inline(always)]
    pub(super) fn keep_place_taken_at_once(self: Pin<&mut Self>, owed: Owed, is_limited: bool) -> Owed {
        if is_limited && owed.is_in_place() {
            self.keep_place();
            return owed.out_of_place();
        }
        if is_limited && self.controls.policy().max_concurrent.is_some() {
            // It shares the place of a call around it. Handed elsewhere, its next attempt takes one, in a poll that has to begin and
            // to end for its limits.
            self.obey_limits();
        }
        owed
    }

    #[cold]
    fn keep_place(self: Pin<&mut Self>) {
        let (site, breaker) = (self.controls.site(), self.controls.breaker());
        limits::leave_poll(site, breaker);
        let limits = CallLimits::with_place(site, breaker);
        self.get_or_insert_around().limits = Some(limits);
    }

    /// Lets the call obey the limits of its tool and of its breaker, from its next attempt on.
    #[cold]
    pub(super) fn obey_limits(self: Pin<&mut Self>) {
        if self.limits().is_none() {
            let limits = CallLimits::of(self.site(), self.breaker());
            self.get_or_insert_around().limits = Some(limits);
        }
    }

    /// Waits until the limits that the call [obeys](Self::obey_limits) let the next attempt begin.
    #[cold]
    pub(super) fn poll_limits(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        // Nobody queues in front of a breaker that refuses.
        if self.limits().is_none() || self.refusal().is_some() {
            return Poll::Ready(Ok(()));
        }
        let terms = Terms::of(&self.policy(), self.time_left());
        match self.around_mut() {
            Some(around) => around.poll_limits(terms, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Leaves the place of a call that has ended, or the queue.
    #[inline]
    pub(super) fn leave_limits(self: Pin<&mut Self>) {
        if let Some(around) = self.around_mut() {
            around.leave_limits();
        }
    }

    #[cold]
    pub(super) fn tell_what_holds_back(&self, failure: &mut Failure) {
        if let Some(limits) = self.limits() {
            limits.tell_what_holds_back(failure);
        }
    }
}
