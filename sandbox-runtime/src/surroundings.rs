//! [`Surroundings`]: everything that is attached to a call, behind the [gate](crate::gate).
//!
//! A call enters its surroundings once, by one look-up, and keeps them wherever it is polled. It reports to them what happens
//! to it; which attachments there are, and what they do with that, it does not know. An attachment is a file in this folder, or
//! beside what it serves, that implements [`Attachment`].

pub(crate) mod budget;
mod observers;
pub(crate) mod report;
mod scope;
#[cfg(test)]
mod tests;

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::current::CallId;
use crate::failure::{AttemptEnd, Decision, DelaySource, Failure, Refusal, Stop};
use crate::gate;
use crate::observe::{self, ObservedTool, Observer, ServedRequest};
use crate::site::SiteRef;
use crate::verdict::Verdict;

use observers::CallObservers;
pub(crate) use scope::{InScope, Scope, attach, current, inherit};

/// Something that surrounds calls and takes part in them. Every method has a default: an attachment implements those that
/// concern it. None of them may block, and none is called while a lock of the engine is held.
pub(crate) trait Attachment: Debug + Send + Sync {
    /// When all calls inside are over. It may be moved to a later time.
    fn ends(&self) -> Option<Instant> {
        None
    }

    /// Resolves when all calls inside are cancelled; `None` if that never happens.
    fn cancelled(&self) -> Option<Cancelled> {
        None
    }

    /// Decides whether an attempt may be made, counted from 1, and when. A reason why not ends the call.
    fn poll_admission(&self, _attempt: u32, _cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        Poll::Ready(Ok(()))
    }

    /// An attempt begins.
    fn attempt_began(&self, _attempt: u32) {}

    /// The call is about to be polled, and with it its tool.
    fn poll_began(&self) {}

    /// The poll is over, and the call has not ended in it.
    fn poll_ended(&self) {}

    /// An observer of the calls inside.
    fn observer(&self) -> Option<&Arc<dyn Observer>> {
        None
    }

    /// The request of a client that a call of this function answers, for its span: once, because there is one such call.
    fn claim_request(&self, _function: &str, _is_served: bool) -> Option<ServedRequest> {
        None
    }

    /// Tells whether an error that the tool returns in this poll is the doing of whoever called it.
    fn is_to_blame(&self) -> bool {
        false
    }

    /// The attempt has ended; without an end if its call was cancelled or dropped.
    fn attempt_ended(&self, _attempt: u32, _end: Option<AttemptEnd>) {}

    /// Takes a retry from what the attachment allows; `false` if nothing is left.
    fn take_retry(&self) -> bool {
        true
    }

    /// Takes back a retry that was granted and not made.
    fn return_retry(&self) {}

    /// A retry has been granted by everything around the call, and its delay begins.
    fn retry_scheduled(&self, _retry: &Retry<'_>) {}

    /// A call has ended. `is_reported` tells whether an attachment closer to the call has reported that to its caller;
    /// returns the same for those further out.
    fn call_ended(&self, _end: &CallEnd<'_>, is_reported: bool) -> bool {
        is_reported
    }

    /// Keeps a failure that the return type of its tool cannot hold; gives it back if the attachment has no use for it.
    #[cfg(feature = "rmcp")]
    fn keep_unreturnable(&self, failure: Failure) -> Result<(), Failure> {
        Err(failure)
    }

    /// The arguments of the request that a client has made, for the tool of that name: once, because they are those of one call.
    #[cfg(feature = "rmcp")]
    fn claim_arguments(&self, _tool: &str) -> Option<Arc<rmcp::model::JsonObject>> {
        None
    }
}

/// Resolves when a call is cancelled. `Sync`, because calls are.
pub(crate) type Cancelled = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A retry whose delay begins.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "rmcp"),
    expect(dead_code, reason = "only a server tells its client of retries")
)]
pub(crate) struct Retry<'a> {
    pub(crate) tool: &'static str,
    pub(crate) site: Option<SiteRef>,
    /// The attempt that has ended, counted from 1.
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    /// How it ended.
    pub(crate) end: AttemptEnd,
    /// What it returned, as far as that is a text.
    pub(crate) error: Option<&'a str>,
    /// How long an attempt may take.
    pub(crate) limit: Duration,
    pub(crate) delay: Duration,
    pub(crate) from: DelaySource,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct CallEnd<'a> {
    #[cfg_attr(not(feature = "rmcp"), expect(dead_code, reason = "only a server names tools"))]
    pub(crate) site: Option<SiteRef>,
    pub(crate) attempts: u32,
    pub(crate) stop: Stop,
    /// Set when the breaker refused an attempt, the first or a further one, and by that ended the call.
    pub(crate) refusal: Option<Refusal>,
    /// Set when the engine returned something for the tool.
    pub(crate) failure: Option<&'a Failure>,
}

/// What surrounds one call.
#[derive(Debug)]
pub(crate) struct Surroundings {
    scope: Option<Arc<Scope>>,
    observers: Option<Box<CallObservers>>,
    /// Whether a retry was taken that has not been made.
    owes_retry: bool,
    /// Attempts begun since the call came here, counted with those before.
    attempts: u32,
    is_attempt_under_way: bool,
    has_left: bool,
    /// What cancels the call; set when it first has to know.
    cancellation: Option<Cancellation>,
}

/// Whatever cancels a call first.
struct Cancellation(Vec<Cancelled>);

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation").field(&self.0.len()).finish()
    }
}

impl Surroundings {
    /// Looks up what surrounds the caller of a tool; `None` if nothing concerns this call. Of a call that began elsewhere, whose
    /// `tool` is not given, nobody becomes an observer.
    #[cold]
    pub(crate) fn enter(tool: Option<ObservedTool>) -> Option<Surroundings> {
        let scope = current();
        let observers = tool.and_then(|tool| CallObservers::of(scope.as_deref(), tool));
        if scope.is_none() && observers.is_none() {
            return None;
        }
        Some(Surroundings {
            scope,
            observers: observers.map(Box::new),
            owes_retry: false,
            attempts: 0,
            is_attempt_under_way: false,
            has_left: false,
            cancellation: None,
        })
    }

    /// Resolves when something around the call is cancelled.
    #[cold]
    pub(crate) fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

    /// From the closest to the outermost, and then those who only observe.
    fn attachments(&self) -> impl Iterator<Item = &dyn Attachment> {
        let scope = self.scope.iter().flat_map(|scope| scope.attachments());
        let observers = self.observers.as_deref().map(|observers| observers as &dyn Attachment);
        scope.chain(observers)
    }

    /// When everything around the call is over.
    pub(crate) fn ends(&self) -> Option<Instant> {
        self.scope.as_ref()?.ends()
    }

    #[cold]
    pub(crate) fn attempt_began(&mut self, attempt: u32) {
        self.owes_retry = false;
        self.attempts = attempt;
        self.is_attempt_under_way = true;
        for attachment in self.attachments() {
            attachment.attempt_began(attempt);
        }
    }

    /// Decides whether the attempt after `attempts` may be made, and when.
    #[cold]
    pub(crate) fn poll_admission(&mut self, attempts: u32, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.ends().is_some_and(|ends| ends <= Instant::now()) {
            return Poll::Ready(Err(Stop::DeadlineExceeded));
        }
        for attachment in self.attachments() {
            match attachment.poll_admission(attempts + 1, cx) {
                Poll::Ready(Ok(())) => {}
                stopped_or_pending => return stopped_or_pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    #[cold]
    pub(crate) fn poll_began(&self) {
        self.attachments().for_each(Attachment::poll_began);
    }

    /// Tells whether an error of the tool is the doing of whoever called it.
    #[cold]
    pub(crate) fn is_to_blame(&self) -> bool {
        self.attachments().any(Attachment::is_to_blame)
    }

    #[cold]
    pub(crate) fn poll_ended(&self) {
        self.attachments().for_each(Attachment::poll_ended);
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
        for attachment in self.attachments() {
            attachment.retry_scheduled(retry);
        }
    }

    /// Takes a retry from everything around the call, or from nothing.
    fn take_retry(&mut self) -> bool {
        for (granted, attachment) in self.attachments().enumerate() {
            if !attachment.take_retry() {
                let granting = self.attachments().take(granted);
                granting.for_each(Attachment::return_retry);
                return false;
            }
        }
        self.owes_retry = true;
        true
    }

    fn attempt_ended(&mut self, end: Option<AttemptEnd>) {
        if std::mem::take(&mut self.is_attempt_under_way) {
            for attachment in self.attachments() {
                attachment.attempt_ended(self.attempts, end);
            }
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
            self.attachments().for_each(Attachment::return_retry);
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
    /// Maybe a scope, an observer or a switch.
    Surroundings,
}

/// Tells what may concern a call of this function, if it is an annotated one.
#[inline(always)]
pub(crate) fn concern_of(site: Option<SiteRef>) -> Concern {
    let open = gate::all_open();
    let may_be_observed = open & gate::OBSERVERS != 0 && !observe::is_of_no_interest(site);
    if may_be_observed || is_scope_polled() {
        return Concern::Surroundings;
    }
    match open & (gate::RECORDS | gate::SWITCHES) {
        0 => Concern::Nothing,
        gate::RECORDS => Concern::Record,
        _ if site.is_none_or(|site| site.0.switch.may_be_off()) => Concern::Surroundings,
        // Also if there is none to write: it is looked up once more.
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

/// The observers of the scope that the caller runs in.
pub(crate) fn observers_around() -> Vec<Arc<dyn Observer>> {
    let scope = current();
    let observers = scope.iter().flat_map(|scope| scope.attachments());
    observers.filter_map(Attachment::observer).cloned().collect()
}
