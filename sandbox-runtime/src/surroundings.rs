//! [`Surroundings`]: everything that is attached to a call, behind the [gate](crate::gate).
//!
//! A call enters its surroundings once, by one look-up, and keeps them wherever it is polled. It reports to them what happens
//! to it; which attachments there are, and what they do with that, it does not know. An attachment is a file in this folder, or
//! beside what it serves, that implements [`Attachment`].

pub(crate) mod budget;
pub(crate) mod report;
mod scope;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{AttemptEnd, Decision, DelaySource, Failure, Refusal, Stop};
use crate::verdict::Verdict;

pub(crate) use scope::{Scope, attach, current};

/// Something that surrounds calls and takes part in them. Every method has a default: an attachment implements those that
/// concern it. None of them may block, and none is called while a lock of the engine is held.
pub(crate) trait Attachment: Debug + Send + Sync {
    /// When all calls inside are over.
    fn ends(&self) -> Option<Instant> {
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

    /// The attempt has ended; without an end if its call was cancelled or dropped.
    fn attempt_ended(&self, _attempt: u32, _end: Option<AttemptEnd>) {}

    /// Takes a retry from what the attachment allows; `false` if nothing is left.
    fn take_retry(&self) -> bool {
        true
    }

    /// Takes back a retry that was granted and not made.
    fn return_retry(&self) {}

    /// A retry has been granted by everything around the call, and its delay begins.
    fn retry_scheduled(&self, _delay: Duration, _from: DelaySource) {}

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
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct CallEnd<'a> {
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
    scope: Arc<Scope>,
    /// Whether a retry was taken that has not been made.
    owes_retry: bool,
    /// Attempts begun since the call came here, counted with those before.
    attempts: u32,
    is_attempt_under_way: bool,
    has_left: bool,
}

impl Surroundings {
    /// Looks up what surrounds the caller; `None` if nothing concerns this call.
    #[cold]
    pub(crate) fn enter() -> Option<Surroundings> {
        Some(Surroundings {
            scope: current()?,
            owes_retry: false,
            attempts: 0,
            is_attempt_under_way: false,
            has_left: false,
        })
    }

    /// When everything around the call is over.
    pub(crate) fn ends(&self) -> Option<Instant> {
        self.scope.ends()
    }

    #[cold]
    pub(crate) fn attempt_began(&mut self, attempt: u32) {
        self.owes_retry = false;
        self.attempts = attempt;
        self.is_attempt_under_way = true;
        for attachment in self.scope.attachments() {
            attachment.attempt_began(attempt);
        }
    }

    /// Decides whether the attempt after `attempts` may be made, and when.
    #[cold]
    pub(crate) fn poll_admission(&mut self, attempts: u32, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.ends().is_some_and(|ends| ends <= Instant::now()) {
            return Poll::Ready(Err(Stop::DeadlineExceeded));
        }
        for attachment in self.scope.attachments() {
            match attachment.poll_admission(attempts + 1, cx) {
                Poll::Ready(Ok(())) => {}
                stopped_or_pending => return stopped_or_pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    #[cold]
    pub(crate) fn poll_began(&self) {
        self.scope.attachments().for_each(Attachment::poll_began);
    }

    #[cold]
    pub(crate) fn poll_ended(&self) {
        self.scope.attachments().for_each(Attachment::poll_ended);
    }

    /// Reports the end of an attempt, and what was decided to follow it. A retry that is denied becomes a stop.
    #[cold]
    pub(crate) fn after_attempt(&mut self, end: AttemptEnd, decision: Decision) -> Decision {
        self.attempt_ended(Some(end));
        let Decision::Retry { delay, from } = decision else {
            return decision;
        };
        if !self.take_retry() {
            return Decision::Stop(Stop::RetryBudgetSpent);
        }
        for attachment in self.scope.attachments() {
            attachment.retry_scheduled(delay, from);
        }
        decision
    }

    /// Takes a retry from everything around the call, or from nothing.
    fn take_retry(&mut self) -> bool {
        for (granted, attachment) in self.scope.attachments().enumerate() {
            if !attachment.take_retry() {
                let granting = self.scope.attachments().take(granted);
                granting.for_each(Attachment::return_retry);
                return false;
            }
        }
        self.owes_retry = true;
        true
    }

    fn attempt_ended(&mut self, end: Option<AttemptEnd>) {
        if std::mem::take(&mut self.is_attempt_under_way) {
            for attachment in self.scope.attachments() {
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
            self.scope.attachments().for_each(Attachment::return_retry);
        }
        let attachments = self.scope.attachments();
        attachments.fold(false, |is_reported, attachment| attachment.call_ended(end, is_reported));
    }
}

impl Drop for Surroundings {
    #[cold]
    fn drop(&mut self) {
        if !self.has_left {
            self.report(&CallEnd {
                attempts: self.attempts,
                stop: Stop::Dropped,
                refusal: None,
                failure: None,
            });
        }
    }
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
