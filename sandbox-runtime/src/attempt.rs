//! [`Attempt`]: one run of the tool under its time limit, and the wait for the next.

use std::any::Any;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::breaker::Permit;
use crate::call::{Call, Last, Next, after};
use crate::error::FailureKind;
use crate::outcome::{Handler, Verdict};
use crate::policy::Policy;

pin_project! {
    /// Resolves to what the caller gets, or to the permit of the next attempt once it may begin.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub(crate) struct Attempt<'c, 'b, C, H, K, T: Future> {
        call: Pin<&'c mut Call<'b, C, H, K>>,
        permit: Option<Permit<'b>>,
        #[pin]
        stage: Stage<T, T::Output>,
        // The limit of the running tool, armed when it first has to wait; later the delay before the next attempt.
        #[pin]
        timer: Option<Sleep>,
    }
}

pin_project! {
    #[project = StageProjection]
    #[derive(Debug)]
    enum Stage<T, R> {
        Running {
            #[pin]
            tool: T,
        },
        Waiting {
            last: Option<Last<R>>,
        },
    }
}

/// How a run of the tool ended.
enum Ended<R> {
    Answered(R, Verdict),
    TimedOut,
    Panicked(String),
}

impl<'c, 'b, C, H, K, T: Future> Attempt<'c, 'b, C, H, K, T> {
    #[inline]
    pub(crate) fn new(call: Pin<&'c mut Call<'b, C, H, K>>, permit: Permit<'b>, tool: T) -> Self {
        Attempt {
            call,
            permit: Some(permit),
            stage: Stage::Running { tool },
            timer: None,
        }
    }
}

impl<'b, C, H, K, T> Future for Attempt<'_, 'b, C, H, K, T>
where
    C: Into<Policy> + Copy,
    H: Handler<T::Output>,
    K: Future<Output = ()>,
    T: Future,
{
    type Output = ControlFlow<H::Returned, Permit<'b>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        if this.call.as_mut().poll_cancelled(cx).is_ready() {
            return Poll::Ready(ControlFlow::Break(self.cancel()));
        }
        if let StageProjection::Running { tool } = this.stage.as_mut().project() {
            let handler = this.call.handler();
            let polled = guard(|| tool.poll(cx).map(|answer| (handler.verdict(&answer), answer)));
            let ended = match polled {
                Ok(Poll::Ready((Verdict::Success, answer))) => {
                    if let Some(permit) = this.permit.take() {
                        permit.success();
                    }
                    return Poll::Ready(ControlFlow::Break(this.call.conclude(Ok(answer), None)));
                }
                Ok(Poll::Ready((verdict, answer))) => Ended::Answered(answer, verdict),
                Ok(Poll::Pending) => {
                    if this.timer.is_none() {
                        let limit = this.call.as_mut().limit();
                        this.timer.set(Some(sleep_until(limit)));
                    }
                    ready!(poll_timer(this.timer, cx));
                    Ended::TimedOut
                }
                Err(message) => Ended::Panicked(message),
            };
            if let ControlFlow::Break(returned) = self.as_mut().settle(ended) {
                return Poll::Ready(ControlFlow::Break(returned));
            }
        }
        self.poll_next_attempt(cx)
    }
}

impl<'b, C, H, K, T> Attempt<'_, 'b, C, H, K, T>
where
    C: Into<Policy> + Copy,
    H: Handler<T::Output>,
    T: Future,
{
    /// Ends a run that did not succeed: tells the breaker, then ends the call or starts the wait.
    #[cold]
    fn settle(self: Pin<&mut Self>, ended: Ended<T::Output>) -> ControlFlow<H::Returned> {
        let mut this = self.project();
        // The tool goes first. A panic in its destructor is a panic of the tool.
        let dropped = guard(|| this.stage.set(Stage::Waiting { last: None }));
        this.timer.set(None);
        let verdict = match &ended {
            Ended::Answered(_, verdict) => *verdict,
            Ended::TimedOut | Ended::Panicked(_) => Verdict::Fail,
        };
        if let Some(permit) = this.permit.take() {
            match verdict {
                Verdict::Ignore if dropped.is_ok() => drop(permit),
                _ => permit.failure(),
            }
        }
        let (last, hint) = match (ended, dropped) {
            (Ended::Panicked(message), _) | (_, Err(message)) => {
                return ControlFlow::Break(this.call.fail(FailureKind::Panic, Some(message)));
            }
            (Ended::Answered(answer, Verdict::Retry { after }), Ok(())) => (Last::Answered(answer), after),
            (Ended::Answered(answer, _), Ok(())) => return ControlFlow::Break(this.call.conclude(Ok(answer), None)),
            (Ended::TimedOut, Ok(())) if this.call.time_left() == Some(Duration::ZERO) => {
                return ControlFlow::Break(this.call.fail(FailureKind::Deadline, None));
            }
            (Ended::TimedOut, Ok(())) if !this.call.may_repeat_unknown() => {
                return ControlFlow::Break(this.call.fail(FailureKind::Timeout, None));
            }
            (Ended::TimedOut, Ok(())) => (Last::TimedOut, None),
        };
        match this.call.after_failure(hint) {
            Next::Stop { refusal } => ControlFlow::Break(this.call.conclude_with(last, refusal)),
            Next::Retry { delay } => {
                this.stage.set(Stage::Waiting { last: Some(last) });
                if !delay.is_zero() {
                    this.timer.set(Some(sleep_until(after(Instant::now(), delay))));
                }
                ControlFlow::Continue(())
            }
        }
    }

    /// Waits out the delay and asks for the next attempt.
    #[cold]
    fn poll_next_attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ControlFlow<H::Returned, Permit<'b>>> {
        let mut this = self.project();
        if this.timer.is_some() {
            ready!(poll_timer(this.timer.as_mut(), cx));
        } else {
            // Without a delay a tool that fails at once would never let go of its thread.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        Poll::Ready(match this.call.as_mut().admit_again(waiting(this.stage)) {
            Ok(permit) => ControlFlow::Continue(permit),
            Err(returned) => ControlFlow::Break(returned),
        })
    }

    /// Ends the call because its caller gave it up: nothing is counted.
    #[cold]
    fn cancel(self: Pin<&mut Self>) -> H::Returned {
        let mut this = self.project();
        drop(this.permit.take());
        if let StageProjection::Waiting { .. } = this.stage.as_mut().project() {
            return this.call.conclude_with(waiting(this.stage), None);
        }
        // What a panic in the tool's destructor says no longer matters to anybody.
        let _ = guard(|| this.stage.set(Stage::Waiting { last: None }));
        this.call.fail(FailureKind::Cancelled, None)
    }
}

/// Takes what the last attempt left behind.
fn waiting<T, R>(stage: Pin<&mut Stage<T, R>>) -> Last<R> {
    let last = match stage.project() {
        StageProjection::Waiting { last } => last.take(),
        StageProjection::Running { .. } => None,
    };
    match last {
        Some(last) => last,
        None => panic!("an attempt was polled after completion"),
    }
}

/// Polls the timer whatever is left of the task's cooperative budget: a tool that uses it up at every poll would
/// otherwise never time out.
fn poll_timer(timer: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    match timer.as_pin_mut() {
        Some(timer) => pin!(coop::unconstrained(timer)).poll(cx),
        None => Poll::Ready(()),
    }
}

/// Runs code of the tool's; a panic becomes its message.
#[inline]
pub(crate) fn guard<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic may leave half done is the tool's own; the engine does not run that tool's future again.
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| message_of(&*payload))
}

#[cold]
fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
