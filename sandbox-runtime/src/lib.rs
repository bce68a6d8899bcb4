//! Makes the tool functions of AI agents end: a time limit for each attempt, retries with exponential backoff and a circuit
//! breaker, by one attribute. It isolates nothing: a tool has the files, the network and the memory of its program, as before.
//!
//! The crate of this name on crates.io is another project, about the isolation of processes, and `cargo add sandbox-runtime` would
//! fetch that one. This one is used by a path or by git. The repository's README is the guide, and `docs` has a page for each subject.
//!
//! ```
//! use sandbox_runtime::sandboxed;
//!
//! #[sandboxed(timeout_ms = 5_000, max_retries = 2, backoff_base_ms = 100)]
//! async fn read_page(path: String) -> Result<String, std::io::Error> {
//!     tokio::task::spawn_blocking(|| std::fs::read_to_string(path)).await?
//! }
//! ```
//!
//! - [`#[sandboxed]`](macro@sandboxed) annotates an async function and changes only how its calls can end.
//! - [`execute_with_controls`] does the same by hand, for a [`Tool`] with types of its own, or for a plain closure that
//!   answers with JSON and whose call returns a [`ToolExecutionResult`].
//! - [`CircuitBreaker`] stops calls to a dependency that is down, and finds out when it is back.
//! - [`Policy`] has all settings, [`SandboxConfig`] three of them. [`Overrides`] change those of a running program.
//! - [`SandboxError`] states why a call ended without an answer from the tool. [`Failure`] has everything that is known about
//!   such a call, and [a text for the model](Failure::for_model). With [`FromFailure`], an error type keeps a whole [`Failure`].
//! - [`Verdict`] states what an outcome means: whether to try again, and whether the breaker counts it as a failure.
//!   With [`ErrorVerdict`](trait@ErrorVerdict), an error type states once what its values mean.
//! - [`Budget`] limits all calls of an agent's run together. [`ToolExecutionResult::of`] reports on any sandboxed call.
//! - [`tools`] lists every annotated function of the program and how it is now, and has the [switches](ToolHandle::disable) of an
//!   operator; [`observe`](mod@observe) tells what happens to calls and breakers. [`testing`] has fresh ones for a test.
//!   [`Attempt`] is what a tool can know of the attempt that it runs in.
//! - [`text::redact`] takes out of texts what a model, a client or data must not have.
//! - [`mod@tool`] has the types that a [`Tool`] is made of.
//!
//! # Features
//!
//! All features are off by default. A feature that is off costs no build time.
//!
//! - `rmcp`: `#[sandboxed]` for the tools of MCP servers, whatever they return. See the module `mcp`. With it, `rmcp-elicitation` for
//!   the error of rmcp's `elicit`, and `rmcp-http` for sessions over HTTP.
//! - `rig`: `#[sandboxed]` for the tools of rig agents. See the module `rig`.
//! - `keyed`: a breaker for each host, tenant or argument. See `KeyedBreakers`.
//! - `tracing`: a span for each call. See the module `observe::tracing`.
//! - `faults`: injects faults into calls, for tests. See the module `faults`.
//! - `metrics`, `opentelemetry`: measures calls by these libraries. See the modules `observe::metrics` and `observe::opentelemetry`.
//!
//! # Time
//!
//! Time is measured by tokio's clock. In tests with a paused clock (`#[tokio::test(start_paused = true)]`) limits, delays and
//! cooldowns are exact and take no real time. A tool that answers without waiting needs neither a clock nor a runtime. A call
//! that has to wait panics outside a tokio runtime with time enabled.
//!
//! # Cancellation
//!
//! Dropping a call drops the attempt under way. It counts for nothing, and a probe frees its slot in the breaker at once.
//!
//! # Panics in tools
//!
//! A panic is caught, counts as a failure, is not retried, and becomes [`SandboxError::Panicked`]. In a program that is built
//! with `panic = "abort"`, it ends the program, as every panic does there.

// For the builder of documentation, which has a nightly compiler: it labels items with the features that they need.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod breaker;
mod call;
#[cfg(any(feature = "rmcp", feature = "fleet"))]
mod changes;
mod clock;
mod config;
mod execute;
mod failure;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(feature = "fleet")]
#[doc(hidden)]
pub mod fleet;
mod gate;
mod limits;
#[cfg(feature = "rmcp")]
pub mod mcp;
pub mod observe;
mod overrides;
mod policy;
#[doc(hidden)]
pub mod private;
mod record;
mod registry;
#[cfg(feature = "rig")]
pub mod rig;
mod rules;
mod sealed;
mod site;
mod steering;
mod surroundings;
mod sync;
pub mod testing;
pub mod text;
pub mod tool;
mod verdict;

pub use sandbox_macros::{ErrorVerdict, sandboxed};

pub use breaker::{BreakerState, CircuitBreaker, Counting, Permit};
#[cfg(feature = "keyed")]
pub use breaker::{KeyOf, KeyedBreakers};
pub use call::current::{Attempt, CallId};
pub use config::SandboxConfig;
pub use execute::execute_with_controls;
pub use failure::{Failure, FailureKind, Refusal, SandboxError, SandboxResult};
pub use overrides::{Mistake, Overrides, OverridesError};
pub use policy::{Jitter, Policy, PolicyError, RateScope};
pub use record::{BreakerTimes, Counters, LastChange, LastFailure};
pub use registry::{BreakerStatus, Disabled, ToolHandle, ToolStatus, Tools, tool, tools};
#[cfg(feature = "keyed")]
pub use registry::{KeyedStatus, keyed_breakers};
pub use surroundings::budget::Budget;
pub use surroundings::report::ToolExecutionResult;
pub use tool::{FromFailure, HoldFailure, Outcome, Tool};
pub use verdict::{ErrorVerdict, Verdict};
