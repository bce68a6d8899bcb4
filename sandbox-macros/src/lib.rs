//! The `#[sandboxed]` attribute and `#[derive(ErrorVerdict)]` of the crate `sandbox-runtime`, which re-exports them. Depend on that
//! crate: the expansions need it.

mod args;
mod block;
mod errors;
mod expand;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod half_typed;
mod item;
mod types;
mod verdict;

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
/// compile error, constants included. The second column is what to write in the code above.
///
/// | argument | by hand | default |
/// |---|---|---|
/// | `timeout_ms = 5_000` | `Policy::timeout`: the longest that one attempt may take, from when it first has to wait; or `off` | 30,000 |
/// | `max_retries = 2` | `Policy::max_retries`: how many attempts may follow the first | 2 |
/// | `backoff_base_ms = 100` | `Policy::backoff_base`: the delay before the first retry; it doubles before each further one | 500 |
/// | `backoff_max_ms = 10_000` | `Policy::backoff_max`: the longest delay, jitter included | no limit |
/// | `jitter = full` | `Policy::jitter`: `none`, `full` (nothing to the whole delay) or `equal` (half of it to the whole) | `none` |
/// | `deadline_ms = 60_000` | `Policy::deadline`: the longest that the whole call may take | no limit |
/// | `idempotent = false` | `Policy::idempotent`: run again only after an error that is said to be safe: by `retry_if`, by `classify` or by its type | what the hints of rmcp's `#[tool]` below say, or else `true` |
/// | `max_concurrent = 8` | `Policy::max_concurrent`: how many calls are made at a time; further ones queue | no limit |
/// | `rate(calls = 10, per_ms = 1_000)` | `Policy::rate`: how many attempts begin in any length of time that is as long as this | no limit |
/// | `rate(.., scope = fleet)` | `Policy::rate_scope`: whose attempts are counted: those of this `process`, or of all replicas of a `fleet`, which needs the feature `fleet` | `process` |
/// | `queue_ms = 1_000` | `Policy::queue`: the longest that a call waits where it is held back: by `max_concurrent`, by `rate`, or by a dependency that has asked to wait | `timeout_ms` |
/// | `policy = self.policy` | an expression for the whole `Policy`, or a `SandboxConfig`, by value or by reference; see [below](#settings-known-at-run-time) | |
/// | `retry_if = E::is_transient` | `Tool::retry_if`: `Fn(&E) -> bool`; other errors end the call, as failures | [what `E` means](derive@ErrorVerdict), or else every error |
/// | `ignore_if = E::is_callers_fault` | `Tool::ignore_if`: `Fn(&E) -> bool`; such errors are returned at once and do not count for the breaker | what `E` means, or else no error |
/// | `classify = verdict` | `Tool::classify`: `Fn(&R) -> Verdict`, for the declared return type `R` | what `E` means, or else `Err` is retried |
/// | `on_failure = answer` | `Tool::on_failure`: `Fn(Failure) -> R`, for return types that cannot be made from a failure otherwise | `From<SandboxError>`; for a `String`, the text for the model |
/// | `is_error = retry` | of tools that return rmcp's `CallToolResult`: a result that is marked as an error is the `last_word`, or a failure to `retry` | `last_word` |
/// | `cancel = token` | `Tool::cancelled_by(token.cancelled())` with a clone of the token; any value with `clone()` and `cancelled()` will do | never cancelled |
/// | `name = "search"` | the name in `Tool::new`; or a constant, such as `Self::NAME` | that of rmcp's `#[tool(name = "..")]` below, or else the function's |
/// | `breaker(threshold = 5)` | `CircuitBreaker::new`: failures in a row that open it | 5 |
/// | `breaker(window = 20, failure_rate = 0.5)` | `CircuitBreaker::windowed`: the share of failures among the last results that opens it | |
/// | `breaker(cooldown_ms = 30_000)` | `CircuitBreaker::cooldown`: how long it stays open | 30,000 |
/// | `breaker(cooldown_max_ms = 300_000)` | `CircuitBreaker::cooldown_max`: the limit up to which the cooldown doubles at each failed probe | no growth |
/// | `breaker(probes = 1)` | `CircuitBreaker::probes`: how many successes close it, and how many attempts pass at a time until then | 1 |
/// | `breaker(count = attempts)` | `CircuitBreaker::counting`: whether an error that a retry follows is counted: `calls`, or `attempts` | `calls` |
/// | `breaker(slow_call_ms = 2_000)` | `CircuitBreaker::slow_call`: a success that took longer, from when its attempt first had to wait, is a failure for the breaker | no success is slow |
/// | `breaker(forget_ms = 60_000)` | `CircuitBreaker::forget_after`: a failure that comes more than that behind the last one begins a new row; not with `window` | a row lasts until a success |
/// | `breaker = off` | `CircuitBreaker::disabled` | |
/// | `breaker = &self.breaker` | an expression for a `&CircuitBreaker` or an `Arc<CircuitBreaker>`, evaluated once at the beginning of each call | |
/// | `breaker = HOSTS.of(&host)` | the same for a breaker of each host, tenant or argument: `KeyedBreakers`, a feature of the runtime | |
/// | `crate = path` | the path of the runtime, if it is not `::sandbox_runtime` | |
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
/// # Blocks
///
/// On an `impl` block the arguments are defaults for every method in it that is marked `#[tool]`, by whatever path, or that has
/// a `#[sandboxed]` of its own, whose arguments come on top, key by key. Everything else in the block stays as it is; so do
/// tools that are not async, which cannot be interrupted.
///
/// ```
/// # use sandbox_runtime::sandboxed;
/// struct Search { index: String }
///
/// #[sandboxed(timeout_ms = 5_000, max_retries = 1)]
/// impl Search {
///     #[sandboxed]
///     async fn find(&self, query: String) -> Result<String, String> {
///         // ..
/// #       Ok(format!("{query} in {}", self.index))
///     }
///
///     /// At most one attempt.
///     #[sandboxed(max_retries = 0)]
///     async fn add(&self, page: String) -> Result<(), String> {
///         // ..
/// #       drop(page); Ok(())
///     }
/// }
/// ```
///
/// The attribute may stand above and below others of the block, such as `#[tool_router]` and `#[async_trait]`.
///
/// # Settings known at run time
///
/// `policy` is an expression, which is evaluated at the beginning of each call and may name arguments and `self`: for limits
/// from a configuration, from the instance or from an argument. The settings that are a part of it cannot be given beside it,
/// and its rules (`Policy::validate`) are not checked. Whether there are retries is not
/// known when the function is compiled, so that its arguments need `Clone`.
///
/// ```
/// # use sandbox_runtime::{Policy, sandboxed};
/// struct Search { policy: Policy }
///
/// impl Search {
///     #[sandboxed(policy = self.policy, breaker(threshold = 3))]
///     async fn find(&self, query: String) -> Result<String, String> {
///         // ..
/// #       Ok(query)
///     }
/// }
/// ```
///
/// # Functions
///
/// The attribute annotates `async fn`s, free or in an `impl` or a trait, and functions that return a boxed future (as
/// `#[async_trait]` makes them), a `BoxFuture` or an `impl Future`. They return a `Result<T, E>`, under any alias, where `E`
/// is `String` or implements `From<SandboxError>`, or any other type with `on_failure`.
///
/// The future is `Send` exactly when it would be without the attribute. What the function returns need not be: but then the call
/// does not hold it during a delay, and if it ends in one (the breaker opens, the deadline passes, the call is cancelled), it
/// returns a failure of the engine instead of the last attempt's own error.
///
/// Every attempt starts with the arguments that the caller passed, the receiver included. They are cloned while another
/// attempt may follow; the last attempt gets the originals. With `max_retries = 0` they are moved and need not implement
/// `Clone`. If an argument is destructured, its parts are cloned instead of the whole.
///
/// A `&mut` argument cannot be cloned. The attempts borrow it one after the other, and each sees what earlier ones have
/// written.
///
/// In a function that returns a future, the statements in front of the future are run once, when it is called, and their
/// variables are handed to the attempts as arguments are. (If one of them can `return`, the whole body is run for each attempt
/// instead, unless there is only one.)
///
/// What `breaker` and `cancel` are found in is not kept: a map behind a lock is free again while the tool runs. A breaker may be
/// a part of an argument or of `self` that attempts own; these are then cloned once more. A method that takes `&mut self` and uses
/// it as a whole has its breaker in an `Arc`, of which the call keeps a share.
///
/// # Limits
///
/// - Each function has one breaker, which all callers, all threads, all instances of its type and all its generic instances
///   share. Set `breaker = ..` where each instance should have its own, and `breaker = HOSTS.of(&host)` for each host.
/// - A tool can be interrupted only where it awaits, and not while it blocks its thread: run blocking work in
///   `tokio::task::spawn_blocking`. There it continues after the limit, beside the next attempt. If that matters, set
///   `max_retries = 0` or `idempotent = false`.
/// - A call that has to wait outside a tokio runtime with time enabled panics.
/// - Other attributes of the function may stand above or below. One that reads the function's text, such as `#[tool]` of
///   `rmcp`, belongs below, where it reads the text that you wrote; so does `#[tokio::test]`.
/// - The functions given to `retry_if`, `ignore_if`, `classify` and `on_failure` cannot name an argument that is not `Copy`:
///   it belongs to the attempts. `breaker` and `cancel` can, because they are evaluated earlier.
/// - Constant expressions cannot name `Self` or generic parameters.
/// - In a method that takes `&mut self` and may move it, for example into an `async move` block, macros and the compiler's
///   messages call it `__self`.
/// - A future that a function returns is a new one, around those of the attempts: it is not `Unpin`, and if a statement in front
///   of it can `return`, it borrows what the body mentions. It is `Sync` if what the function returns is.
/// - Lints about the shape of a body no longer see one: `#[expect(clippy::unused_async)]` and its like are not fulfilled.
/// - A sandboxed call within a sandboxed call is two and a half times as deep for the compiler as a plain one, as that of any
///   attribute with a future of its own is. A crate in which more than twelve follow each other needs a higher
///   `#![recursion_limit]`, as the compiler then says, or a `Box::pin` around one of the calls.
/// - With retries, a function cannot return what it borrows from a `&mut` argument: the next attempt could not borrow it.
#[proc_macro_attribute]
pub fn sandboxed(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::sandboxed(args.into(), item.into()).into()
}

/// States what the values of an error type mean, by `#[verdict(..)]` on its variants.
///
/// ```
/// use sandbox_runtime::{ErrorVerdict, SandboxError};
/// use std::time::Duration;
///
/// #[derive(Debug, thiserror::Error, ErrorVerdict)]
/// enum FetchError {
///     #[error("there is no page {0}")]
///     #[verdict(ignore)]
///     NoPage(u32),
///     #[error("busy")]
///     #[verdict(retry, safe, after = retry_after)]
///     Busy { retry_after: Option<Duration> },
///     #[error("the service answered {0}")]
///     #[verdict(status = 0)]
///     Status(u16),
///     #[error("the cache: {0}")]
///     Cache(#[from] std::io::Error),
///     #[error(transparent)]
///     Sandbox(#[from] SandboxError),
///     #[error("not a page: {0}")]
///     Malformed(String),
/// }
/// ```
///
/// It derives the trait of the same name, which every `#[sandboxed]` function that returns the type uses.
///
/// | argument | what the value means |
/// |---|---|
/// | `ignore` | `Verdict::Ignore`: the caller's fault, returned at once, no mark on the breaker |
/// | `fail` | `Verdict::Fail`: a failure that another attempt would not mend |
/// | `retry` | `Verdict::RETRY`: another attempt may help |
/// | `retry, after = FIELD` | `Verdict::Retry { after }`: the field is a `Duration` or an `Option<Duration>`, such as that of a `Retry-After` header |
/// | `retry, safe` | the tool has certainly done nothing: with `idempotent = false` it is run again too |
/// | `status = FIELD` | `Verdict::of_status` of the field, a `u16` or a `StatusCode` of the crate `http`; 425 and 429 are safe. A status that is not an error is retried |
/// | `status = FIELD, after = FIELD` | the same, and what is retried is retried after the delay in the second field |
/// | `source`, `source = FIELD` | what the error in the field means. Without a `FIELD`, in the only one |
///
/// A field is given by its name, or by its position in a tuple.
///
/// What has no argument and has a field that is marked `#[from]` or `#[source]`, is named `source`, or is the one of
/// `#[error(transparent)]`, means what the error in that field means: by its own `ErrorVerdict`, or by a `SandboxError`, a
/// `Failure` or an `io::Error` that it is or has among its sources. All else is retried. Above an enum, `ignore`, `fail`, `retry` and
/// `safe` set another default for it.
///
/// Above the type, `crate = path` gives the path of the runtime, if it is not `::sandbox_runtime`.
#[proc_macro_derive(ErrorVerdict, attributes(verdict))]
pub fn derive_error_verdict(item: TokenStream) -> TokenStream {
    verdict::derive(item.into()).into()
}

/// Writes the rules about numbers as constants. Only for the runtime, which expands it once.
#[doc(hidden)]
#[proc_macro]
pub fn rules(_input: TokenStream) -> TokenStream {
    args::rules().into()
}
