//! Tools of MCP servers, with [`rmcp`]. Feature `rmcp`.
//!
//! `#[sandboxed]` stands above `#[tool]` and needs no other argument. It also works below `#[tool]`, but then rmcp does not
//! take the tool's description from its doc comment.
//!
//! ```
//! use rmcp::handler::server::wrapper::Parameters;
//! use rmcp::model::{CallToolResult, ContentBlock};
//! use rmcp::{ErrorData, tool, tool_router};
//! use sandbox_runtime::sandboxed;
//!
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Query { city: String }
//! struct Weather;
//!
//! #[tool_router(server_handler)]
//! impl Weather {
//!     /// The weather in a city.
//!     #[sandboxed(timeout_ms = 2_000)]
//!     #[tool]
//!     async fn weather(&self, Parameters(Query { city }): Parameters<Query>) -> Result<CallToolResult, ErrorData> {
//!         Ok(CallToolResult::success(vec![ContentBlock::text(format!("rain in {city}"))]))
//!     }
//! }
//! ```
//!
//! # What the client gets for a failure
//!
//! If the server is started as [`Sandboxed::new`]`(server)`, every tool in this table answers with the full result:
//! `isError: true`, the text [for the model](Failure::for_model), and the [`Failure`] as data in `_meta` under [`FAILURE`]. In
//! any other server, a tool answers with as much of that as its return type can hold:
//!
//! | return type of the tool | what the client gets |
//! |---|---|
//! | `CallToolResult`, `CallToolResponse`, `Result<CallToolResult, _>`, `Result<CallToolResponse, _>` | the full result |
//! | `Result<Json<T>, CallToolResult>`, `Result<_, CallToolResult>` | the full result, beside an output schema |
//! | `Result<_, String>` | a result with `isError: true` and the text |
//! | `String`, `ContentBlock` | a result with the text, which is not marked as an error |
//! | `Result<_, ErrorData>` with any other `_` | a JSON-RPC error with the text and the data, which clients do not show to the model |
//! | `Result<_, E>` with any other `E` | a result with `isError: true` and the text that `E` makes of the failure |
//! | `()` | no answer: the tool panics, because it cannot return a failure |
//!
//! `String`, `ContentBlock` and `()` are accepted only beside `#[tool]`, or where `#[tool]` above has made a boxed future of the
//! function. Other functions that return these types have no server that could report their failure, and need `on_failure`:
//! a feature that another crate of the build asks for does not change what compiles.
//!
//! ```compile_fail,E0277
//! # use sandbox_runtime::sandboxed;
//! #[sandboxed]
//! async fn weather(city: String) -> String {
//!     format!("rain in {city}")
//! }
//! ```
//!
//! `Json<T>` alone cannot hold a failure, and does not compile: return `Result<Json<T>, String>`.
//!
//! The data goes into `_meta`, never into `structuredContent`: there it would not match the output schema of the tool, and strict
//! clients reject that.
//!
//! # A tool with an error type of its own
//!
//! Such a type keeps the failure in a variant, and passes it to rmcp, which marks everything that is made from an error:
//!
//! ```
//! use rmcp::ErrorData;
//! use rmcp::handler::server::tool::IntoCallToolResult;
//! use rmcp::model::CallToolResponse;
//! use sandbox_runtime::{Failure, FromFailure};
//!
//! #[derive(Debug, thiserror::Error)]
//! enum WeatherError {
//!     #[error("no such city")]
//!     NoSuchCity,
//!     #[error(transparent)]
//!     Sandbox(Failure),
//! }
//!
//! impl FromFailure for WeatherError {
//!     fn from_failure(failure: Failure) -> Self {
//!         WeatherError::Sandbox(failure)
//!     }
//! }
//!
//! impl IntoCallToolResult for WeatherError {
//!     fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
//!         match self {
//!             WeatherError::Sandbox(failure) => failure.into_call_tool_result(),
//!             other => other.to_string().into_call_tool_result(),
//!         }
//!     }
//! }
//! ```
//!
//! A tool that returns `Result<Json<T>, WeatherError>` then answers with the full result in every server. With `ignore_if` it
//! separates the errors that are the model's fault.
//!
//! # What counts as a failure
//!
//! - A result with `is_error: Some(true)` is a failure, and is retried.
//! - A `String`, a `ContentBlock` and `()` are always successes: a program cannot recognize a failure in them.
//! - An [`ErrorData`] is the caller's fault if it is about invalid parameters, an invalid request, an unknown method or resource,
//!   an unsupported version of the protocol, or a capability that the client lacks. It is returned at once, is not retried, and
//!   leaves no mark on the breaker.
//! - Any other error is retried.
//!
//! `retry_if` and `ignore_if` change this for errors, `classify` for all outcomes.
//!
//! By hand, a [`Tool`](crate::Tool) that returns a `Result` takes every `Ok` for a success, retries every error, and returns a
//! failure in `Err`. Change that with `classify`, and with `on_failure(|failure| Ok(failure.into()))`.
//!
//! # Cancellation
//!
//! When a client cancels a request, rmcp only cancels a token, and the tool continues. With
//! `context: RequestContext<RoleServer>` among the tool's arguments, `cancel = context.ct` ends the call as well.

mod answer;
mod connection;
mod observer;
pub(crate) mod outcome;
mod outgoing;
mod progress;
mod request;
mod server;
#[cfg(feature = "rmcp-http")]
mod sessions;
mod task;

use rmcp::ErrorData;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, MetaObject};
use serde_json::Value;

use crate::failure::Failure;
use crate::tool::FromFailure;

pub use connection::WatchedTransport;
pub use server::Sandboxed;
#[cfg(feature = "rmcp-http")]
pub use sessions::SandboxedSessions;
pub use task::task;

/// The key of the [`Failure`] in the `_meta` of a result.
pub const FAILURE: &str = "sandboxed/failure";

/// A result with `isError: true`, the text for the model, and the data under [`FAILURE`].
impl From<Failure> for CallToolResult {
    fn from(failure: Failure) -> Self {
        let mut result = CallToolResult::error(vec![ContentBlock::text(failure.for_model())]);
        let mut meta = MetaObject::new();
        meta.0.insert(FAILURE.to_owned(), data(&failure));
        result.meta = Some(meta);
        result
    }
}

impl From<Failure> for CallToolResponse {
    fn from(failure: Failure) -> Self {
        CallToolResult::from(failure).into()
    }
}

/// An internal error with the text for the model as its message, and the failure as its data.
impl From<Failure> for ErrorData {
    fn from(failure: Failure) -> Self {
        let data = data(&failure);
        ErrorData::internal_error(failure.for_model(), Some(data))
    }
}

impl IntoCallToolResult for Failure {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        Ok(self.into())
    }
}

fn data(failure: &Failure) -> Value {
    // Serializing cannot fail: a failure has only numbers and strings.
    serde_json::to_value(failure).unwrap_or_default()
}

impl FromFailure for CallToolResult {
    fn from_failure(failure: Failure) -> Self {
        failure.into()
    }
}

impl FromFailure for ErrorData {
    fn from_failure(failure: Failure) -> Self {
        failure.into()
    }
}
