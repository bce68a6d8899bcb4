//! Tools of MCP servers, with [`rmcp`]. Feature `rmcp`.
//!
//! `#[sandboxed]` goes above rmcp's `#[tool]` and needs no further argument. Below it works as well, but there rmcp takes no
//! description from the documentation.
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
//! # What the model sees of a failure
//!
//! In a server that is started as [`TellFailures`]`(server)`, of every tool in this table: a result with `isError: true`, the text
//! [for the model](Failure::for_model), and the [`Failure`] as data in `_meta` under [`FAILURE`]. In any other, as much of that
//! as the return type has a place for:
//!
//! | the tool returns | a failure is |
//! |---|---|
//! | `CallToolResult`, `CallToolResponse`, `Result<CallToolResult, _>`, `Result<CallToolResponse, _>` | all of it |
//! | `Result<Json<T>, CallToolResult>`, `Result<_, CallToolResult>` | all of it, beside an output schema |
//! | `Result<_, String>` | a result with `isError: true` and the text |
//! | `String`, `ContentBlock` | a result with the text, which is not marked as an error |
//! | `Result<_, ErrorData>` with any other `_` | a JSON-RPC error with the text and the data, which clients do not show to the model |
//! | `Result<_, E>` with any other `E` | a result with `isError: true` and the text that `E` makes of it |
//! | `()` | a panic, which rmcp does not answer: there is no other way to tell it |
//!
//! `Json<T>` alone has no place for a failure, and does not compile: return `Result<Json<T>, String>`. For `()` the attribute has
//! to stand beside `#[tool]`: other functions that return it have no server to tell their failure.
//!
//! Data goes into `_meta` and never into `structuredContent`: a tool with an output schema would break it there, and strict
//! clients reject that.
//!
//! # A tool with an error type of its own
//!
//! It keeps the failure in a variant and hands it on to rmcp, which marks whatever an error becomes:
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
//! Then `Result<Json<T>, WeatherError>` tells all of it in any server, and `ignore_if` says which errors are the model's own.
//!
//! # What counts as a failure
//!
//! A result with `is_error: Some(true)` does, and is retried. A `String`, a `ContentBlock` and `()` never are one: what they say
//! of a failure, no program can tell. An [`ErrorData`] for parameters, a request, a method or a
//! resource that is not as it must be, or for a client that cannot do what the tool needs, is the caller's fault: it is given
//! back, is not retried, and leaves no mark on the breaker. Any other error is retried. `retry_if` and `ignore_if` say otherwise
//! of errors, `classify` of all outcomes.
//!
//! By hand, [`Tool`](crate::Tool) knows what the bounds of its functions tell, and no more: an error of rmcp's is retried there
//! like any other, and a failure is told in `Err`. Say otherwise with `classify`, and with
//! `on_failure(|failure| Ok(failure.into()))`.
//!
//! # Cancellation
//!
//! A client that cancels a request only flips a token while the tool runs on, unless the call is told of it. With
//! `context: RequestContext<RoleServer>` among the tool's arguments, `cancel = context.ct` does that.

mod answer;
pub(crate) mod reader;
mod server;

use rmcp::ErrorData;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, MetaObject};
use serde_json::Value;

use crate::failure::Failure;
use crate::tool::FromFailure;

pub use server::TellFailures;

/// Where in `_meta` of a result the [`Failure`] stands.
pub const FAILURE: &str = "io.crates.sandbox-runtime/failure";

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

/// An internal error with the text for the model, and the failure as data.
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
    // Numbers, words and texts always serialize.
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
