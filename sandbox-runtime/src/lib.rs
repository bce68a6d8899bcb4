//! Runs the tools of AI agents safely: a time limit for each attempt, retries with exponential backoff and a circuit
//! breaker, by one attribute.

mod attempt;
mod backoff;
mod breaker;
mod call;
mod clock;
mod config;
mod error;
mod execute;
mod outcome;
mod policy;
#[doc(hidden)]
pub mod private;
mod tool;

pub use sandbox_macros::sandboxed;

pub use breaker::{BreakerState, CircuitBreaker, Permit};
pub use config::SandboxConfig;
pub use error::{Failure, FailureKind, SandboxError, SandboxResult};
pub use execute::execute_with_controls;
pub use outcome::{FromSandboxError, Handler, Outcome, ToolExecutionResult, Verdict};
pub use policy::{Policy, PolicyError};
pub use tool::{IntoTool, Tool};
