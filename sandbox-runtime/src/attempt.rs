//! [`Run`]: one run of the tool under its time limit, and the wait for the next. [`Attempt`] is a run by itself, for callers
//! who loop.

use std::any::Any;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::call::{Call, Last, Next};
use crate::clock::after;
use crate::failure::FailureKind;
use crate::outcome::Handler;
use crate::policy::Policy;
use crate::text;
use crate::tool::ToolName;
use crate::verdict::Verdict;
use crate::{budget, scope};

pin_project! {
    /// The tool and the only timer of a call.
    #[derive(Debug)]
    pub(crate) struct Run<T, R> {
        #[pin]
        stage: Stage<T, R>,
        // The limit of the running tool, armed when it first has to wait; later the delay before the next attempt.
        #[pin]
        timer: Option<Sleep>,
    }
}

pin_project! {
    #[project = StageProjection]
    #[derive(Debug)]
    enum Stage<T, R> {
        Idle,
        Running {
            #[pin]
            tool: T,
        },
        Waiting {
            last: Option<Last<R>>,
        },
        Ended,
    }
}

/// How a run of the tool ended.
enum Exit<R> {
    Answered(R, Verdict),
    TimedOut,
    Panicked(String),
}

impl<T: Future> Run<T, T::Output> {
    #[inline]
    pub(crate) fn new() -> Self {
        Run {
            stage: Stage::Idle,
            timer: None,
        }
    }

    /// Polls the attempt under way, which `start` begins. Resolves to what the caller gets, or to nothing once the next
    /// attempt may begin.
    #[inline]
    pub(crate) fn poll<C, H, K, N>(
        mut self: Pin<&mut Self>,
        mut call: Pin<&mut Call<'_, C, H, K, N>>,
        start: impl FnOnce(bool) -> T,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<H::Returned>>
    where
        C: Into<Policy> + Copy,
        H: Handler<T::Output>,
        K: Future<Output = ()>,
        N: ToolName,
    {
        if call.as_mut().poll_cancelled(cx).is_ready() {
            return Poll::Ready(ControlFlow::Break(self.cancel(call)));
        }
        let mut this = self.as_mut().project();
        match this.stage.as_mut().project() {
            StageProjection::Idle => {
                if let Err(returned) = call.as_mut().admit() {
                    this.stage.set(Stage::Ended);
                    return Poll::Ready(ControlFlow::Break(returned));
                }
            }
            StageProjection::Running { .. } => {}
            _ => return self.poll_next_attempt(call, cx),
        }
        // One guard for all code of the tool's, and what it yields past the guard and not through it: each costs some
        // nanoseconds.
        let mut answered = None;
        let guarded = guard(|| {
            if let StageProjection::Idle = this.stage.as_mut().project() {
                let tool = start(call.more_may_follow());
                this.stage.set(Stage::Running { tool });
            }
            if let StageProjection::Running { tool } = this.stage.as_mut().project()
                && let Poll::Ready(answer) = tool.poll(cx)
            {
                answered = Some((call.handler().verdict(&answer), answer));
                this.stage.set(Stage::Ended);
            }
        });
        let outcome = match (guarded, answered) {
            (Ok(()), Some((Verdict::Success, answer))) => {
                call.as_mut().resolve(Verdict::Success);
                if scope::entered() {
                    budget::earn();
                }
                return Poll::Ready(ControlFlow::Break(call.conclude(Ok(answer), None)));
            }
            (Ok(()), Some((verdict, answer))) => Exit::Answered(answer, verdict),
            (Ok(()), None) => {
                ready!(poll_limit(this.timer, call.as_mut(), cx));
                Exit::TimedOut
            }
            (Err(message), _) => Exit::Panicked(message),
        };
        match self.as_mut().settle(call.as_mut(), outcome) {
            ControlFlow::Break(returned) => Poll::Ready(ControlFlow::Break(returned)),
            ControlFlow::Continue(()) => self.poll_next_attempt(call, cx),
        }
    }

    /// Ends a run that did not succeed: tells the breaker, then ends the call or starts the wait.
    #[cold]
    fn settle<C, H, K, N>(
        self: Pin<&mut Self>,
        mut call: Pin<&mut Call<'_, C, H, K, N>>,
        outcome: Exit<T::Output>,
    ) -> ControlFlow<H::Returned>
    where
        C: Into<Policy> + Copy,
        H: Handler<T::Output>,
        N: ToolName,
    {
        let mut this = self.project();
        // The tool goes first. A panic in its destructor is a panic of the tool.
        let dropped = guard(|| this.stage.set(Stage::Ended));
        this.timer.set(None);
        let (last, verdict) = match (outcome, dropped) {
            (Exit::Panicked(message), _) | (_, Err(message)) => {
                call.as_mut().resolve(Verdict::Fail);
                return ControlFlow::Break(call.fail(FailureKind::Panic, Some(message)));
            }
            (Exit::Answered(answer, verdict), Ok(())) => (Last::Answered(answer), verdict),
            (Exit::TimedOut, Ok(())) => (Last::TimedOut, Verdict::RETRY),
        };
        call.as_mut().resolve(verdict);
        match call.after(&last, verdict) {
            Next::Stop { refusal } => ControlFlow::Break(call.conclude_with(last, refusal)),
            Next::OutOfTime => ControlFlow::Break(call.fail(FailureKind::Deadline, None)),
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
    fn poll_next_attempt<C, H, K, N>(
        self: Pin<&mut Self>,
        call: Pin<&mut Call<'_, C, H, K, N>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<H::Returned>>
    where
        C: Into<Policy> + Copy,
        H: Handler<T::Output>,
        N: ToolName,
    {
        let mut this = self.project();
        if this.timer.is_some() {
            ready!(poll_timer(this.timer.as_mut(), cx));
            this.timer.set(None);
        } else {
            // Without a delay a tool that fails at once would never let go of its thread.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        let Some(last) = this.stage.as_mut().take_last() else {
            panic!("a call was polled after it had ended");
        };
        Poll::Ready(match call.admit_again(last) {
            Ok(()) => {
                this.stage.set(Stage::Idle);
                ControlFlow::Continue(())
            }
            Err(returned) => {
                this.stage.set(Stage::Ended);
                ControlFlow::Break(returned)
            }
        })
    }

    /// Ends the call because its caller gave it up: nothing is counted.
    #[cold]
    fn cancel<C, H, K, N>(self: Pin<&mut Self>, mut call: Pin<&mut Call<'_, C, H, K, N>>) -> H::Returned
    where
        C: Into<Policy> + Copy,
        H: Handler<T::Output>,
        N: ToolName,
    {
        let mut this = self.project();
        call.as_mut().resolve(Verdict::Ignore);
        let last = this.stage.as_mut().take_last();
        // What a panic in the tool's destructor says no longer matters to anybody.
        let _ = guard(|| this.stage.set(Stage::Ended));
        this.timer.set(None);
        match last {
            Some(last) => call.conclude_with(last, None),
            None => call.fail(FailureKind::Cancelled, None),
        }
    }
}

impl<T, R> Stage<T, R> {
    /// Takes what the last attempt left behind, while the next is waited for.
    fn take_last(self: Pin<&mut Self>) -> Option<Last<R>> {
        match self.project() {
            StageProjection::Waiting { last } => last.take(),
            _ => None,
        }
    }
}

pin_project! {
    /// Resolves to what the caller gets, or to nothing once the next attempt may begin.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Attempt<'c, 'b, C, H, K, N, S, T: Future> {
        call: Pin<&'c mut Call<'b, C, H, K, N>>,
        start: Option<S>,
        #[pin]
        run: Run<T, T::Output>,
    }
}

impl<'c, 'b, C, H, K, N, S, T: Future> Attempt<'c, 'b, C, H, K, N, S, T> {
    #[inline]
    pub(crate) fn new(call: Pin<&'c mut Call<'b, C, H, K, N>>, start: S) -> Self {
        Attempt {
            call,
            start: Some(start),
            run: Run::new(),
        }
    }
}

impl<C, H, K, N, S, T> Future for Attempt<'_, '_, C, H, K, N, S, T>
where
    C: Into<Policy> + Copy,
    H: Handler<T::Output>,
    K: Future<Output = ()>,
    N: ToolName,
    S: FnOnce(bool) -> T,
    T: Future,
{
    type Output = ControlFlow<H::Returned>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let start = |more| match this.start.take() {
            Some(start) => start(more),
            None => unreachable!("a run is started once"),
        };
        this.run.poll(this.call.as_mut(), start, cx)
    }
}

/// Polls the limit of a tool that has to wait, and arms it at the first time. Out of line: a tool that is ready at once does
/// not get here.
#[inline(never)]
fn poll_limit<C, H, K, N>(
    mut timer: Pin<&mut Option<Sleep>>,
    call: Pin<&mut Call<'_, C, H, K, N>>,
    cx: &mut Context<'_>,
) -> Poll<()>
where
    C: Into<Policy> + Copy,
    N: ToolName,
{
    if timer.is_none() {
        timer.set(Some(sleep_until(call.limit())));
    }
    poll_timer(timer, cx)
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
    text::plain(text.unwrap_or("no message"))
}
