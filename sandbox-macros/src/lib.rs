//! The `#[sandboxed]` attribute of [`sandbox-runtime`](https://docs.rs/sandbox-runtime), which re-exports it. Depend on
//! that crate; this one is of no use without it.

mod args;
mod errors;
mod expand;
#[cfg(test)]
mod golden;
mod item;
mod rename;
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
/// Numbers are literals or constant expressions; times are in milliseconds. What makes no sense, alone or together, is a
/// compile error, constants included. The second column is what the argument stands for in the code above.
///
/// | argument | by hand | default |
/// |---|---|---|
/// | `timeout_ms = 5_000` | `Policy::timeout`: the longest that one attempt may take, from when it first has to wait | 30,000 |
/// | `max_retries = 2` | `Policy::max_retries`: how many attempts may follow the first | 2 |
/// | `backoff_base_ms = 100` | `Policy::backoff_base`: the delay before the first retry; it doubles before each further one | 500 |
/// | `backoff_max_ms = 10_000` | `Policy::backoff_max`: what no delay exceeds, jitter included | none |
/// | `jitter = full` | `Policy::jitter`: `none`, `full` (nothing to the whole delay) or `equal` (half of it to the whole) | `none` |
/// | `deadline_ms = 60_000` | `Policy::deadline`: the longest that the whole call may take | none |
/// | `idempotent = false` | `Policy::idempotent`: never run again after a timeout, whose effect is unknown | `true` |
/// | `retry_if = E::is_transient` | `Tool::retry_if`: `Fn(&E) -> bool`; other errors end the call, as failures | every error |
/// | `ignore_if = E::is_callers_fault` | `Tool::ignore_if`: `Fn(&E) -> bool`; such errors are given back and leave no mark on the breaker | none |
/// | `classify = verdict` | `Tool::classify`: `Fn(&R) -> Verdict`, for the declared return type `R` | `Err` is retried |
/// | `on_failure = say` | `Tool::on_failure`: `Fn(Failure) -> R`, for return types that no failure can be made | `From<SandboxError>`; of a `String`, the text for the model |
/// | `cancel = token` | `Tool::cancelled_by(token.cancelled())`, of a clone of the token: give the token itself, anything with `clone()` and `cancelled()` | nothing |
/// | `name = "search"` | the name in `Tool::new` | the function's |
/// | `breaker(threshold = 5)` | `CircuitBreaker::new`: failures in a row that open it | 5 |
/// | `breaker(window = 20, failure_rate = 0.5)` | `CircuitBreaker::windowed`: that share of the last results opens it | |
/// | `breaker(cooldown_ms = 30_000)` | `CircuitBreaker::cooldown`: for how long it is open | 30,000 |
/// | `breaker(cooldown_max_ms = 300_000)` | `CircuitBreaker::cooldown_max`: up to which that doubles at each failed probe | no growth |
/// | `breaker(probes = 1)` | `CircuitBreaker::probes`: successes that close it, and attempts let in at a time until then | 1 |
/// | `breaker = off` | `CircuitBreaker::disabled` | |
/// | `breaker = &self.breaker` | any expression for a `&CircuitBreaker`, evaluated once at the beginning of each call | |
/// | `crate = path` | where the runtime is, when it is not `::sandbox_runtime` | |
///
/// Functions are given as paths or as closures:
///
/// ```
/// # use sandbox_runtime::{CircuitBreaker, SandboxError, sandboxed};
/// # #[derive(Debug)] enum FetchError { Status(u16), Sandbox(SandboxError) }
/// # impl From<SandboxError> for FetchError { fn from(error: SandboxError) -> Self { FetchError::Sandbox(error) } }
/// static INDEX: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);
///
/// #[sandboxed(retry_if = |error| matches!(error, FetchError::Status(500..)), breaker = &INDEX)]
/// async fn fetch(page: u32) -> Result<String, FetchError> {
///     // ..
/// #   Ok(page.to_string())
/// }
///
/// #[sandboxed(on_failure = |failure| format!("the weather is not known: {failure}"))]
/// async fn weather(city: String) -> String {
///     // ..
/// #   city
/// }
/// ```
///
/// # Functions
///
/// It goes on `async fn`s, free or in an `impl` or a trait, and on functions that return a boxed future (as `#[async_trait]`
/// makes them), a `BoxFuture` or an `impl Future`. They return a `Result<T, E>`, by any alias, with
/// `E: From<SandboxError>` or `String`, or anything else with `on_failure`. The future is `Send` exactly when the function's own was.
///
/// Every attempt starts from the arguments as the caller gave them, the receiver included. They are cloned while a further
/// attempt may follow; the last attempt gets them themselves. With `max_retries = 0` they move and need no `Clone`. Of a
/// destructured argument its parts are cloned and not the whole.
///
/// What cannot be cloned because it is a `&mut` is lent to one attempt after the other, which see what earlier ones have
/// written.
///
/// # Limits
///
/// - There is one breaker for each function: all callers, all threads, all instances of its type and all its generic
///   instances share it. Give `breaker = ..` where instances, or hosts, are to have their own.
/// - A tool is interrupted where it awaits. One that blocks its thread is not interrupted: run blocking work in
///   `tokio::task::spawn_blocking`. It goes on there after the limit, beside the next attempt: if that matters, set
///   `max_retries = 0` or `idempotent = false`.
/// - A call that has to wait outside a tokio runtime with time enabled panics.
/// - Other attributes on the function stand above or below. One that reads the function's text, as `#[tool]` of `rmcp` does,
///   goes below, and sees it as it was written; so does `#[tokio::test]`.
/// - The functions given to `retry_if`, `ignore_if`, `classify` and `on_failure` cannot name an argument that is not `Copy`: it belongs
///   to the attempts. `breaker` and `cancel` can, for they are evaluated before.
/// - Constant expressions cannot name `Self` or generic parameters.
/// - In a method that takes `self` by value or by `&mut`, `self` goes by the name `this` in the compiler's messages.
/// - With retries, a function cannot return what it borrows from a `&mut` argument: the next attempt could not have it.
#[proc_macro_attribute]
pub fn sandboxed(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::sandboxed(args.into(), item.into()).into()
}

/// The rules about numbers for the runtime, which expands this once; not for anybody else.
#[doc(hidden)]
#[proc_macro]
pub fn rules(_input: TokenStream) -> TokenStream {
    args::rules().into()
}
