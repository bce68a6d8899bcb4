//! [`Surroundings`]: everything that is attached to a call, behind the [gate](crate::gate).
//!
//! A call enters its surroundings once, by one look-up, and keeps them wherever it is polled. It reports to them what happens
//! to it; which attachments there are, and what they do with that, it does not know. An attachment is a file in this folder, or
//! beside what it serves, that implements [`Attachment`].

mod attachment;
pub(crate) mod budget;
mod called;
mod observers;
pub(crate) mod report;
mod scope;
#[cfg(test)]
mod tests;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::CircuitBreaker;
use crate::call::current::CallId;
#[cfg(feature = "rmcp")]
use crate::failure::Failure;
use crate::failure::{AttemptEnd, Decision, Stop, UsedUp};
#[cfg(feature = "faults")]
use crate::faults::{self, Fault};
use crate::gate;
use crate::observe;
use crate::site::SiteRef;
use crate::testing::StandIn;
use crate::verdict::Verdict;

pub(crate) use attachment::{Attachment, CallEnd, Cancelled, Retry};
pub(crate) use called::Called;
use observers::CallObservers;
pub(crate) use scope::{
    InScope, Scope, attach, current, inherit, isolation_around, observers_around, tell_used_up_around,
    untell_used_up_around,
};

/// What surrounds one call.
#[derive(Debug)]
pub(crate) struct Surroundings {
    scope: Option<Arc<Scope>>,
    /// What stands for the site and the breaker of the call, in an isolation that its scope has.
    stand_in: Option<StandIn>,
    observers: Option<Box<CallObservers>>,
    /// Whether a call was taken from what is allowed around it. Until it makes an attempt, it is owed.
    has_call: bool,
    /// Whether a retry was taken that has not been made.
    owes_retry: bool,
    /// Attempts begun since the call came here, counted with those before.
    attempts: u32,
    is_attempt_under_way: bool,
    has_left: bool,
    /// What cancels the call; set when it first has to know.
    cancellation: Option<Cancellation>,
    /// That of the attempt under way, or of the one that is about to begin.
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

/// Whatever cancels a call first.
struct Cancellation(Vec<Cancelled>);

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation").field(&self.0.len()).finish()
    }
}

impl Surroundings {
    /// Looks up what surrounds the caller of a tool; `None` if nothing concerns this call. Of a call that began elsewhere, for which
    /// `called` is not given, nobody becomes an observer, and it keeps the site and the breaker that it began with.
    #[cold]
    pub(crate) fn enter(called: Option<Called<'_>>) -> Option<Surroundings> {
        let scope = current();
        let isolation = scope.as_deref().and_then(Scope::isolation);
        let stand_in = called
            .zip(isolation)
            .map(|(called, isolation)| called.stand_in(isolation));
        let observers = called.and_then(|called| CallObservers::of(scope.as_deref(), called.tool(stand_in)));
        if scope.is_none() && observers.is_none() && !is_under_test() {
            return None;
        }
        let mut found = Surroundings::empty();
        found.scope = scope;
        found.stand_in = stand_in;
        found.observers = observers.map(Box::new);
        Some(found)
    }

    /// Nothing, for what is found later.
    pub(crate) fn empty() -> Surroundings {
        Surroundings {
            scope: None,
            stand_in: None,
            observers: None,
            has_call: false,
            owes_retry: false,
            attempts: 0,
            is_attempt_under_way: false,
            has_left: false,
            cancellation: None,
            #[cfg(feature = "faults")]
            fault: None,
        }
    }

    /// Resolves when something around the call is cancelled.
    #[cold]
    pub(crate) fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.scope.is_none() {
            return Poll::Pending;
        }
        let known = self.cancellation.take();
        let find = || Cancellation(self.attachments().filter_map(Attachment::cancelled).collect());
        let mut cancellation = known.unwrap_or_else(find);
        let is_cancelled = cancellation.0.iter_mut().any(|one| one.as_mut().poll(cx).is_ready());
        self.cancellation = Some(cancellation);
        if is_cancelled { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The identity by which observers know the call.
    pub(crate) fn call_id(&self) -> Option<CallId> {
        self.observers.as_ref().map(|observers| observers.call_id)
    }

    /// What stands for the site and the breaker of the call.
    #[inline]
    pub(crate) fn stand_in(&self) -> Option<&StandIn> {
        self.stand_in.as_ref()
    }

    /// From the closest to the outermost, and then those who only observe.
    fn attachments(&self) -> impl DoubleEndedIterator<Item = &dyn Attachment> {
        let scope = self.scope.iter().flat_map(|scope| scope.attachments());
        let observers = self.observers.as_deref().map(|observers| observers as &dyn Attachment);
        scope.chain(observers)
    }

    /// Lets each of them know; mostly there is none.
    #[inline]
    fn tell(&self, each: impl Fn(&dyn Attachment)) {
        if self.scope.is_some() || self.observers.is_some() {
            self.attachments().for_each(each);
        }
    }

    /// When everything around the call is over.
    pub(crate) fn ends(&self) -> Option<Instant> {
        self.scope.as_ref()?.ends()
    }

    /// Asks for the fault of an attempt that is about to begin. Every plan around the call counts it, and that of the whole process;
    /// the closest that has a fault decides.
    #[cfg(feature = "faults")]
    #[cold]
    pub(crate) fn fault_of_attempt(&mut self, tool: &observe::ObservedTool) -> Option<Fault> {
        let of_process = faults::of_process().map(|plan| plan as &dyn Attachment);
        let plans = self.attachments().chain(of_process);
        let fault = plans.map(|plan| plan.fault(tool)).fold(None, Option::or);
        self.fault = fault;
        fault
    }

    #[cfg(feature = "faults")]
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// What the run around the call has used up by which the call has ended, if no failure has said so before.
    pub(crate) fn tell_used_up(&self, stop: Stop) -> Option<UsedUp> {
        // The outermost: of a run within a run, or within a tool that a client has called, its model knows nothing.
        let mut outermost_first = self.attachments().rev();
        outermost_first.find_map(|attachment| attachment.tell_used_up(Some(stop)))?
    }

    #[cold]
    pub(crate) fn attempt_began(&mut self, attempt: u32) {
        self.owes_retry = false;
        self.attempts = attempt;
        self.is_attempt_under_way = true;
        self.tell(|attachment| attachment.attempt_began(attempt));
    }

    /// Decides whether the attempt after `attempts` may be made, and when.
    #[cold]
    pub(crate) fn poll_admission(&mut self, attempts: u32, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.ends().is_some_and(|ends| ends <= Instant::now()) {
            return Poll::Ready(Err(Stop::DeadlineExceeded));
        }
        let scope = self.scope.iter().flat_map(|scope| scope.attachments());
        for attachment in scope {
            match attachment.poll_admission(attempts + 1, cx) {
                Poll::Ready(Ok(())) => {}
                stopped_or_pending => return stopped_or_pending,
            }
        }
        if attempts == 0 && self.scope.is_some() && !self.take_call() {
            return Poll::Ready(Err(Stop::CallBudgetSpent));
        }
        Poll::Ready(Ok(()))
    }

    /// The next attempt is held back by the limits of its tool.
    #[cold]
    pub(crate) fn queued(&self) {
        self.tell(|attachment| attachment.queued());
    }

    /// It was held back for so long.
    #[cold]
    pub(crate) fn unqueued(&self, waited: Duration) {
        self.tell(|attachment| attachment.unqueued(waited));
    }

    #[cold]
    pub(crate) fn poll_began(&mut self) {
        self.tell(|attachment| attachment.poll_began());
    }

    /// Tells whether an error of the tool is the doing of whoever called it.
    #[cold]
    pub(crate) fn is_to_blame(&self) -> bool {
        self.attachments().any(Attachment::is_to_blame)
    }

    #[cold]
    pub(crate) fn poll_ended(&mut self) {
        self.tell(|attachment| attachment.poll_ended());
    }

    /// Reports the end of an attempt, and what was decided to follow it. A retry that is denied becomes a stop.
    #[cold]
    pub(crate) fn after_attempt(&mut self, end: AttemptEnd, decision: Decision) -> Decision {
        self.attempt_ended(Some(end));
        match decision {
            Decision::Retry { .. } if !self.take_retry() => Decision::Stop(Stop::RetryBudgetSpent),
            decision => decision,
        }
    }

    #[cold]
    pub(crate) fn retry_scheduled(&self, retry: &Retry<'_>) {
        self.tell(|attachment| attachment.retry_scheduled(retry));
    }

    /// Takes a call from everything around it, or from nothing, once.
    fn take_call(&mut self) -> bool {
        self.has_call = self.has_call || self.take(|one| one.take_call(), |one| one.return_call());
        self.has_call
    }

    /// Takes a retry from everything around the call, or from nothing.
    fn take_retry(&mut self) -> bool {
        self.owes_retry = self.take(|one| one.take_retry(), |one| one.return_retry());
        self.owes_retry
    }

    fn take(&self, take: impl Fn(&dyn Attachment) -> bool, put_back: impl Fn(&dyn Attachment)) -> bool {
        for (granted, attachment) in self.attachments().enumerate() {
            if !take(attachment) {
                self.attachments().take(granted).for_each(put_back);
                return false;
            }
        }
        true
    }

    fn attempt_ended(&mut self, end: Option<AttemptEnd>) {
        if std::mem::take(&mut self.is_attempt_under_way) {
            self.tell(|attachment| attachment.attempt_ended(self.attempts, end));
        }
    }

    /// Reports the end of the call. One that is dropped before reports that by itself.
    #[cold]
    pub(crate) fn leave(mut self, end: &CallEnd<'_>) {
        self.report(end);
        self.has_left = true;
    }

    fn report(&mut self, end: &CallEnd<'_>) {
        // Of an attempt that has not been reported yet: a success, or one that the end of the call cuts.
        let success = AttemptEnd::Returned(Verdict::Success);
        self.attempt_ended((end.stop == Stop::Succeeded).then_some(success));
        if std::mem::take(&mut self.owes_retry) {
            self.tell(|attachment| attachment.return_retry());
        }
        if self.attempts == 0 && std::mem::take(&mut self.has_call) {
            self.tell(|attachment| attachment.return_call());
        }
        let attachments = self.attachments();
        attachments.fold(false, |is_reported, attachment| attachment.call_ended(end, is_reported));
    }
}

impl Drop for Surroundings {
    #[cold]
    fn drop(&mut self) {
        if !self.has_left {
            self.report(&CallEnd {
                site: None,
                attempts: self.attempts,
                stop: Stop::Dropped,
                refusal: None,
                failure: None,
            });
        }
    }
}

/// What may concern a call, as far as that can be told by a look at a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    Nothing,
    /// The record of its tool, and nothing else.
    Record,
    /// Settings that an operator has given to its tool, maybe its record, and nothing else.
    Settings,
    /// Maybe a scope, an observer or a switch.
    Surroundings,
}

/// Tells what may concern a call of this function, if it is an annotated one, with this breaker.
#[inline(always)]
pub(crate) fn concern_of(site: Option<SiteRef>, breaker: &CircuitBreaker) -> Concern {
    let open = gate::all_open();
    let may_be_observed = open & gate::OBSERVERS != 0 && !observe::is_of_no_interest(site);
    let may_be_in_scope = open & gate::SCOPES != 0 && scope::is_one_polled();
    if may_be_observed || may_be_in_scope || is_under_test() {
        return Concern::Surroundings;
    }
    if open & (gate::STEERED | gate::HOLDS) != 0 {
        if open & gate::HOLDS != 0 && breaker.is_held() {
            return Concern::Surroundings;
        }
        match site.map(|site| &site.0.steering) {
            Some(steering) if !steering.may_be_set() => {}
            Some(steering) if steering.has_policy() => return Concern::Settings,
            // Of a tool that has another name in each call it is known later.
            _ => return Concern::Surroundings,
        }
    }
    match open & gate::RECORDS {
        0 => Concern::Nothing,
        _ => Concern::Record,
    }
}

/// Tells whether the caller may run in a scope.
#[inline]
pub(crate) fn is_scope_polled() -> bool {
    gate::is_open_for(gate::SCOPES) && scope::is_one_polled()
}

/// Asks whoever has to be asked whether something surrounds a call of this function.
pub(crate) fn may_surround_caller(site: Option<SiteRef>) -> bool {
    (gate::is_open_for(gate::OBSERVERS) && observe::interests(site))
        || (gate::is_open_for(gate::SCOPES) && scope::is_within_one())
        || is_under_test()
}

/// Tells whether the environment has faults for all calls.
#[cfg(feature = "faults")]
#[inline]
fn is_under_test() -> bool {
    faults::of_process().is_some()
}

#[cfg(not(feature = "faults"))]
#[inline(always)]
const fn is_under_test() -> bool {
    false
}

/// Leaves a failure to what surrounds the caller, for a tool whose return type cannot hold it; gives it back if nothing there
/// has a use for it.
#[cfg(feature = "rmcp")]
pub(crate) fn keep_unreturnable(failure: Failure) -> Result<(), Failure> {
    let Some(scope) = current() else {
        return Err(failure);
    };
    let mut attachments = scope.attachments();
    attachments
        .try_fold(failure, |failure, attachment| {
            match attachment.keep_unreturnable(failure) {
                Ok(()) => std::ops::ControlFlow::Break(()),
                Err(failure) => std::ops::ControlFlow::Continue(failure),
            }
        })
        .continue_value()
        .map_or(Ok(()), Err)
}

/// The arguments of the request around the caller, if it is a call of that tool and nobody has asked for them yet.
#[cfg(feature = "rmcp")]
pub(crate) fn claim_arguments(tool: &str) -> Option<Arc<rmcp::model::JsonObject>> {
    if !gate::is_open() {
        return None;
    }
    let scope = current()?;
    scope
        .attachments()
        .find_map(|attachment| attachment.claim_arguments(tool))
}
