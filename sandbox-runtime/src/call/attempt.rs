//! [`AttemptState`]: one run of the tool under its time limit, and the wait for the next.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use super::current::Polled;
use super::guard::guard;
use super::injected::Injected;
use super::{CallState, Controls, KeepOf, Kept, Returned, current, nested};
use crate::breaker::ProbeScope;
use crate::clock::saturating_add;
use crate::failure::{AttemptEnd, Decision, FailureKind, Stop};
use crate::tool::Handler;
use crate::tool::keep::{Keep, Keeps, Last};
use crate::verdict::Verdict;

pin_project! {
    /// One run of the tool, and the wait for the next. By itself, without the timer of the call: the compiler computes layouts
    /// down to a limit, and with each struct around a tool fewer tools can call each other.
    #[project = AttemptProjection]
    pub(crate) enum AttemptState<T: Future, S: Controls> {
        // The breaker has not been asked yet. A stage of its own, so that the first attempt of a tool that is ready at once
        // looks at nothing else.
        New,
        // The same, and what concerns the call has been found: it is held back, and keeps what it began with.
        HeldBack,
        // The breaker has admitted the attempt that is to begin.
        Admitted,
        Running {
            #[pin]
            tool: T,
        },
        // Admitted, and something comes before the tool or in its place.
        Injected {
            injected: Injected,
        },
        // For the next attempt.
        Waiting {
            last: Option<Kept<S, T::Output>>,
        },
        Ended,
    }
}

/// What a poll ended with that was not a success.
#[derive(Debug)]
pub(crate) enum PollEnd<R> {
    /// The breaker has not been asked yet.
    NotAdmitted,
    /// The call was cancelled.
    Cancelled,
    /// The tool is not ready.
    Pending,
    /// The tool returned something that is not a success.
    Failed(R, Verdict),
    /// The tool panicked, with this message.
    Panicked(String),
    /// An error was injected in place of the tool.
    #[cfg(feature = "faults")]
    Injected,
}

impl<T: Future, S: Controls> AttemptState<T, S> {
    /// An attempt that asks the breaker, unless it `is_admitted` already.
    #[inline(always)]
    pub(crate) fn new(is_admitted: bool) -> Self {
        if is_admitted {
            AttemptState::Admitted
        } else {
            AttemptState::New
        }
    }

    /// Lets the limit of the tool end no later than what the call has entered since it was armed.
    #[cold]
    pub(crate) fn tighten_limit(&self, state: Pin<&mut CallState<S>>) {
        if let AttemptState::Running { .. } | AttemptState::Injected { .. } = self
            && let Some(left) = state.time_left()
            && let Some(timer) = state.project().timer.as_pin_mut()
        {
            let limit = timer.deadline().min(saturating_add(Instant::now(), left));
            timer.reset(limit);
        }
    }

    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        matches!(self, AttemptState::New)
    }

    /// Starts the tool of the attempt that has been admitted, and polls it for the first time, within `scope`.
    #[inline(always)]
    pub(crate) fn start(
        self: Pin<&mut Self>,
        state: Pin<&mut CallState<S>>,
        (scope, polled): (Option<ProbeScope>, Polled),
        begin: impl FnOnce() -> T,
        cx: &mut Context<'_>,
    ) -> Result<T::Output, PollEnd<T::Output>>
    where
        S::Handler: Handler<T::Output>,
    {
        let begin = |mut attempt: Pin<&mut Self>| attempt.set(AttemptState::Running { tool: begin() });
        self.poll_tool(state, scope, polled, begin, cx)
    }

    #[inline(always)]
    fn poll_tool(
        mut self: Pin<&mut Self>,
        state: Pin<&mut CallState<S>>,
        _scope: Option<ProbeScope>,
        polled: Polled,
        begin: impl FnOnce(Pin<&mut Self>),
        cx: &mut Context<'_>,
    ) -> Result<T::Output, PollEnd<T::Output>>
    where
        S::Handler: Handler<T::Output>,
    {
        let handler = state.controls.handler();
        // One guard for all code of the tool, and what it yields past the guard and not through it: each costs some
        // nanoseconds.
        let mut ready = None;
        let mark = nested::mark();
        let outer = current::enter(polled);
        let guarded = guard(|| {
            begin(self.as_mut());
            if let AttemptProjection::Running { tool } = self.as_mut().project()
                && let Poll::Ready(outcome) = tool.poll(cx)
            {
                match polled.lost_answer {
                    None => {
                        ready = Some((handler.verdict(&outcome), outcome));
                        self.set(AttemptState::Ended);
                    }
                    Some(lost) => {
                        drop(outcome);
                        self.set(AttemptState::Injected { injected: lost.hang() });
                    }
                }
            }
        });
        let call_id = outer.enter_again();
        if let Err(message) = guarded {
            state.keep_call_id(call_id);
            return Err(PollEnd::Panicked(message));
        }
        match ready {
            Some((Verdict::Success, outcome)) => return Ok(outcome),
            _ => state.keep_call_id(call_id),
        }
        match ready {
            Some((_, outcome)) if mark.saw_inner_end() => Err(PollEnd::Failed(outcome, Verdict::Ignore)),
            Some((verdict, outcome)) => Err(PollEnd::Failed(outcome, verdict)),
            None => Err(PollEnd::Pending),
        }
    }

    /// Handles `end` if there is one; otherwise polls whatever the call is waiting for. Resolves to what the caller gets, or to
    /// nothing once the next attempt may begin, or what is injected into it.
    // It has one caller for each tool, and each function around it would move the result once more.
    #[inline(always)]
    pub(super) fn poll_next(
        mut self: Pin<&mut Self>,
        mut state: Pin<&mut CallState<S>>,
        end: Option<PollEnd<T::Output>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Returned<S, T::Output>>>
    where
        S::Handler: Handler<T::Output>,
    {
        // At the first poll of an attempt its limit cannot be over, so that only a resumed tool needs to know.
        let had_budget = end.is_some() || coop::has_budget_remaining();
        let end = match end {
            Some(end) => end,
            None if state.as_mut().poll_cancelled(cx).is_ready() => PollEnd::Cancelled,
            None => match self.as_mut().project() {
                AttemptProjection::New | AttemptProjection::HeldBack => PollEnd::NotAdmitted,
                AttemptProjection::Admitted => return Poll::Ready(ControlFlow::Continue(())),
                AttemptProjection::Running { .. } => {
                    let (scope, polled) = (state.probe_scope(), state.polled());
                    match self.as_mut().poll_tool(state.as_mut(), scope, polled, |_| (), cx) {
                        Ok(outcome) => return Poll::Ready(ControlFlow::Break(state.finish_after_wait(outcome))),
                        Err(end) => end,
                    }
                }
                AttemptProjection::Injected { injected } => match injected.poll(cx) {
                    Poll::Pending => PollEnd::Pending,
                    Poll::Ready(Some(end)) => end,
                    Poll::Ready(None) => return Poll::Ready(self.admitted(Ok(None))),
                },
                _ => return self.poll_next_attempt(state, cx),
            },
        };
        let (end, last, message) = match end {
            PollEnd::NotAdmitted => return self.poll_first_admission(state, cx),
            PollEnd::Cancelled => return Poll::Ready(ControlFlow::Break(self.cancel(state))),
            PollEnd::Pending => {
                ready!(poll_limit(state.as_mut(), had_budget, cx));
                (AttemptEnd::TimedOut, Last::TimedOut, None)
            }
            PollEnd::Failed(outcome, verdict) => {
                let verdict = if state.is_caller_to_blame() {
                    Verdict::Ignore
                } else {
                    verdict
                };
                (AttemptEnd::Returned(verdict), Last::Outcome(outcome), None)
            }
            PollEnd::Panicked(message) => (AttemptEnd::Panicked, Last::Lost, Some(message)),
            #[cfg(feature = "faults")]
            PollEnd::Injected => (AttemptEnd::Returned(Verdict::RETRY), Last::Injected, None),
        };
        match self.as_mut().finish_attempt(state.as_mut(), end, last, message) {
            ControlFlow::Break(returned) => Poll::Ready(ControlFlow::Break(returned)),
            ControlFlow::Continue(()) => self.poll_next_attempt(state, cx),
        }
    }

    /// Ends an attempt that did not succeed: tells the breaker, then ends the call or starts the wait. What the tool has
    /// left is `last`; a panic has a `message`.
    fn finish_attempt(
        mut self: Pin<&mut Self>,
        mut state: Pin<&mut CallState<S>>,
        mut end: AttemptEnd,
        last: Last<T::Output>,
        mut message: Option<String>,
    ) -> ControlFlow<Returned<S, T::Output>>
    where
        S::Handler: Handler<T::Output>,
    {
        // The tool goes first. A panic in its destructor is a panic of the tool.
        if let Err(later) = guard(|| self.set(AttemptState::Ended)) {
            end = AttemptEnd::Panicked;
            message = message.or(Some(later));
        }
        if state.timer.is_some() {
            stop_timer(state.as_mut());
        }
        // Asked of the tool's own error type or function, before anything is settled: a panic there is a panic of the tool.
        let is_safe = state.is_safe_to_retry(end, &last).unwrap_or_else(|later| {
            end = AttemptEnd::Panicked;
            message = Some(later);
            false
        });
        let counts_attempts = state.controls.handler().counts_attempts() || state.controls.breaker().counts_attempts();
        state.as_mut().settle(end, counts_attempts);
        let has_arguments = state.controls.handler().has_arguments();
        let (decision, refusal) = state.as_mut().decide(end, is_safe, has_arguments);
        match decision {
            Decision::Retry { delay, from } => {
                if let Err(message) = state.as_mut().keep_text(&last) {
                    let kind = FailureKind::Panicked;
                    return ControlFlow::Break(state.finish_with_failure(Stop::Panicked, kind, Some(message)));
                }
                state.retry_scheduled(end, delay, from);
                let last = KeepOf::<S>::keep(last);
                self.set(AttemptState::Waiting { last: Some(last) });
                if !delay.is_zero() {
                    let next = sleep_until(saturating_add(Instant::now(), delay));
                    state.project().timer.set(Some(next));
                }
                ControlFlow::Continue(())
            }
            Decision::Stop(stop) => ControlFlow::Break(match stop {
                Stop::Panicked => state.finish_with_failure(stop, FailureKind::Panicked, message),
                Stop::DeadlineExceeded => state.finish_with_failure(stop, FailureKind::DeadlineExceeded, None),
                _ => state.finish_with(stop, last, refusal),
            }),
        }
    }

    /// Asks for the first attempt of a call that is surrounded, or whose breaker is not closed.
    #[inline(always)]
    fn poll_first_admission(
        mut self: Pin<&mut Self>,
        mut state: Pin<&mut CallState<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Returned<S, T::Output>>>
    where
        S::Handler: Handler<T::Output>,
    {
        // A loop over calls that are refused at once lets others run.
        ready!(coop::poll_proceed(cx)).made_progress();
        state.as_mut().start_clock();
        let Poll::Ready(admission) = state.as_mut().poll_admission(cx) else {
            self.set(AttemptState::HeldBack);
            return Poll::Pending;
        };
        let admitted = match admission {
            Ok(()) => state.admit(),
            Err(stop) => Err(state.finish_unadmitted(stop)),
        };
        Poll::Ready(self.admitted(admitted))
    }

    /// Waits out the delay and asks for the next attempt.
    fn poll_next_attempt(
        mut self: Pin<&mut Self>,
        mut state: Pin<&mut CallState<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Returned<S, T::Output>>>
    where
        S::Handler: Handler<T::Output>,
    {
        let mut timer = state.as_mut().project().timer;
        if timer.is_some() {
            ready!(poll_timer(timer.as_mut(), cx));
            timer.set(None);
        } else {
            // The call may have been cancelled by the attempt that has just ended in this very poll.
            if state.as_mut().poll_cancelled(cx).is_ready() {
                return Poll::Ready(ControlFlow::Break(self.cancel(state)));
            }
            // Without a delay a tool that fails at once would never let go of its thread.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        let AttemptProjection::Waiting { last } = self.as_mut().project() else {
            panic!("a call was polled after it had ended");
        };
        let admission = ready!(state.as_mut().poll_admission(cx));
        let last = left::<S, _>(last);
        let admitted = match admission {
            Ok(()) => state.admit_retry(last),
            Err(stop) => Err(state.finish_with(stop, last, None)),
        };
        Poll::Ready(self.admitted(admitted))
    }

    /// What follows the breaker's answer: the attempt, or the end of the call.
    #[inline(always)]
    fn admitted<E>(mut self: Pin<&mut Self>, admitted: Result<Option<Injected>, E>) -> ControlFlow<E> {
        match admitted {
            Ok(injected) => {
                self.set(injected.map_or(AttemptState::Admitted, |injected| AttemptState::Injected { injected }));
                ControlFlow::Continue(())
            }
            Err(returned) => {
                self.set(AttemptState::Ended);
                ControlFlow::Break(returned)
            }
        }
    }

    /// Ends the call because its caller cancelled it: nothing is counted.
    #[cold]
    fn cancel(mut self: Pin<&mut Self>, mut state: Pin<&mut CallState<S>>) -> Returned<S, T::Output>
    where
        S::Handler: Handler<T::Output>,
    {
        // The call may have been cancelled before it was polled.
        state.as_mut().enters_surroundings();
        let waiting_for_retry = match self.as_mut().project() {
            AttemptProjection::Waiting { last } => Some(left::<S, _>(last)),
            _ => None,
        };
        // What a panic in the tool's destructor says no longer matters to anybody.
        let _ = guard(|| self.set(AttemptState::Ended));
        match waiting_for_retry {
            Some(_) => state.as_mut().project().timer.set(None),
            None => stop_timer(state.as_mut()),
        }
        match waiting_for_retry {
            Some(last) => state.finish_with(Stop::Cancelled, last, None),
            None => state.finish_with_failure(Stop::Cancelled, FailureKind::Cancelled, None),
        }
    }
}

/// Takes what the last attempt has left from where the call has kept it.
#[inline]
fn left<S: Controls, R>(kept: &mut Option<Kept<S, R>>) -> Last<R> {
    kept.take().map_or(Last::Lost, KeepOf::<S>::give_back)
}

/// Polls the limit of a tool that has to wait, and arms it at the first time. Out of line: a tool that is ready at once does
/// not get here.
#[inline(never)]
fn poll_limit<S: Controls>(mut state: Pin<&mut CallState<S>>, had_budget: bool, cx: &mut Context<'_>) -> Poll<()> {
    if state.timer.is_none() {
        let limit = state.as_mut().attempt_limit();
        state.as_mut().project().timer.set(Some(sleep_until(limit)));
    }
    loop {
        let mut timer = state.as_mut().project().timer;
        if had_budget || coop::has_budget_remaining() {
            ready!(poll_timer(timer, cx));
        } else if let Some(timer) = timer.as_mut().as_pin_mut() {
            // The tool was pending because the task had used its cooperative budget up before: its answer may be there. The
            // limit, polled within the budget, has the task polled again.
            ready!(timer.poll(cx));
        }
        let Some(later) = state.later_limit() else {
            return Poll::Ready(());
        };
        if let Some(timer) = state.as_mut().project().timer.as_pin_mut() {
            timer.reset(later);
        }
    }
}

/// Stops the timer of an attempt that has ended, and keeps what it knows.
#[cold]
#[inline(never)]
fn stop_timer<S: Controls>(mut state: Pin<&mut CallState<S>>) {
    let timer = state.as_mut().project().timer;
    if let Some(limit) = timer.as_ref().as_pin_ref().map(|timer| timer.deadline()) {
        state.as_mut().note_first_wait(limit);
        state.project().timer.set(None);
    }
}

/// Polls a timer whatever is left of the task's cooperative budget: a tool that uses it up at every poll would otherwise never
/// time out.
fn poll_timer(timer: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    match timer.as_pin_mut() {
        Some(timer) => pin!(coop::unconstrained(timer)).poll(cx),
        None => Poll::Ready(()),
    }
}
