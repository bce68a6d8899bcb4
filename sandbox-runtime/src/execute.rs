//! [`execute_with_controls`]: the engine's entry.

use std::future::Future;

use crate::breaker::CircuitBreaker;
use crate::call::{Call, CallControls};
use crate::policy::Policy;
use crate::tool::{Function, Handler, IntoTool, Tool, ToolLabel};

/// What one attempt of a tool resolves to.
type AttemptOutput<T> = <<<T as IntoTool>::Function as Function>::Attempt as Future>::Output;

/// Runs a tool with a time limit for each attempt, retries with exponential backoff, and a circuit breaker.
///
/// Returns `Result<ToolExecutionResult, SandboxError>` for a closure that answers with JSON, and the tool's own type for a
/// [`Tool`](crate::Tool).
///
/// `config` is a [`SandboxConfig`](crate::SandboxConfig) or a [`Policy`], by value or by reference. `tool` is a closure that
/// returns a future of `Result<serde_json::Value, String>` and is called once for each attempt, or a [`Tool`](crate::Tool), which
/// has types of its own.
///
/// The breaker admits each attempt, and counts its result. An open breaker ends the call at once, without a delay. A panic in
/// the tool is caught, counts as a failure and is not retried (a program that is built with `panic = "abort"` still aborts).
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
/// The call of a plain closure returns an error when the tool itself has no result to report:
///
/// - [`Timeout`](crate::SandboxError::Timeout) when the last attempt reached its time limit,
/// - [`CircuitBreakerOpen`](crate::SandboxError::CircuitBreakerOpen) when the breaker refused an attempt, the first or a later
///   one,
/// - [`DeadlineExceeded`](crate::SandboxError::DeadlineExceeded) when the deadline interrupted an attempt or the run was over,
/// - [`Panicked`](crate::SandboxError::Panicked) when the tool panicked,
/// - [`Overloaded`](crate::SandboxError::Overloaded) or [`RateLimited`](crate::SandboxError::RateLimited) when limits held it back for
///   longer than it may wait, [`CallBudgetSpent`](crate::SandboxError::CallBudgetSpent) when its run has made all of its calls,
/// - [`Cancelled`](crate::SandboxError::Cancelled) when its caller or its request was cancelled.
///
/// If the last attempt returned an error, the call returns `Ok` with `success: false`.
///
/// The call of a [`Tool`](crate::Tool) returns the error of the last attempt whenever that attempt returned one, also when the
/// breaker stopped the call. Otherwise its error is made from a [`SandboxError`](crate::SandboxError).
///
/// # Panics
///
/// Panics outside a tokio runtime with time enabled, as soon as the tool has to wait or a delay is due. A panic in a function
/// given to [`classify`](crate::Tool::classify), [`retry_if`](crate::Tool::retry_if) or [`ignore_if`](crate::Tool::ignore_if)
/// counts as a panic of the tool. A panic in one given to [`on_failure`](crate::Tool::on_failure) reaches the caller.
///
/// # Cancellation
///
/// Dropping the future drops the attempt under way. It counts for nothing; a probe frees its slot, and a call its place, at once.
#[inline(always)]
pub fn execute_with_controls<'b, C, T>(
    config: C,
    breaker: &'b CircuitBreaker,
    tool: T,
) -> impl Future<Output = <T::Handler as Handler<AttemptOutput<T>>>::Returned> + use<'b, C, T>
where
    C: Into<Policy> + Copy,
    T: IntoTool,
    // A bound here and not in `IntoTool`, so that the compiler reports an unfit return type as such.
    T::Handler: Handler<AttemptOutput<T>>,
{
    execute_tool(config, breaker, tool.into_tool())
}

/// [`execute_with_controls`] for what is a [`Tool`]. Generated code calls it as that: where no part of the tool has to be looked up
/// through [`IntoTool`], a crate of tools is checked in nine tenths of the time.
#[inline(always)]
pub fn execute_tool<'b, C, F, A, R, H, K, L>(
    config: C,
    breaker: &'b CircuitBreaker,
    tool: Tool<F, H, K, L>,
) -> impl Future<Output = H::Returned> + use<'b, C, F, A, R, H, K, L>
where
    C: Into<Policy> + Copy,
    F: Function<Attempt = A>,
    A: Future<Output = R>,
    H: Handler<R>,
    K: Future<Output = ()>,
    L: ToolLabel,
{
    let (controls, function) = CallControls::new(config, breaker, tool);
    Call::new(controls, function)
}
