//! [`CallState`]: what a call has to remember, and how its attempts are admitted and settled.

use std::panic::UnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::Controls;
use super::current::{CallId, Limit, Polled};
use super::guard::guard;
use super::marks::{Circumstances, Mark, mark};
use super::owed::Owed;
use super::rare::Rare;
use super::retry::{Situation, decide};
use crate::breaker::{Admission, Fault, ProbeScope};
use crate::clock::Moment;
use crate::failure::{AttemptEnd, Decision, DelaySource, Refusal, Stop};
use crate::policy::Policy;
use crate::surroundings::{Retry, Surroundings};
use crate::tool::Handler;
use crate::tool::keep::Last;
use crate::verdict::Verdict;

pin_project! {
    /// What a call has to remember from poll to poll, beside its attempt.
    #[derive(Debug)]
    pub struct CallState<S> where S: Controls {
        #[pin]
        pub(super) controls: S,
        // The admission is that of the attempt under way, or of the one that is about to begin.
        pub(super) owed: Option<Owed>,
        // Attempts begun.
        pub(super) attempts: u32,
        // When the call began, if it has a deadline; otherwise when it first had to wait. A call without a deadline whose
        // tool is ready at once reads no clock.
        pub(super) started: Option<Moment>,
        // The only timer of a call: the limit of the running tool, armed when it first has to wait; later the delay before the
        // next attempt.
        #[pin]
        pub(super) timer: Option<Sleep>,
        pub(super) rare: Option<Box<Rare>>,
    }

    impl<S: Controls> PinnedDrop for CallState<S> {
        fn drop(this: Pin<&mut Self>) {
            if this.owed.is_some() {
                this.drop_owing();
            }
        }
    }
}

/// By hand, because what surrounds a call has locks, those of the engine, under which no code of the user runs; and because a
/// timer of tokio is not: nobody sees it after a panic, and none of its own code is the user's.
impl<S: Controls + UnwindSafe> UnwindSafe for CallState<S> {}

impl<S: Controls> CallState<S> {
    #[inline(always)]
    pub(crate) fn new(controls: S) -> Self {
        CallState {
            controls,
            owed: None,
            attempts: 0,
            started: None,
            timer: None,
            rare: None,
        }
    }

    #[inline]
    pub(super) fn admission(&self) -> Option<Admission> {
        self.owed?.admission()
    }

    #[inline]
    pub(super) fn set_admission(self: Pin<&mut Self>, admission: Option<Admission>) {
        let is_recorded = self.is_recorded();
        *self.project().owed = Owed::new(admission, is_recorded);
    }

    #[inline]
    fn take_admission(self: Pin<&mut Self>) -> Option<Admission> {
        let admission = self.admission();
        self.set_admission(None);
        admission
    }

    /// Tells whether the attempt that is about to begin has been admitted.
    pub(super) fn is_admitted(&self) -> bool {
        self.admission().is_some()
    }

    /// Resolves when the call has been cancelled.
    #[inline]
    pub(super) fn poll_cancelled(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.as_mut().project().controls.poll_cancelled(cx) {
            Poll::Pending if self.is_surrounded() => self.poll_cancelled_around(cx),
            poll => poll,
        }
    }

    /// Tells whether anything is known to surround the call.
    #[inline]
    pub(super) fn is_surrounded(&self) -> bool {
        self.surroundings().is_some()
    }

    /// Resolves when what surrounds the call has been cancelled.
    pub(super) fn poll_cancelled_around(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.surroundings_mut() {
            Some(surroundings) => surroundings.poll_cancelled(cx),
            None => Poll::Pending,
        }
    }

    /// Encloses a poll of the tool, if the attempt under way is a probe.
    #[inline]
    pub(super) fn probe_scope(&self) -> Option<ProbeScope> {
        let probe = self.admission().filter(|admission| admission.is_probe());
        probe.map(|probe| self.breaker().probe_scope(probe))
    }

    /// What the tool may know of the attempt that is about to be polled.
    #[inline]
    pub(super) fn polled(&self) -> Polled {
        let first = Polled::first(&self.controls.policy());
        Polled {
            call_id: self.rare.as_ref().and_then(|rare| rare.call_id),
            number: self.attempts,
            limit: match &self.timer {
                Some(timer) => Limit::At(timer.deadline()),
                None if !self.is_concerned() => first.limit,
                None => self.limit_within_surroundings(),
            },
            lost_answer: self.lost_answer(),
        }
    }

    #[cold]
    fn limit_within_surroundings(&self) -> Limit {
        Limit::Within(self.policy().timeout.min(self.time_left().unwrap_or(Duration::MAX)))
    }

    /// The id of the call: the one that the tool has asked for, if it did.
    pub(super) fn call_id(&self) -> CallId {
        let asked = self.rare.as_ref().and_then(|rare| rare.call_id);
        asked.unwrap_or_else(CallId::new)
    }

    /// Keeps the id that the tool has asked for.
    #[inline]
    pub(super) fn keep_call_id(self: Pin<&mut Self>, call_id: Option<CallId>) {
        if let Some(call_id) = call_id {
            self.keep_new_call_id(call_id);
        }
    }

    #[cold]
    fn keep_new_call_id(self: Pin<&mut Self>, call_id: CallId) {
        self.project().rare.get_or_insert_default().call_id = Some(call_id);
    }

    /// Tells whether an error that the tool returns now is the doing of whoever called it.
    #[inline]
    pub(super) fn is_caller_to_blame(&self) -> bool {
        self.surroundings().is_some_and(Surroundings::is_to_blame)
    }

    /// Reports the end of the attempt under way, which was not a success, to the breaker. An error that may be retried keeps its
    /// admission: should the call end with it, it counts for the state in which it was admitted.
    #[inline]
    pub(super) fn settle(self: Pin<&mut Self>, end: AttemptEnd, counts_attempts: bool) {
        let Some(admission) = self.admission() else {
            return;
        };
        let circumstances = Circumstances {
            is_probe: admission.is_probe(),
            counts_attempts,
            is_cut_short: end == AttemptEnd::TimedOut && (self.is_run_over() || self.is_cut_after_queue()),
        };
        match mark(end, circumstances) {
            Mark::Now => self.breaker().fail(admission, end.fault()),
            Mark::Never => self.breaker().release(admission),
            Mark::AtTheEnd => return,
        }
        self.set_admission(None);
    }

    /// Leaves the mark of the error with which the call ends, if it has not been left yet.
    #[inline]
    pub(super) fn settle_last(mut self: Pin<&mut Self>) {
        if let Some(admission) = self.as_mut().take_admission() {
            self.breaker().fail(admission, Fault::Error);
        }
    }

    /// Reports the success of the attempt under way to the breaker, with how long it took since it first had to wait.
    #[cold]
    pub(super) fn settle_timed(mut self: Pin<&mut Self>) {
        let wait = self.rare.as_ref().and_then(|rare| rare.wait);
        if let Some(wait) = wait
            && let Some(admission) = self.as_mut().take_admission()
        {
            self.breaker().succeed_after(admission, wait.began.elapsed());
        }
    }

    /// Frees the slot of a probe whose attempt came to nothing: nothing is counted.
    #[cold]
    pub(super) fn release(mut self: Pin<&mut Self>) {
        if let Some(admission) = self.as_mut().take_admission() {
            self.breaker().release(admission);
        }
    }

    /// Tells whether the tool can be run again after this end of an attempt whatever it has done: because it is idempotent, or
    /// because its outcome says that it has done nothing.
    #[inline]
    pub(super) fn is_safe_to_retry<R>(&self, end: AttemptEnd, last: &Last<R>) -> Result<bool, String>
    where
        S::Handler: Handler<R>,
    {
        match (end, last) {
            _ if self.setting(|policy| policy.idempotent) => Ok(true),
            (AttemptEnd::Returned(Verdict::Retry { .. }), Last::Outcome(outcome)) => {
                guard(|| self.controls.handler().is_safe_to_retry(outcome))
            }
            // The tool has not run.
            #[cfg(feature = "faults")]
            (_, Last::Injected) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Decides what follows an attempt that did not succeed, and reports both to the surroundings, which may deny a retry. A
    /// refusal comes with the decision that it caused.
    pub(super) fn decide(
        self: Pin<&mut Self>,
        end: AttemptEnd,
        is_safe: bool,
        has_arguments: bool,
    ) -> (Decision, Option<Refusal>) {
        if let AttemptEnd::Returned(Verdict::Retry { after: Some(after) }) = end {
            self.breaker().hold(after);
        }
        let refusal = self.refusal();
        let mut situation = Situation {
            attempts: self.attempts,
            time_left: self.time_left(),
            is_breaker_open: refusal.is_some(),
            is_safe,
            has_arguments,
            random: 0,
        };
        let mut decision = match self.overridden() {
            None => {
                let policy = self.controls.policy();
                situation.random = policy.random_for(self.attempts);
                decide(&policy, end, &situation)
            }
            Some(policy) => decide_overridden(policy, end, situation),
        };
        if let Some(surroundings) = self.surroundings_mut() {
            decision = surroundings.after_attempt(end, decision);
        }
        let refusal = refusal.filter(|_| decision == Decision::Stop(Stop::BreakerOpened));
        (decision, refusal)
    }

    /// Tells whether another attempt may follow the one under way.
    #[inline]
    pub(super) fn retry_possible(&self) -> bool {
        self.attempts < self.setting(Policy::max_attempts)
    }

    /// Keeps what a later failure is to report of what the last attempt has left. Most handlers have no text, which the compiler
    /// sees. It is written by code of the user: if that panics, so has the tool.
    #[inline]
    pub(super) fn keep_text<R>(self: Pin<&mut Self>, last: &Last<R>) -> Result<(), String>
    where
        S::Handler: Handler<R>,
    {
        #[cfg(feature = "faults")]
        if let Last::Injected = last {
            self.project().rare.get_or_insert_default().earlier_error = Some(crate::faults::REASON.into());
            return Ok(());
        }
        if let Last::Outcome(outcome) = last
            && let Some(text) = self.text_of(outcome)?
        {
            self.project().rare.get_or_insert_default().earlier_error = Some(text.into());
        }
        Ok(())
    }

    /// What the handler has to say of an outcome: by code of the user, which may panic.
    pub(super) fn text_of<R>(&self, outcome: &R) -> Result<Option<String>, String>
    where
        S::Handler: Handler<R>,
    {
        guard(|| self.controls.handler().text(outcome))
    }

    /// Reports a retry to the surroundings: its delay begins.
    #[inline]
    pub(super) fn retry_scheduled(&self, end: AttemptEnd, delay: Duration, from: DelaySource) {
        if self.is_surrounded() {
            self.report_retry(end, delay, from);
        }
    }

    #[cold]
    fn report_retry(&self, end: AttemptEnd, delay: Duration, from: DelaySource) {
        let (tool, site) = (self.controls.name(), self.site());
        let (policy, attempt) = (self.policy(), self.attempts);
        if let Some(surroundings) = self.surroundings() {
            surroundings.retry_scheduled(&Retry {
                tool,
                site,
                attempt,
                max_attempts: policy.max_attempts(),
                end,
                error: self.rare.as_ref().and_then(|rare| rare.earlier_error.as_deref()),
                limit: policy.timeout,
                delay,
                from,
            });
        }
    }
}

/// The same decision by a policy that the compiler does not know: once for all tools.
#[cold]
#[inline(never)]
fn decide_overridden(policy: &Policy, end: AttemptEnd, mut situation: Situation) -> Decision {
    situation.random = policy.random_for(situation.attempts);
    decide(policy, end, &situation)
}
