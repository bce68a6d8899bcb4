//! [`Attempt`]: one run of the tool under its time limit, and the wait for the next.

use std::any::Any;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::call::{Call, Last, Next, after};
use crate::error::FailureKind;
use crate::outcome::{Handler, Verdict};
use crate::policy::Policy;

pin_project! {
    /// Resolves to what the caller gets, or to nothing once the next attempt may begin.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Attempt<'c, 'b, C, H, K, S, T: Future> {
        call: Pin<&'c mut Call<'b, C, H, K>>,
        #[pin]
        stage: Stage<S, T, T::Output>,
        // The limit of the running tool, armed when it first has to wait; later the delay before the next attempt.
        #[pin]
        timer: Option<Sleep>,
    }
}

pin_project! {
    #[project = StageProjection]
    #[derive(Debug)]
    enum Stage<S, T, R> {
        Starting {
            start: Option<S>,
        },
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

impl<'c, 'b, C, H, K, S, T: Future> Attempt<'c, 'b, C, H, K, S, T> {
    #[inline]
    pub(crate) fn new(call: Pin<&'c mut Call<'b, C, H, K>>, start: S) -> Self {
        Attempt {
            call,
            stage: Stage::Starting { start: Some(start) },
            timer: None,
        }
    }
}

impl<C, H, K, S, T> Future for Attempt<'_, '_, C, H, K, S, T>
where
    C: Into<Policy> + Copy,
    H: Handler<T::Output>,
    K: Future<Output = ()>,
    S: FnOnce() -> T,
    T: Future,
{
    type Output = ControlFlow<H::Returned>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        if this.call.as_mut().poll_cancelled(cx).is_ready() {
            return Poll::Ready(ControlFlow::Break(self.cancel()));
        }
        if let StageProjection::Starting { start } = this.stage.as_mut().project() {
            if let Err(returned) = this.call.as_mut().admit() {
                return Poll::Ready(ControlFlow::Break(returned));
            }
            if let Some(start) = start.take() {
                match guard(start) {
                    Ok(tool) => this.stage.set(Stage::Running { tool }),
                    Err(message) => return Poll::Ready(self.settle(Ended::Panicked(message))),
                }
            }
        }
        if let StageProjection::Running { tool } = this.stage.as_mut().project() {
            let handler = this.call.handler();
            let polled = guard(|| tool.poll(cx).map(|answer| (handler.verdict(&answer), answer)));
            let ended = match polled {
                Ok(Poll::Ready((Verdict::Success, answer))) => {
                    this.call.as_mut().resolve(Verdict::Success);
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

impl<C, H, K, S, T> Attempt<'_, '_, C, H, K, S, T>
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
        let (last, verdict) = match (ended, dropped) {
            (Ended::Panicked(message), _) | (_, Err(message)) => {
                this.call.as_mut().resolve(Verdict::Fail);
                return ControlFlow::Break(this.call.fail(FailureKind::Panic, Some(message)));
            }
            (Ended::Answered(answer, verdict), Ok(())) => (Last::Answered(answer), verdict),
            (Ended::TimedOut, Ok(())) => (Last::TimedOut, Verdict::RETRY),
        };
        this.call.as_mut().resolve(verdict);
        match this.call.after(&last, verdict) {
            Next::Stop { refusal } => ControlFlow::Break(this.call.conclude_with(last, refusal)),
            Next::OutOfTime => ControlFlow::Break(this.call.fail(FailureKind::Deadline, None)),
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
    fn poll_next_attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ControlFlow<H::Returned>> {
        let mut this = self.project();
        if this.timer.is_some() {
            ready!(poll_timer(this.timer.as_mut(), cx));
        } else {
            // Without a delay a tool that fails at once would never let go of its thread.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        Poll::Ready(match this.stage.take_last() {
            Some(last) => match this.call.as_mut().admit_again(last) {
                Ok(()) => ControlFlow::Continue(()),
                Err(returned) => ControlFlow::Break(returned),
            },
            None => panic!("an attempt was polled after completion"),
        })
    }

    /// Ends the call because its caller gave it up: nothing is counted.
    #[cold]
    fn cancel(self: Pin<&mut Self>) -> H::Returned {
        let mut this = self.project();
        this.call.as_mut().resolve(Verdict::Ignore);
        if let Some(last) = this.stage.as_mut().take_last() {
            return this.call.conclude_with(last, None);
        }
        // What a panic in the tool's destructor says no longer matters to anybody.
        let _ = guard(|| this.stage.set(Stage::Waiting { last: None }));
        this.call.fail(FailureKind::Cancelled, None)
    }
}

impl<S, T, R> Stage<S, T, R> {
    /// What the last attempt left behind, while the next is waited for.
    fn take_last(self: Pin<&mut Self>) -> Option<Last<R>> {
        match self.project() {
            StageProjection::Waiting { last } => last.take(),
            StageProjection::Starting { .. } | StageProjection::Running { .. } => None,
        }
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
