//! Runs the tools of AI agents safely: a time limit for each attempt, retries with exponential backoff and a circuit
//! breaker, by one attribute.
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
//! - [`#[sandboxed]`](macro@sandboxed) goes on an async function and leaves everything but how it ends as it was.
//! - [`execute_with_controls`] is the same by hand, for a [`Tool`] with types of its own or for a plain closure that
//!   answers with JSON and is reported as a [`ToolExecutionResult`].
//! - [`CircuitBreaker`] stops calls to a dependency that is down, and finds out when it is back.
//! - [`Policy`] has every setting, [`SandboxConfig`] the three that stand in configuration files.
//! - [`SandboxError`] says why a call ended without an answer of the tool's own; [`Failure`] says all that is known of it, and
//!   [what a model should read](Failure::for_model).
//! - [`Verdict`] says whose fault an error was and whether to try again.
//! - [`Budget`] limits a whole run of an agent, all its calls together; [`ToolExecutionResult::of`] reports on any of them.
//!
//! # Features
//!
//! None is on by default, and what is off is not built.
//!
//! - `rmcp`: `#[sandboxed]` on the tools of MCP servers, whatever they return. See the module `mcp`.
//! - `rig`: the same for the tools of rig agents. See the module `rig`.
//!
//! # Time
//!
//! Time is tokio's. In tests with a paused clock (`#[tokio::test(start_paused = true)]`) limits, delays and cooldowns
//! are exact and take no real time. A tool that answers without waiting needs no clock and no runtime; a call that has to wait
//! outside a tokio runtime with time enabled panics.
//!
//! # Cancellation
//!
//! A call that is dropped drops the attempt under way, counts for nothing, and frees its place in a half-open breaker.
//!
//! # Panics in tools
//!
//! A panic is caught, counts as a failure, is not retried, and becomes [`SandboxError::Panicked`]. In a program built with
//! `panic = "abort"` it ends the program, as any panic does there.

mod backoff;
mod breaker;
mod call;
mod clock;
mod config;
mod execute;
mod failure;
mod gate;
#[cfg(feature = "rmcp")]
pub mod mcp;
mod policy;
#[doc(hidden)]
pub mod private;
#[cfg(feature = "rig")]
pub mod rig;
mod rules;
mod sanitize;
mod sealed;
mod site;
mod surroundings;
pub mod tool;
mod verdict;

pub use sandbox_macros::sandboxed;

pub use breaker::{BreakerState, CircuitBreaker, Permit};
pub use config::SandboxConfig;
pub use execute::execute_with_controls;
pub use failure::{Failure, FailureKind, Refusal, SandboxError, SandboxResult};
pub use policy::{Jitter, Policy, PolicyError};
pub use surroundings::budget::Budget;
pub use surroundings::report::ToolExecutionResult;
pub use tool::{FromFailure, HoldFailure, Outcome, Tool};
pub use verdict::Verdict;
