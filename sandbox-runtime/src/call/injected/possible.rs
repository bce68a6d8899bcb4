//! What faults do to attempts.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::UnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::call::attempt::{AttemptState, PollEnd};
use crate::call::{CallState, Controls, Returned};
use crate::clock::saturating_add;
use crate::failure::{Failure, FailureKind, Refusal};
use crate::faults::{Fault, REASON};
use crate::observe::ObservedTool;
use crate::registry::ToolHandle;
use crate::tool::Handler;

/// What an attempt meets that has been admitted, before its tool or in its place.
#[derive(Debug)]
pub(crate) enum Injected {
    /// The tool begins when this is over.
    Late(Delay),
    /// Nothing, until the time limit.
    Hanging,
    Failed,
    Panicked,
}

#[derive(Debug)]
pub(crate) struct Delay(Pin<Box<Sleep>>);

/// As for the timer of a call: nobody sees it after a panic.
impl UnwindSafe for Delay {}

impl Delay {
    #[cold]
    fn beginning_now(delay: Duration) -> Delay {
        Delay(Box::pin(sleep_until(saturating_add(Instant::now(), delay))))
    }
}

impl Injected {
    fn by(fault: Fault) -> Option<Injected> {
        Some(match fault {
            Fault::Late(delay) => Injected::Late(Delay::beginning_now(delay)),
            Fault::Hang => Injected::Hanging,
            Fault::Fail => Injected::Failed,
            Fault::Panic => Injected::Panicked,
            // Neither comes before a tool that runs.
            Fault::LoseAnswer | Fault::Refuse => return None,
        })
    }

    /// Resolves to the end of the attempt, or to nothing when its tool begins.
    pub(crate) fn poll<R>(&mut self, cx: &mut Context<'_>) -> Poll<Option<PollEnd<R>>> {
        match self {
            Injected::Late(Delay(delay)) => {
                // As the limit: whatever is left of the task's cooperative budget.
                ready!(pin!(coop::unconstrained(delay)).poll(cx));
                Poll::Ready(None)
            }
            Injected::Hanging => Poll::Pending,
            Injected::Failed => Poll::Ready(Some(PollEnd::Injected)),
            Injected::Panicked => Poll::Ready(Some(PollEnd::Panicked(REASON.to_owned()))),
        }
    }
}

/// The answer of the tool is to be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LostAnswer;

impl LostAnswer {
    /// What is left of an attempt whose tool has answered.
    pub(crate) fn hang(self) -> Injected {
        Injected::Hanging
    }
}

impl<T: Future, S: Controls> AttemptState<T, S> {
    /// Handles `end` if there is one; otherwise polls whatever the call is waiting for. Resolves to what the caller gets, or to
    /// nothing once the tool of the next attempt may begin.
    #[inline(always)]
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        mut state: Pin<&mut CallState<S>>,
        mut end: Option<PollEnd<T::Output>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Returned<S, T::Output>>>
    where
        S::Handler: Handler<T::Output>,
    {
        loop {
            let next = self.as_mut().poll_next(state.as_mut(), end.take(), cx);
            if next.is_pending() || !matches!(*self, AttemptState::Injected { .. }) {
                return next;
            }
        }
    }
}

impl<S: Controls> CallState<S> {
    /// Asks the plans around the call for the fault of the attempt that is about to begin. One that the breaker refuses by itself
    /// does not count.
    #[inline]
    pub(crate) fn inject(self: Pin<&mut Self>) -> Result<(), Refusal> {
        if self.is_surrounded() {
            self.ask_for_fault()
        } else {
            Ok(())
        }
    }

    #[cold]
    fn ask_for_fault(mut self: Pin<&mut Self>) -> Result<(), Refusal> {
        if self.refusal().is_some() {
            return Ok(());
        }
        let tool = ObservedTool::new(self.controls.name(), self.site().map(ToolHandle::from));
        let surroundings = self.as_mut().surroundings_mut();
        match surroundings.and_then(|surroundings| surroundings.fault_of_attempt(&tool)) {
            Some(Fault::Refuse) => Err(self.breaker().refusal_when_open()),
            _ => Ok(()),
        }
    }

    /// What the attempt that begins meets before its tool.
    #[inline]
    pub(crate) fn injected(&self) -> Option<Injected> {
        Injected::by(self.fault()?)
    }

    /// Tells the tool under way that its answer is to be lost.
    #[inline]
    pub(crate) fn lost_answer(&self) -> Option<LostAnswer> {
        (self.fault()? == Fault::LoseAnswer).then_some(LostAnswer)
    }

    #[inline]
    fn fault(&self) -> Option<Fault> {
        self.surroundings()?.fault()
    }

    /// The failure in place of the error that the last attempt would have returned.
    #[cold]
    pub(crate) fn injected_failure(&self) -> Failure {
        let failure = self.failure(FailureKind::ExecutionFailed);
        Failure {
            // The last attempt has done nothing. The effect of those before it is known if they were safe to follow.
            may_have_executed: failure.attempts > 1 && failure.idempotent,
            ..failure
        }
    }
}
