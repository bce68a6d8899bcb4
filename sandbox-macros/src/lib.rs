//! The `#[sandboxed]` attribute of [`sandbox-runtime`](https://docs.rs/sandbox-runtime), which re-exports it. Depend on
//! that crate; this one is of no use without it.

mod args;
mod errors;
mod expand;
mod item;
mod types;

use proc_macro::TokenStream;

/// Runs an async tool function with a time limit for each attempt, retries with exponential backoff, and a circuit breaker.
///
/// ```
/// # use sandbox_runtime::sandboxed;
/// #[sandboxed(timeout_ms = 5_000, max_retries = 2, backoff_base_ms = 100)]
/// async fn search(query: String) -> Result<Vec<String>, String> {
///     // ..
/// #   Ok(vec![query])
/// }
/// ```
///
/// The function keeps its name, signature, docs and error type. Its body becomes a closure that `execute_with_controls` runs
/// for each attempt; `?` and `return` in it end the attempt. Written by hand, the function above would be:
///
/// ```
/// # use sandbox_runtime::{CircuitBreaker, Policy, Tool, execute_with_controls};
/// # use std::time::Duration;
/// async fn search(query: String) -> Result<Vec<String>, String> {
///     const POLICY: Policy = Policy::new()
///         .timeout(Duration::from_millis(5_000))
///         .max_retries(2)
///         .backoff_base(Duration::from_millis(100));
///     static BREAKER: CircuitBreaker = CircuitBreaker::new(CircuitBreaker::DEFAULT_THRESHOLD);
///     let tool = Tool::new("search", || {
///         let query = query.clone();
///         async move {
///             // ..
/// #           Ok(vec![query])
///         }
///     });
///     execute_with_controls(&POLICY, &BREAKER, tool).await
/// }
/// ```
///
/// # Arguments
///
/// Each is a literal or a constant expression of the type named. Bad ones are compile errors, constants included.
///
/// | argument | type | default | meaning |
/// |---|---|---|---|
/// | `timeout_ms` | `u64` | 30,000 | the longest that one attempt may take, in milliseconds; at least 1 |
/// | `max_retries` | `u32` | 2 | how many attempts may follow the first |
/// | `backoff_base_ms` | `u64` | 500 | the delay before the first retry, in milliseconds; it doubles before each further one |
/// | `breaker(threshold = ..)` | `u32` | 5 | failures in a row that open the breaker; at least 1 |
/// | `breaker(cooldown_ms = ..)` | `u64` | 30,000 | how long an open breaker refuses, in milliseconds |
///
/// # Functions
///
/// It goes on `async fn`s, free or with `&self`, that return a `Result<T, E>`, by any alias, with `E: From<SandboxError>`.
/// The future is `Send` exactly when the function's own was.
///
/// Every attempt starts from the arguments as the caller gave them. They are cloned while a further attempt may follow;
/// the last attempt gets them themselves. With `max_retries = 0` they move and need no `Clone`.
///
/// # Limits
///
/// - There is one breaker for each function: all callers, all threads, all instances of its type and all its generic
///   instances share it.
/// - A tool is interrupted where it awaits. One that blocks its thread is not interrupted: run blocking work in
///   `tokio::task::spawn_blocking`.
#[proc_macro_attribute]
pub fn sandboxed(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::sandboxed(args.into(), item.into()).into()
}
