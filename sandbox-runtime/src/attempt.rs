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
        // The breaker has not been asked yet. A stage of its own, so that the first attempt of a tool that is ready at once
        // looks at nothing else.
        New,
        // The breaker has admitted the attempt that is to begin.
        Admitted,
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

/// What a poll has come to that was no success.
#[derive(Debug)]
pub(crate) enum Setback<R> {
    Cancelled,
    Pending,
    Failed(R, Verdict),
    Panicked(String),
}

impl<T: Future> Run<T, T::Output> {
    /// A run that asks the breaker, unless it `is_admitted` already.
    #[inline]
    pub(crate) fn new(is_admitted: bool) -> Self {
        Run {
            stage: if is_admitted { Stage::Admitted } else { Stage::New },
            timer: None,
        }
    }

    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        matches!(self.stage, Stage::New)
    }

    fn is_admitted(&self) -> bool {
        matches!(self.stage, Stage::Admitted)
    }

    /// Begins the attempt that `start` makes, and polls it for the first time. `more`: whether another may follow.
    #[inline(always)]
    pub(crate) fn begin<H>(
        self: Pin<&mut Self>,
        handler: &H,
        more: bool,
        start: impl FnOnce(bool) -> T,
        cx: &mut Context<'_>,
    ) -> Result<T::Output, Setback<T::Output>>
    where
        H: Handler<T::Output>,
    {
        let begin = |mut stage: Pin<&mut Stage<T, T::Output>>| stage.set(Stage::Running { tool: start(more) });
        self.poll_tool(handler, begin, cx)
    }

    #[inline(always)]
    fn poll_tool<H>(
        self: Pin<&mut Self>,
        handler: &H,
        begin: impl FnOnce(Pin<&mut Stage<T, T::Output>>),
        cx: &mut Context<'_>,
    ) -> Result<T::Output, Setback<T::Output>>
    where
        H: Handler<T::Output>,
    {
        let mut stage = self.project().stage;
        // One guard for all code of the tool's, and what it yields past the guard and not through it: each costs some
        // nanoseconds.
        let mut answered = None;
        let guarded = guard(|| {
            begin(stage.as_mut());
            if let StageProjection::Running { tool } = stage.as_mut().project()
                && let Poll::Ready(answer) = tool.poll(cx)
            {
                answered = Some((handler.verdict(&answer), answer));
                stage.set(Stage::Ended);
            }
        });
        if let Err(message) = guarded {
            return Err(Setback::Panicked(message));
        }
        match answered {
            Some((Verdict::Success, answer)) => Ok(answer),
            Some((verdict, answer)) => Err(Setback::Failed(answer, verdict)),
            None => Err(Setback::Pending),
        }
    }

    /// Goes on after `setback`, or, without one, with what there is to wait for. Resolves to what the caller gets, or to
    /// nothing once the next attempt may begin.
    // It has one caller for each tool, and each function around it would move the result once more.
    #[inline(always)]
    pub(crate) fn go_on<C, H, K, N>(
        mut self: Pin<&mut Self>,
        mut call: Pin<&mut Call<'_, C, H, K, N>>,
        setback: Option<Setback<T::Output>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<H::Returned>>
    where
        C: Into<Policy> + Copy,
        H: Handler<T::Output>,
        K: Future<Output = ()>,
        N: ToolName,
    {
        let setback = match setback {
            Some(setback) => setback,
            None if call.as_mut().poll_cancelled(cx).is_ready() => Setback::Cancelled,
            None => match self.as_mut().project().stage.project() {
                StageProjection::New => {
                    let admitted = call.admit();
                    return Poll::Ready(self.admitted(admitted));
                }
                StageProjection::Running { .. } => match self.as_mut().poll_tool(call.handler(), |_| (), cx) {
                    Ok(answer) => return Poll::Ready(ControlFlow::Break(call.succeed(answer))),
                    Err(setback) => setback,
                },
                _ => return self.poll_next_attempt(call, cx),
            },
        };
        let (last, verdict) = match setback {
            Setback::Cancelled => return Poll::Ready(ControlFlow::Break(self.cancel(call))),
            Setback::Pending => {
                ready!(poll_limit(self.as_mut().project().timer, call.as_mut(), cx));
                (Ok(Last::TimedOut), Verdict::RETRY)
            }
            Setback::Failed(answer, verdict) => (Ok(Last::Answered(answer)), verdict),
            Setback::Panicked(message) => (Err(message), Verdict::Fail),
        };
        match self.as_mut().settle(call.as_mut(), last, verdict) {
            ControlFlow::Break(returned) => Poll::Ready(ControlFlow::Break(returned)),
            ControlFlow::Continue(()) => self.poll_next_attempt(call, cx),
        }
    }

    /// Ends a run that did not succeed: tells the breaker, then ends the call or starts the wait. `last` is the message if
    /// the tool panicked.
    fn settle<C, H, K, N>(
        self: Pin<&mut Self>,
        mut call: Pin<&mut Call<'_, C, H, K, N>>,
        last: Result<Last<T::Output>, String>,
        verdict: Verdict,
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
        let last = match (last, dropped) {
            (Ok(last), Ok(())) => last,
            (Err(message), _) | (_, Err(message)) => {
                call.as_mut().resolve(Verdict::Fail);
                return ControlFlow::Break(call.fail(FailureKind::Panic, Some(message)));
            }
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
    fn poll_next_attempt<C, H, K, N>(
        mut self: Pin<&mut Self>,
        mut call: Pin<&mut Call<'_, C, H, K, N>>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<H::Returned>>
    where
        C: Into<Policy> + Copy,
        H: Handler<T::Output>,
        K: Future<Output = ()>,
        N: ToolName,
    {
        let mut this = self.as_mut().project();
        if this.timer.is_some() {
            ready!(poll_timer(this.timer.as_mut(), cx));
            this.timer.set(None);
        } else {
            // The call may have been cancelled by the attempt that has just ended in this very poll.
            if call.as_mut().poll_cancelled(cx).is_ready() {
                return Poll::Ready(ControlFlow::Break(self.cancel(call)));
            }
            // Without a delay a tool that fails at once would never let go of its thread.
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        let Some(last) = this.stage.as_mut().take_last() else {
            panic!("a call was polled after it had ended");
        };
        let admitted = call.admit_again(last);
        Poll::Ready(self.admitted(admitted))
    }

    /// What follows the breaker's answer: the attempt, or the end of the call.
    fn admitted<E>(self: Pin<&mut Self>, admitted: Result<(), E>) -> ControlFlow<E> {
        let mut stage = self.project().stage;
        match admitted {
            Ok(()) => {
                stage.set(Stage::Admitted);
                ControlFlow::Continue(())
            }
            Err(returned) => {
                stage.set(Stage::Ended);
                ControlFlow::Break(returned)
            }
        }
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
            Some(last) => call.conclude_instead(last, None),
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
            run: Run::new(call.is_admitted()),
            call,
            start: Some(start),
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
        let mut this = self.project();
        let mut setback = None;
        loop {
            if this.run.is_admitted()
                && let Some(start) = this.start.take()
            {
                let more = this.call.more_may_follow();
                match this.run.as_mut().begin(this.call.handler(), more, start, cx) {
                    Ok(answer) => return Poll::Ready(ControlFlow::Break(this.call.as_mut().succeed(answer))),
                    Err(other) => setback = Some(other),
                }
            }
            let next = ready!(this.run.as_mut().go_on(this.call.as_mut(), setback.take(), cx));
            if next.is_break() || this.start.is_none() {
                return Poll::Ready(next);
            }
        }
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
