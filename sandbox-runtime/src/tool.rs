//! [`Tool`]: a function that can be called once for each attempt, and what its results mean.

use std::fmt;
use std::future::Future;

use serde_json::Value;

use crate::outcome::{Report, Typed};

/// A named tool with its own types: what the attribute makes of a function, to write by hand.
///
/// ```
/// # use sandbox_runtime::{execute_with_controls, CircuitBreaker, Policy, Tool};
/// # async fn fetch(query: String) -> Result<Vec<String>, std::io::Error> { Ok(vec![query]) }
/// static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
///
/// # async fn search(query: String) -> Result<Vec<String>, std::io::Error> {
/// let hits = execute_with_controls(Policy::new(), &BREAKER, Tool::new("search", || fetch(query.clone()))).await?;
/// # Ok(hits) }
/// ```
#[derive(Clone, Copy)]
pub struct Tool<F, H> {
    pub(crate) name: &'static str,
    pub(crate) function: F,
    pub(crate) handler: H,
}

impl<F> Tool<F, Typed> {
    /// A tool of any `Result<T, E>` with `E: From<SandboxError>`. `function` is called once for each attempt.
    #[inline]
    pub const fn new<Fut>(name: &'static str, function: F) -> Self
    where
        F: FnMut() -> Fut,
        Fut: Future,
    {
        Tool {
            name,
            function,
            handler: Typed,
        }
    }
}

impl<F, H> fmt::Debug for Tool<F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What [`execute_with_controls`](crate::execute_with_controls) runs: a [`Tool`], or a closure that makes futures of
/// `Result<serde_json::Value, String>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    label = "expected a `Tool`, or a closure that returns a future of `Result<serde_json::Value, String>`",
    note = "wrap a closure with other types in `Tool::new(\"name\", ..)`"
)]
pub trait IntoTool {
    /// One attempt.
    type Attempt: Future;
    /// Begins one attempt.
    type Function: FnMut() -> Self::Attempt;
    /// Reads the results.
    type Handler;
    /// The tool.
    fn into_tool(self) -> Tool<Self::Function, Self::Handler>;
}

impl<F, Fut> IntoTool for F
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Value, String>>,
{
    type Attempt = Fut;
    type Function = F;
    type Handler = Report;

    #[inline]
    fn into_tool(self) -> Tool<F, Report> {
        Tool {
            name: "tool",
            function: self,
            handler: Report,
        }
    }
}

impl<F, Fut, H> IntoTool for Tool<F, H>
where
    F: FnMut() -> Fut,
    Fut: Future,
{
    type Attempt = Fut;
    type Function = F;
    type Handler = H;

    #[inline]
    fn into_tool(self) -> Tool<F, H> {
        self
    }
}
