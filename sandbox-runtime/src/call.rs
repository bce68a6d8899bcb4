//! [`Call`]: one sandboxed call as a future, with its fast path and its slow path.
//!
//! Outer to inner: cancellation and deadline, retry, breaker, time limit, tool.

mod admitting;
mod attempt;
mod controls;
pub(crate) mod current;
mod deadline;
mod end;
mod guard;
mod injected;
mod lent;
mod limited;
mod marks;
pub(crate) mod nested;
mod owed;
mod rare;
mod recording;
mod retry;
mod stand_in;
mod state;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use attempt::{AttemptState, PollEnd};
use current::Polled;
use owed::Owed;

pub use controls::{CallControls, Controls};
pub use lent::LentAttempt;
pub use state::CallState;

use crate::policy::Policy;
use crate::tool::keep::{Keep, Keeps};
use crate::tool::{Function, Handler};

/// What the caller of a call gets.
type Returned<S, R> = <<S as Controls>::Handler as Handler<R>>::Returned;

/// What decides what a call keeps.
type KeepOf<S> = <<S as Controls>::Handler as Keeps>::Keep;

/// What a call keeps of an outcome.
type Kept<S, R> = <KeepOf<S> as Keep>::Kept<R>;

pin_project! {
    /// The future of a call.
    // By hand and not an `async` block, which would keep the parts twice: as it was given them, and pinned.
    pub(crate) struct Call<S, F, T: Future> where S: Controls {
        // Before the state, which drops the admission: the slot of a probe is free once the tool is gone, not before.
        #[pin]
        attempt: AttemptState<T, S>,
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
            attempt: AttemptState::new(false),
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
    fn poll_first(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Result<Returned<S, T::Output>, PollEnd<T::Output>> {
        let mut state = self.as_mut().project().state;
        if state.as_mut().poll_cancelled(cx).is_ready() {
            return Err(PollEnd::Cancelled);
        }
        let Some(owed) = state.as_mut().admit_if_simple() else {
            return Err(PollEnd::NotAdmitted);
        };
        let policy = state.controls.policy();
        self.start_first(
            owed,
            &policy,
            |function, retry_possible| function.begin(retry_possible),
            cx,
        )
    }

    /// The same by settings that an operator has given to the tool. Returns what the poll has ended with if that was not a success.
    #[cold]
    #[inline(never)]
    fn poll_first_overridden(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        returned: &mut Option<Returned<S, T::Output>>,
    ) -> Option<PollEnd<T::Output>> {
        let Some((owed, set)) = self.as_mut().project().state.admit_overridden() else {
            return Some(PollEnd::NotAdmitted);
        };
        let begin = |function: &mut F, retry_possible| function.begin(retry_possible);
        match self.as_mut().start_first(owed, &set.policy, begin, cx) {
            Ok(value) => {
                *returned = Some(value);
                None
            }
            Err(end) => {
                self.project().state.keep_overridden(set);
                Some(end)
            }
        }
    }

    /// Makes the first attempt, which has been admitted, by this policy. Each caller has a `begin` of its own, with which all of this
    /// is compiled for it alone: shared by two, it would be called and not inlined.
    #[inline(always)]
    fn start_first(
        self: Pin<&mut Self>,
        owed: Owed,
        policy: &Policy,
        begin: impl FnOnce(&mut F, bool) -> T,
        cx: &mut Context<'_>,
    ) -> Result<Returned<S, T::Output>, PollEnd<T::Output>> {
        let mut this = self.project();
        // The policy itself is handed to nobody: mostly the compiler knows it.
        let (retry_possible, is_limited) = (policy.max_attempts() > 1, policy.is_limited());
        let begin = || begin(this.function, retry_possible);
        // The breaker is closed: not a probe.
        let first = (None, Polled::first(policy));
        match this.attempt.start(this.state.as_mut(), first, begin, cx) {
            Ok(outcome) => Ok(this.state.finish_first(owed, is_limited, outcome)),
            Err(end) => {
                this.state.note_first_attempt(owed, is_limited);
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
        let mut state = self.as_mut().project().state;
        state.as_mut().poll_began();
        // The first poll has found the surroundings and looked at nothing in them; a later one looks for itself.
        let end = match end {
            Some(_) if state.poll_cancelled_around(cx).is_ready() => Some(PollEnd::Cancelled),
            end => end,
        };
        self.as_mut().poll_resumed(end, cx, returned);
        self.project().state.poll_ended();
    }

    /// The slow path: every call that does not succeed on its first poll, which ended with `end`.
    #[inline(never)]
    fn poll_resumed(
        mut self: Pin<&mut Self>,
        mut end: Option<PollEnd<T::Output>>,
        cx: &mut Context<'_>,
        returned: &mut Option<Returned<S, T::Output>>,
    ) {
        if matches!(end, Some(PollEnd::NotAdmitted)) && self.state.may_be_overridden() {
            end = self.as_mut().poll_first_overridden(cx, returned);
            if returned.is_some() {
                return;
            }
            if self.state.rare.is_some() {
                return self.poll_surrounded(end, cx, returned);
            }
        }
        let mut this = self.project();
        // The first poll has looked for surroundings by itself.
        if end.is_none() && this.state.as_mut().enters_surroundings() {
            this.attempt.tighten_limit(this.state.as_mut());
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
            let next = (this.state.probe_scope(), this.state.polled());
            match this.attempt.as_mut().start(this.state.as_mut(), next, begin, cx) {
                Ok(outcome) => {
                    *returned = Some(this.state.finish_successfully(outcome));
                    return;
                }
                Err(other) => end = Some(other),
            }
        }
    }
}
