//! How a call ends, and what its caller gets: from every way that leads there, a drop included.

use std::pin::Pin;

use super::owed::Owed;
use super::{CallState, Controls, Returned, nested};
use crate::breaker::{Admission, CircuitBreaker};
use crate::failure::{Detail, Failure, FailureKind, Refusal, Stop, millis};
use crate::steering;
use crate::surroundings::CallEnd;
use crate::tool::Handler;
use crate::tool::keep::{Keeps, Last};

impl<S: Controls> CallState<S> {
    /// Ends the call with a success of the first attempt, which was not written down as [begun](Self::begin_attempt), and
    /// which the record has counted as one.
    #[inline]
    pub(super) fn finish_first<R>(self: Pin<&mut Self>, owed: Owed, is_limited: bool, outcome: R) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        self.leave_place_taken_at_once(owed, is_limited);
        let this = self.project();
        this.controls.breaker().succeed_if_closed(owed.held_admission());
        this.controls.handler().finish(1, Ok(outcome), None)
    }

    /// Ends the call with a success of the attempt under way.
    #[inline(always)]
    pub(super) fn finish_successfully<R>(mut self: Pin<&mut Self>, outcome: R) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        if self.is_concerned() {
            self.as_mut().succeed_concerned();
        } else if let Some(owed) = self.as_mut().project().owed.take() {
            if let Some(admission) = owed.admission() {
                self.controls.breaker().succeed(admission);
            }
            self.count_end(owed, Stop::Succeeded);
        }
        self.controls.handler().finish(self.attempts, Ok(outcome), None)
    }

    /// Settles and reports the same where something concerns the call from outside.
    #[cold]
    fn succeed_concerned(mut self: Pin<&mut Self>) {
        if let Some(owed) = self.as_mut().project().owed.take() {
            if let Some(admission) = owed.admission() {
                succeed(self.breaker(), admission);
            }
            self.count_end(owed, Stop::Succeeded);
        }
        self.as_mut().leave_limits();
        self.leave_surroundings(Stop::Succeeded, None, None);
    }

    /// The same for an attempt that had to wait, which may have taken too long for its breaker.
    #[inline(always)]
    pub(super) fn finish_after_wait<R>(mut self: Pin<&mut Self>, outcome: R) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        if self.controls.breaker().has_slow_calls() {
            self.as_mut().settle_timed();
        }
        self.finish_successfully(outcome)
    }

    /// Ends the call with what its last attempt has left.
    pub(super) fn finish_with<R>(
        self: Pin<&mut Self>,
        stop: Stop,
        last: Last<R>,
        refusal: Option<Refusal>,
    ) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        let last = match (last, refusal) {
            (Last::Outcome(outcome), _) => Ok(outcome),
            (Last::TimedOut, _) => Err(self.failure(FailureKind::Timeout)),
            #[cfg(feature = "faults")]
            (Last::Injected, _) => Err(self.injected_failure()),
            (Last::Lost, Some(refusal)) => Err(self.failure_of(refusal)),
            (Last::Lost, None) => Err(self.failure(kind_of(stop))),
        };
        self.finish(stop, last, refusal)
    }

    /// Ends the call with a failure that the engine makes; a panic has a `message`.
    #[cold]
    pub(super) fn finish_with_failure<R>(
        self: Pin<&mut Self>,
        stop: Stop,
        kind: FailureKind,
        message: Option<String>,
    ) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        let failure = Failure {
            detail: message.map(|message| Box::new(Detail::PanicMessage(message))),
            ..self.failure(kind)
        };
        self.finish(stop, Err(failure), None)
    }

    /// Ends the call because what surrounds it lets no attempt begin.
    #[cold]
    pub(super) fn finish_unadmitted<R>(self: Pin<&mut Self>, stop: Stop) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        self.finish_with_failure(stop, kind_of(stop), None)
    }

    /// Ends the call with an outcome that is not a success, or with a failure.
    fn finish<R>(
        mut self: Pin<&mut Self>,
        stop: Stop,
        mut last: Result<R, Failure>,
        refusal: Option<Refusal>,
    ) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        match stop {
            // The caller's own doing. The tool is gone by now: a probe's slot is free no sooner.
            Stop::Cancelled => self.as_mut().release(),
            _ => self.as_mut().settle_last(),
        }
        if matches!(stop, Stop::Cancelled | Stop::Disabled)
            || self.attempts == 0
            || stop == Stop::DeadlineExceeded && self.is_run_over()
        {
            nested::note_end();
        }
        if let Err(failure) = &mut last {
            self.as_mut().complete(stop, failure);
        }
        self.as_mut().record_end(stop, last.as_ref());
        self.as_mut().leave_limits();
        if self.is_surrounded() {
            let returned = refusal.filter(|_| self.controls.handler().returns_refusals());
            let returned = returned.map(|refusal| self.failure_of(refusal));
            let failure = returned.as_ref().or(last.as_ref().err());
            self.as_mut().leave_surroundings(stop, refusal, failure);
        }
        self.controls.handler().finish(self.attempts, last, refusal)
    }

    /// Ends the call whose first attempt the breaker refused.
    #[inline]
    pub(super) fn reject<R>(mut self: Pin<&mut Self>, refusal: Refusal) -> Returned<S, R>
    where
        S::Handler: Handler<R>,
    {
        nested::note_end();
        self.as_mut().record_refusal();
        self.as_mut().leave_limits();
        if self.is_surrounded() {
            let failure = self.failure_of(refusal);
            self.as_mut()
                .leave_surroundings(Stop::Refused, Some(refusal), Some(&failure));
            return self.controls.handler().reject(refusal, || failure);
        }
        self.controls.handler().reject(refusal, || self.failure_of(refusal))
    }

    fn failure_of(&self, refusal: Refusal) -> Failure {
        Failure {
            retry_after_ms: refusal.retry_after_ms,
            ..self.failure(FailureKind::CircuitBreakerOpen {
                consecutive_failures: refusal.consecutive_failures,
                threshold: refusal.threshold,
                is_probing: refusal.is_probing,
            })
        }
    }

    /// Adds to a failure of the engine what has happened to the call and to its breaker.
    #[cold]
    fn complete(self: Pin<&mut Self>, stop: Stop, failure: &mut Failure) {
        match failure.kind {
            FailureKind::Disabled => return steering::tell_why(self.site(), failure),
            FailureKind::Overloaded { .. } | FailureKind::RateLimited { .. } => {
                return self.tell_what_holds_back(failure);
            }
            _ => {}
        }
        if let Some(used_up) = self
            .surroundings()
            .and_then(|surroundings| surroundings.tell_used_up(stop))
        {
            failure.detail = Some(Box::new(Detail::UsedUp(used_up)));
        }
        // A breaker that was open before would have refused the attempt.
        if self.attempts > 0 && failure.kind != FailureKind::Cancelled {
            failure.retry_after_ms = self.refusal().and_then(|refusal| refusal.retry_after_ms);
        }
        if let Some(rare) = self.project().rare {
            failure.last_error = rare.earlier_error.take();
        }
    }

    #[cold]
    pub(super) fn leave_surroundings(
        self: Pin<&mut Self>,
        stop: Stop,
        refusal: Option<Refusal>,
        failure: Option<&Failure>,
    ) {
        let site = self.site();
        let attempts = self.attempts;
        if let Some(surroundings) = self.around_mut().and_then(|around| around.surroundings.take()) {
            surroundings.leave(&CallEnd {
                site,
                attempts,
                stop,
                refusal,
                failure,
            });
        }
    }

    #[cold]
    pub(super) fn failure(&self, kind: FailureKind) -> Failure {
        let policy = self.policy();
        Failure {
            kind,
            tool: self.controls.name(),
            call_id: self.call_id(),
            attempts: self.attempts,
            // Further ones were not possible if there is nothing to hand to them.
            max_attempts: if self.controls.handler().has_arguments() {
                policy.max_attempts()
            } else {
                1
            },
            elapsed_ms: millis(self.elapsed()),
            timeout_ms: millis(policy.timeout),
            deadline_ms: self.deadline().map(millis),
            retry_after_ms: None,
            may_have_executed: self.attempts > 0,
            idempotent: policy.idempotent,
            last_error: None,
            detail: None,
        }
    }
}

/// Takes a success, once for all tools.
#[cold]
fn succeed(breaker: &CircuitBreaker, admission: Admission) {
    breaker.succeed(admission);
}

/// The failure that stands for the answer of a call which has none, by what ended the wait for an attempt.
fn kind_of(stop: Stop) -> FailureKind {
    match stop {
        Stop::Cancelled => FailureKind::Cancelled,
        Stop::Disabled => FailureKind::Disabled,
        // What exactly holds it back is told when the failure is complete.
        Stop::Overloaded => FailureKind::Overloaded { max_concurrent: 0 },
        Stop::RateLimited => FailureKind::RateLimited { by_dependency: false },
        Stop::CallBudgetSpent => FailureKind::CallBudgetSpent,
        _ => FailureKind::DeadlineExceeded,
    }
}
