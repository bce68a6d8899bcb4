//! [`Call`]: one sandboxed call as a future: what it has to remember, its fast path and its slow path.
//!
//! Outer to inner: cancellation and deadline, retry, breaker, time limit, tool.

mod attempt;
mod controls;
mod deadline;
mod end;
mod lent;
mod retry;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use attempt::{Attempt, PollEnd};
use retry::{Situation, decide};

pub use controls::{CallControls, Controls};
pub use lent::LentAttempt;

use crate::breaker::Admission;
use crate::clock::Moment;
use crate::failure::{AttemptEnd, Decision, Refusal, Stop};
use crate::gate;
use crate::surroundings::Surroundings;
use crate::tool::{Function, Handler};
use crate::verdict::Verdict;

/// What the caller of a call gets.
type Returned<S, R> = <<S as Controls>::Handler as Handler<R>>::Returned;

pin_project! {
    /// The future of a call.
    // By hand and not an `async` block, which would keep the parts twice: as it was given them, and pinned.
    pub(crate) struct Call<S, F, T: Future> where S: Controls {
        // Before the state, which drops the admission: the slot of a probe is free once the tool is gone, not before.
        #[pin]
        attempt: Attempt<T, T::Output>,
        function: F,
        #[pin]
        state: CallState<S>,
    }
}

impl<S: Controls, F, T: Future> Call<S, F, T> {
    #[inline(always)]
    pub(crate) fn new(controls: S, function: F) -> Self {
        Call {
            state: CallState::new(controls),
            function,
            attempt: Attempt::new(false),
        }
    }
}

impl<S, F, T> Future for Call<S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: Function<Attempt = T>,
    T: Future,
{
    type Output = Returned<S, T::Output>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let end = match self.attempt.is_new() {
            true => match self.as_mut().poll_first(cx) {
                Ok(returned) => return Poll::Ready(returned),
                Err(end) => Some(end),
            },
            false => None,
        };
        // Through a reference: a function that returned it would write to where this function's result is, and so keep what
        // `poll_first` returns out of registers. That took five nanoseconds.
        let mut returned = None;
        match self.state.rare {
            None => self.poll_resumed(end, cx, &mut returned),
            Some(_) => self.poll_surrounded(end, cx, &mut returned),
        }
        match returned {
            Some(returned) => Poll::Ready(returned),
            None => Poll::Pending,
        }
    }
}

impl<S, F, T> Call<S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: Function<Attempt = T>,
    T: Future,
{
    /// The fast path: the whole of a call that nothing surrounds, whose breaker is closed and whose tool succeeds at once. What
    /// it costs is memory written: so the admission and the number of the attempt are not, until it turns out otherwise.
    #[inline(always)]
    fn poll_first(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<Returned<S, T::Output>, PollEnd<T::Output>> {
        let mut this = self.project();
        if this.state.as_mut().poll_cancelled(cx).is_ready() {
            return Err(PollEnd::Cancelled);
        }
        let Some(admission) = this.state.as_mut().admit_if_simple() else {
            return Err(PollEnd::NotAdmitted);
        };
        let retry_possible = this.state.retry_possible_after(1);
        let begin = || this.function.begin(retry_possible);
        match this.attempt.start(this.state.controls.handler(), begin, cx) {
            Ok(outcome) => Ok(this.state.finish_first(admission, outcome)),
            Err(end) => {
                this.state.note_first_attempt(admission);
                Err(end)
            }
        }
    }

    /// The slow path of a call that something surrounds.
    #[cold]
    fn poll_surrounded(
        mut self: Pin<&mut Self>,
        end: Option<PollEnd<T::Output>>,
        cx: &mut Context<'_>,
        returned: &mut Option<Returned<S, T::Output>>,
    ) {
        self.as_mut().project().state.poll_began();
        self.as_mut().poll_resumed(end, cx, returned);
        self.project().state.poll_ended();
    }

    /// The slow path: every call that does not succeed on its first poll, which ended with `end`.
    #[inline(never)]
    fn poll_resumed(
        self: Pin<&mut Self>,
        mut end: Option<PollEnd<T::Output>>,
        cx: &mut Context<'_>,
        returned: &mut Option<Returned<S, T::Output>>,
    ) {
        let mut this = self.project();
        if end.is_none() {
            // The first poll has looked for surroundings by itself.
            this.state.as_mut().enter_surroundings();
        }
        loop {
            match this.attempt.as_mut().poll(this.state.as_mut(), end, cx) {
                Poll::Pending => return,
                Poll::Ready(ControlFlow::Break(value)) => {
                    *returned = Some(value);
                    return;
                }
                Poll::Ready(ControlFlow::Continue(())) => {}
            }
            let retry_possible = this.state.retry_possible();
            let begin = || this.function.begin(retry_possible);
            match this.attempt.as_mut().start(this.state.controls.handler(), begin, cx) {
                Ok(outcome) => {
                    *returned = Some(this.state.finish_successfully(outcome));
                    return;
                }
                Err(other) => end = Some(other),
            }
        }
    }
}

pin_project! {
    /// What a call has to remember from poll to poll, beside its attempt.
    #[derive(Debug)]
    pub struct CallState<S> where S: Controls {
        #[pin]
        controls: S,
        // For the attempt under way, or for the one that is about to begin.
        admission: Option<Admission>,
        // Attempts begun.
        attempts: u32,
        // When the call began, if it has a deadline; otherwise when it first had to wait. A call without a deadline whose
        // tool is ready at once reads no clock.
        started: Option<Moment>,
        rare: Option<Box<Rare>>,
    }

    impl<S: Controls> PinnedDrop for CallState<S> {
        fn drop(this: Pin<&mut Self>) {
            if this.admission.is_some() {
                this.release();
            }
        }
    }
}

/// What few calls have.
#[derive(Debug, Default)]
struct Rare {
    surroundings: Option<Surroundings>,
    /// The text of the last error that a retry followed.
    earlier_error: Option<String>,
}

impl<S: Controls> CallState<S> {
    #[inline(always)]
    pub(crate) fn new(controls: S) -> Self {
        CallState {
            controls,
            admission: None,
            attempts: 0,
            started: None,
            rare: None,
        }
    }

    /// Tells whether the attempt that is about to begin has been admitted.
    fn is_admitted(&self) -> bool {
        self.admission.is_some()
    }

    /// Resolves when the call has been cancelled.
    #[inline]
    fn poll_cancelled(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().controls.poll_cancelled(cx)
    }

    /// Asks a closed breaker for the first attempt of a call that nothing surrounds, and leaves it to the caller to
    /// [write it down](Self::note_first_attempt).
    #[inline]
    fn admit_if_simple(mut self: Pin<&mut Self>) -> Option<Admission> {
        if gate::is_open() && self.as_mut().find_surroundings() {
            return None;
        }
        let admission = self.controls.breaker().request_if_closed()?;
        self.start_clock();
        Some(admission)
    }

    /// Asks what surrounds the call for leave to make an attempt; ready at once where nothing does.
    #[inline]
    fn poll_admission(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let this = self.project();
        match surroundings_in(this.rare) {
            Some(surroundings) => surroundings.poll_admission(*this.attempts, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Asks the breaker for the first attempt. Further ones have been asked for when their delay was over.
    fn admit<R>(self: Pin<&mut Self>) -> Result<(), Returned<S, R>>
    where
        S::Handler: Handler<R>,
    {
        match self.controls.breaker().request(self.policy().timeout) {
            Ok(admission) => {
                self.begin_attempt(admission);
                Ok(())
            }
            Err(refusal) => Err(self.reject(refusal)),
        }
    }

    /// Asks the breaker for a further attempt; `outcome` is that of the last one, `None` if it timed out.
    fn admit_retry<R>(mut self: Pin<&mut Self>, outcome: Option<R>) -> Result<(), Returned<S, R>>
    where
        S::Handler: Handler<R>,
    {
        // A timer may wake late, and an attempt that would be cut at its first wait is better not begun.
        if self.time_left().is_some_and(|left| left.is_zero()) {
            return Err(self.finish_with(Stop::NoTimeLeft, outcome, None));
        }
        match self.controls.breaker().request(self.policy().timeout) {
            Ok(admission) => {
                // Before the code of the user that displays an error: should that panic, the slot of the probe is released.
                self.as_mut().begin_attempt(admission);
                if let Some(outcome) = &outcome {
                    self.keep_earlier_error(outcome);
                }
                Ok(())
            }
            Err(refusal) => Err(self.finish_with(Stop::BreakerOpened, outcome, Some(refusal))),
        }
    }

    /// Writes down the first attempt of a call that nothing surrounds.
    #[inline]
    fn note_first_attempt(self: Pin<&mut Self>, admission: Admission) {
        let this = self.project();
        *this.admission = Some(admission);
        *this.attempts = 1;
    }

    /// Begins the attempt that has been admitted.
    #[inline]
    fn begin_attempt(self: Pin<&mut Self>, admission: Admission) {
        let this = self.project();
        *this.admission = Some(admission);
        // Cannot overflow: there are at most `max_attempts`.
        *this.attempts += 1;
        if let Some(surroundings) = surroundings_in(this.rare) {
            surroundings.attempt_began(*this.attempts);
        }
    }

    fn poll_began(self: Pin<&mut Self>) {
        if let Some(surroundings) = surroundings_in(self.project().rare) {
            surroundings.poll_began();
        }
    }

    fn poll_ended(self: Pin<&mut Self>) {
        if let Some(surroundings) = surroundings_in(self.project().rare) {
            surroundings.poll_ended();
        }
    }

    /// Reports to the breaker the end of the attempt under way, which was not a success.
    #[inline]
    fn settle(self: Pin<&mut Self>, end: AttemptEnd) {
        let this = self.project();
        if let Some(admission) = this.admission.take() {
            match end.verdict() {
                Verdict::Ignore => this.controls.breaker().release(admission),
                _ => this.controls.breaker().fail(admission),
            }
        }
    }

    /// Frees the slot of a probe whose attempt came to nothing: nothing is counted.
    #[cold]
    fn release(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(admission) = this.admission.take() {
            this.controls.breaker().release(admission);
        }
    }

    /// Decides what follows an attempt that did not succeed, and reports both to the surroundings, which may deny a retry. A
    /// refusal comes with the decision that it caused.
    fn decide(self: Pin<&mut Self>, end: AttemptEnd) -> (Decision, Option<Refusal>) {
        let policy = self.policy();
        let refusal = self.controls.breaker().refusal();
        let situation = Situation {
            attempts: self.attempts,
            time_left: self.time_left(),
            is_breaker_open: refusal.is_some(),
            random: policy.random_for(self.attempts),
        };
        let mut decision = decide(&policy, end, &situation);
        if let Some(surroundings) = surroundings_in(self.project().rare) {
            decision = surroundings.after_attempt(end, decision);
        }
        let refusal = refusal.filter(|_| decision == Decision::Stop(Stop::BreakerOpened));
        (decision, refusal)
    }

    /// Tells whether another attempt may follow the one under way.
    #[inline]
    fn retry_possible(&self) -> bool {
        self.retry_possible_after(self.attempts)
    }

    #[inline]
    fn retry_possible_after(&self, attempt: u32) -> bool {
        attempt < self.policy().max_attempts()
    }

    fn policy(&self) -> crate::policy::Policy {
        self.controls.policy()
    }

    /// Keeps what a later failure is to report of an outcome. Most handlers have nothing to keep, which the compiler sees.
    #[inline]
    fn keep_earlier_error<R>(self: Pin<&mut Self>, outcome: &R)
    where
        S::Handler: Handler<R>,
    {
        if let Some(text) = self.controls.handler().text(outcome) {
            self.project().rare.get_or_insert_default().earlier_error = Some(text);
        }
    }

    /// Looks up what surrounds the call, and tells whether something does.
    #[cold]
    fn find_surroundings(mut self: Pin<&mut Self>) -> bool {
        let rare = self.as_mut().project().rare;
        if surroundings_in(rare).is_none()
            && let Some(found) = Surroundings::enter()
        {
            rare.get_or_insert_default().surroundings = Some(found);
            self.note_start();
            return true;
        }
        surroundings_in(rare).is_some()
    }

    /// Looks up what surrounds a call that has entered nothing yet: it may have been handed into a scope since.
    #[inline]
    fn enter_surroundings(self: Pin<&mut Self>) {
        if gate::is_open() {
            self.find_surroundings();
        }
    }
}

/// The surroundings in what few calls have.
#[inline]
fn surroundings_in(rare: &mut Option<Box<Rare>>) -> Option<&mut Surroundings> {
    rare.as_mut()?.surroundings.as_mut()
}
