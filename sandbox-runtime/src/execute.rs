//! [`execute_with_controls`]: the engine's entry.

use std::future::Future;

use crate::breaker::CircuitBreaker;
use crate::call::{Call, CallControls};
use crate::policy::Policy;
use crate::tool::{Function, Handler, IntoTool};

/// What one attempt of a tool resolves to.
type AttemptOutput<T> = <<<T as IntoTool>::Function as Function>::Attempt as Future>::Output;

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
#[inline(always)]
pub fn execute_with_controls<'b, C, T>(
    config: C,
    breaker: &'b CircuitBreaker,
    tool: T,
) -> impl Future<Output = <T::Handler as Handler<AttemptOutput<T>>>::Returned> + use<'b, C, T>
where
    C: Into<Policy> + Copy,
    T: IntoTool,
    // Here and not in `IntoTool`, so that an unfit return type is told as such.
    T::Handler: Handler<AttemptOutput<T>>,
{
    let (controls, function) = CallControls::new(config, breaker, tool.into_tool());
    Call::new(controls, function)
}
