//! Tools of agents built with [`rig`](rig_core). Feature `rig`, for rig 0.44, which needs Rust 1.95.
//!
//! `#[sandboxed]` stands above `#[rig_tool]`, or above `call` in an `impl Tool` or `impl PortableTool`. A tool whose error is
//! [`ToolExecutionError`] needs no other argument.
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
//!     #[sandboxed(timeout_ms = 2_000, name = Self::NAME)]
//!     async fn call(&self, city: String) -> Result<String, ToolExecutionError> {
//!         Ok(format!("rain in {city}"))
//!     }
//! }
//! ```
//!
//! A failure becomes a [`ToolExecutionError`] with its kind, whether another call may help (`retryable`), the text
//! [for the model](Failure::for_model) as feedback, a text for the log as message, and the [`Failure`] as source:
//! `error.downcast_ref::<Failure>()`. If an earlier attempt failed, both texts quote the feedback of its error, not its message:
//! that is for operators.
//!
//! A tool with an error type of its own keeps the failure in a variant, with `on_failure`, and converts it into rig's error in
//! `map_error`. With rig's default for `map_error`, the model would read only "the tool failed":
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
//!     #[sandboxed(name = Self::NAME, on_failure = |failure| Err(WeatherError::Sandbox(failure)))]
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
//! A [`ToolExecutionError`] that the tool returns means, by its kind:
//!
//! - Invalid arguments, not found, permission denied and cancelled are the caller's fault: the error is returned at once, is not
//!   retried, and leaves no mark on the breaker.
//! - Every other error is retried, unless its `retryable` is `false`. If `retryable` is not set and the error has the status of
//!   an HTTP response of 400 or above, [the status decides](crate::Verdict::of_status).

use std::fmt::Display;

use rig_core::tool::{ToolErrorKind, ToolExecutionError};

use crate::failure::{Failure, FailureKind};
use crate::text::sanitized;
use crate::tool::FromFailure;
use crate::verdict::{ErrorVerdict, Verdict};

/// Keeps the kind, states whether another call may help, has texts for the model and for the log, and the failure as its source.
impl From<Failure> for ToolExecutionError {
    fn from(failure: Failure) -> Self {
        let (kind, retryable) = match failure.kind {
            FailureKind::Timeout => (
                ToolErrorKind::Timeout,
                failure.idempotent && failure.retry_after_ms.is_none(),
            ),
            // Without an attempt, the run itself is over: another call would not have time either.
            FailureKind::DeadlineExceeded => (ToolErrorKind::Timeout, failure.idempotent && failure.attempts > 0),
            // A retry helps only after the cooldown, which is longer than a loop of retries waits.
            FailureKind::CircuitBreakerOpen { .. } | FailureKind::Disabled => (ToolErrorKind::Provider, false),
            FailureKind::RateLimited { .. } => (ToolErrorKind::RateLimited, false),
            FailureKind::Overloaded { .. } => (ToolErrorKind::Provider, true),
            FailureKind::CallBudgetSpent | FailureKind::Panicked => (ToolErrorKind::Other, false),
            FailureKind::Cancelled => (ToolErrorKind::Cancelled, false),
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => (ToolErrorKind::Provider, true),
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

impl ErrorVerdict for ToolExecutionError {
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

    fn is_safe_to_retry(&self) -> bool {
        self.http_status().is_some_and(Verdict::is_status_safe_to_retry)
    }

    /// The feedback for the model. The message is for operators, and may contain what a model must not read.
    fn text(&self, _: Option<&dyn Display>) -> Option<String> {
        self.model_feedback().map(sanitized)
    }
}
