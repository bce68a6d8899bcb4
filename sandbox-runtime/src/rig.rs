//! Tools of agents built with [`rig`](rig_core). Feature `rig`, for rig 0.44, which needs Rust 1.95.
//!
//! A tool whose error is rig's own needs no further argument: `#[sandboxed]` goes above `#[rig_tool]`, or on `call` in an
//! `impl Tool` or `impl PortableTool`.
//!
//! ```
//! use rig_core::tool::{PortableTool, ToolExecutionError};
//! use sandbox_runtime::sandboxed;
//!
//! struct Weather;
//!
//! impl PortableTool for Weather {
//!     const NAME: &'static str = "weather";
//!     type Args = String;
//!     type Output = String;
//!     type Error = ToolExecutionError;
//! #    fn description(&self) -> String { String::new() }
//! #    fn parameters(&self) -> serde_json::Value { serde_json::Value::Null }
//!
//!     #[sandboxed(timeout_ms = 2_000, name = "weather")]
//!     async fn call(&self, city: String) -> Result<String, ToolExecutionError> {
//!         Ok(format!("rain in {city}"))
//!     }
//! }
//! ```
//!
//! A failure is a [`ToolExecutionError`] with its kind, whether another call may help, the text
//! [for the model](Failure::for_model) as feedback, one for the log as message, and the [`Failure`] as source:
//! `error.downcast_ref::<Failure>()`. Of an attempt that failed before, both texts tell what its error says to models: its
//! message is for operators.
//!
//! A tool with an error type of its own keeps the failure in a variant, with `on_failure`, and makes it rig's error in
//! `map_error`. By rig's default for that, all that the model reads is "the tool failed":
//!
//! ```
//! # use rig_core::tool::{PortableTool, ToolExecutionError};
//! # use sandbox_runtime::{Failure, sandboxed};
//! # struct Weather;
//! #[derive(Debug, thiserror::Error)]
//! enum WeatherError {
//!     #[error("no such city")]
//!     NoSuchCity,
//!     #[error(transparent)]
//!     Sandbox(Failure),
//! }
//!
//! impl PortableTool for Weather {
//! #    const NAME: &'static str = "weather";
//! #    type Args = String;
//! #    type Output = String;
//! #    fn description(&self) -> String { String::new() }
//! #    fn parameters(&self) -> serde_json::Value { serde_json::Value::Null }
//!     type Error = WeatherError;
//!
//!     #[sandboxed(name = "weather", on_failure = |failure| Err(WeatherError::Sandbox(failure)))]
//!     async fn call(&self, city: String) -> Result<String, WeatherError> {
//!         Err(WeatherError::NoSuchCity)
//!     }
//!
//!     fn map_error(&self, error: WeatherError) -> ToolExecutionError {
//!         match error {
//!             WeatherError::Sandbox(failure) => failure.into(),
//!             other => ToolExecutionError::invalid_args(other.to_string()),
//!         }
//!     }
//! }
//! ```
//!
//! # What counts as a failure
//!
//! Of a tool's own [`ToolExecutionError`]s, those for arguments, for what does not exist, for what is not permitted, and
//! cancellations are the caller's doing: they are given back, are not retried, and leave no mark on the breaker. Others are
//! retried unless they say that this would not help (`retryable`). Where an error leaves that open and has the status of a
//! response, it means [what the status does](crate::Verdict::of_status).

use rig_core::tool::{ToolErrorKind, ToolExecutionError};

use crate::failure::{Failure, FailureKind};
use crate::sanitize::sanitized;
use crate::tool::FromFailure;
use crate::tool::framework::FrameworkError;
use crate::verdict::Verdict;

/// With its kind, whether another call may help, and texts for the model and for the log; the failure itself is the source.
impl From<Failure> for ToolExecutionError {
    fn from(failure: Failure) -> Self {
        let (kind, retryable) = match failure.kind {
            FailureKind::Timeout => (ToolErrorKind::Timeout, failure.idempotent),
            // A call that was not begun had no time left, and no other will have any.
            FailureKind::DeadlineExceeded => (ToolErrorKind::Timeout, failure.idempotent && failure.attempts > 0),
            // Not before the cooldown is over, which is longer than a loop of retries.
            FailureKind::CircuitBreakerOpen { .. } => (ToolErrorKind::Provider, false),
            FailureKind::Panicked => (ToolErrorKind::Other, false),
            FailureKind::Cancelled => (ToolErrorKind::Cancelled, false),
        };
        ToolExecutionError::new(kind, failure.to_string())
            .with_model_feedback(failure.for_model())
            .with_retryable(retryable)
            .with_code(failure.kind.as_str())
            .with_source(failure)
    }
}

impl FromFailure for ToolExecutionError {
    fn from_failure(failure: Failure) -> Self {
        failure.into()
    }
}

impl FrameworkError for ToolExecutionError {
    fn verdict(&self) -> Verdict {
        match (self.kind(), self.retryable(), self.http_status()) {
            (
                ToolErrorKind::InvalidArgs
                | ToolErrorKind::NotFound
                | ToolErrorKind::PermissionDenied
                | ToolErrorKind::Cancelled,
                ..,
            ) => Verdict::Ignore,
            (_, Some(false), _) => Verdict::Fail,
            (_, None, Some(status @ 400..)) => Verdict::of_status(status),
            _ => Verdict::RETRY,
        }
    }

    /// Not its message: that is for operators, and may hold what no model should read.
    fn text(&self) -> Option<String> {
        self.model_feedback().map(sanitized)
    }
}
