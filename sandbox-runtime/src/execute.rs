//! [`execute_with_controls`]: the engine's loop. Outer to inner: cancellation and deadline, retry, breaker, time limit,
//! tool.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::attempt::{Run, Setback};
use crate::breaker::CircuitBreaker;
use crate::call::Call;
use crate::outcome::Handler;
use crate::policy::Policy;
use crate::tool::{Function, IntoTool, ToolName};

/// What one attempt of a tool resolves to.
type Answer<T> = <<<T as IntoTool>::Function as Function>::Attempt as Future>::Output;

/// Runs a tool with a time limit for each attempt, retries with exponential backoff, and a circuit breaker.
///
/// Returns `Result<ToolExecutionResult, SandboxError>` for a closure that answers with JSON, and the tool's own type for a
/// [`Tool`](crate::Tool).
///
/// `config` is a [`SandboxConfig`](crate::SandboxConfig) or a [`Policy`], by value or by reference. `tool` is a closure
/// that makes futures of `Result<serde_json::Value, String>`, called once for each attempt, or a [`Tool`](crate::Tool), which
/// has types of its own.
///
/// The breaker is asked before each attempt and told after it. An open breaker ends the call at once, without waiting out
/// a backoff. A panic in the tool is caught, counts as a failure and is not retried (a program built with
/// `panic = "abort"` still aborts).
///
/// ```
/// use sandbox_runtime::{execute_with_controls, CircuitBreaker, SandboxConfig};
/// use serde_json::json;
///
/// static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sandbox_runtime::SandboxError> {
/// let config = SandboxConfig { timeout_ms: 1_000, max_retries: 2, backoff_base_ms: 10 };
/// let result = execute_with_controls(&config, &BREAKER, || async { Ok(json!({ "answer": 42 })) }).await?;
/// assert!(result.success && result.attempts == 1);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// A plain closure's call is an error when there is nothing of the tool's own to report:
/// [`Timeout`](crate::SandboxError::Timeout) when the last attempt ran into its limit,
/// [`CircuitBreakerOpen`](crate::SandboxError::CircuitBreakerOpen) when the breaker refused an attempt, the first or a
/// further one, [`DeadlineExceeded`](crate::SandboxError::DeadlineExceeded) when the deadline cut an attempt short or the run was over,
/// [`Panicked`](crate::SandboxError::Panicked) when the tool panicked. A tool that returned an error to the end is
/// `Ok` with `success: false`.
///
/// A [`Tool`](crate::Tool)'s call returns the last attempt's own error whenever that attempt returned one, also when the breaker
/// has stopped the call; otherwise its error type is made from a [`SandboxError`](crate::SandboxError).
///
/// # Panics
///
/// Outside a tokio runtime with time enabled, as soon as the tool has to wait or a delay is due. A panic in a classifier counts
/// as one of the tool's; one in a function given to [`on_failure`](crate::Tool::on_failure) goes through to the caller.
///
/// # Cancellation
///
/// Dropping the future drops the attempt under way and counts for nothing; a probe's place is free at once.
pub fn execute_with_controls<'b, C, T>(
    config: C,
    breaker: &'b CircuitBreaker,
    tool: T,
) -> impl Future<Output = <T::Handler as Handler<Answer<T>>>::Returned> + use<'b, C, T>
where
    C: Into<Policy> + Copy,
    T: IntoTool,
    // Here and not in `IntoTool`, so that an unfit return type is told as such.
    T::Handler: Handler<Answer<T>>,
{
    let (call, function) = Call::new(config, breaker, tool.into_tool());
    Execution {
        call,
        function,
        run: Run::new(false),
    }
}

pin_project! {
    // A future by hand and not an `async` block, which would keep the call's parts twice: as it was given them, and pinned.
    struct Execution<'b, C, F, H, K, N, T: Future> {
        #[pin]
        call: Call<'b, C, H, K, N>,
        function: F,
        #[pin]
        run: Run<T, T::Output>,
    }
}

impl<C, F, H, K, N, T> Future for Execution<'_, C, F, H, K, N, T>
where
    C: Into<Policy> + Copy,
    F: Function<Attempt = T>,
    H: Handler<T::Output>,
    K: Future<Output = ()>,
    N: ToolName,
    T: Future,
{
    type Output = H::Returned;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let setback = match self.run.is_new() {
            true => match self.as_mut().begin(cx) {
                Ok(returned) => return Poll::Ready(returned),
                Err(setback) => setback,
            },
            false => None,
        };
        // Through a reference: a function that returned it would write to where this one's result is, and so keep what `begin`
        // returns out of registers. That took five nanoseconds.
        let mut returned = None;
        self.go_on(setback, cx, &mut returned);
        match returned {
            Some(returned) => Poll::Ready(returned),
            None => Poll::Pending,
        }
    }
}

impl<C, F, H, K, N, T> Execution<'_, C, F, H, K, N, T>
where
    C: Into<Policy> + Copy,
    F: Function<Attempt = T>,
    H: Handler<T::Output>,
    K: Future<Output = ()>,
    N: ToolName,
    T: Future,
{
    /// The whole of a call whose breaker is closed and whose tool succeeds at once. What it costs is memory written: so the
    /// admission and the count are not, until it turns out otherwise.
    #[inline(always)]
    fn begin(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<H::Returned, Option<Setback<T::Output>>> {
        let mut this = self.project();
        if this.call.as_mut().poll_cancelled(cx).is_ready() {
            return Err(Some(Setback::Cancelled));
        }
        let Some(admission) = this.call.as_mut().admit_if_closed() else {
            return Err(None);
        };
        let start = |more| this.function.begin(more);
        match this
            .run
            .begin(this.call.handler(), this.call.more_may_follow_the(1), start, cx)
        {
            Ok(answer) => Ok(this.call.succeed_at_once(admission, answer)),
            Err(setback) => {
                this.call.begin(admission);
                Err(Some(setback))
            }
        }
    }

    /// What is left of every other call.
    #[inline(never)]
    fn go_on(
        self: Pin<&mut Self>,
        mut setback: Option<Setback<T::Output>>,
        cx: &mut Context<'_>,
        returned: &mut Option<H::Returned>,
    ) {
        let mut this = self.project();
        loop {
            match this.run.as_mut().go_on(this.call.as_mut(), setback, cx) {
                Poll::Pending => return,
                Poll::Ready(ControlFlow::Break(value)) => {
                    *returned = Some(value);
                    return;
                }
                Poll::Ready(ControlFlow::Continue(())) => {}
            }
            let start = |more| this.function.begin(more);
            let more = this.call.more_may_follow();
            match this.run.as_mut().begin(this.call.handler(), more, start, cx) {
                Ok(answer) => {
                    *returned = Some(this.call.succeed(answer));
                    return;
                }
                Err(other) => setback = Some(other),
            }
        }
    }
}
