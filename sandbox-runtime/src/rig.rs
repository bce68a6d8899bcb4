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
//!
//! # Tools that cannot be had
//!
//! A model does not call what it does not see. With this hook, which needs the feature `agent` of the crate `rig`, a request to the
//! model has only the tools that [are available](crate::ToolHandle::is_available) when it is made:
//!
//! ```ignore
//! use rig::agent::{AgentHook, DispatchAction, DispatchEvent, HookContext};
//! use rig::effect::EffectKind;
//!
//! /// Shows the model only the tools that can be had now.
//! struct WithdrawUnavailable;
//!
//! impl AgentHook for WithdrawUnavailable {
//!     async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
//!         let EffectKind::Completion { request, stream } = event.kind else {
//!             return DispatchAction::Proceed;
//!         };
//!         let (mut request, stream) = (request.clone(), *stream);
//!         let is_available = |name: &str| sandbox_runtime::tool(name).is_none_or(|tool| tool.is_available());
//!         request.tools.retain(|tool| is_available(tool.name.as_str()));
//!         DispatchAction::Patch(EffectKind::Completion { request, stream })
//!     }
//! }
//! ```
//!
//! If the model calls another one all the same, because it has called it before, the call is refused as ever, with the text
//! [for the model](Failure::for_model): the tool is still the agent's. It would not be with rig's allow-list for a turn
//! (`RequestPatch::active_tools`): a call of a tool that is not in it ends the run, unless a hook decides otherwise. The liveness
//! probe of a `DynamicTool` removes the tool for good.
//!
//! A tool is found by its name, as by [`tool`](crate::tool()). It stays in the request if it is not under `#[sandboxed]`, if
//! several functions of the program have its name, or if its attribute has `name = Self::NAME` in place of the text: the attribute
//! does not see what that is. An agent with a `tool_choice` that demands a tool has to change it in the hook, too.

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
