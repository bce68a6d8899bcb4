//! Tools of MCP servers, with [`rmcp`]. Feature `rmcp`.
//!
//! `#[sandboxed]` stands above `#[tool]` and needs no other argument. It also works below `#[tool]`, but then rmcp does not
//! take the tool's description from its doc comment, and the attribute does not see what `#[tool]` says of its name and its
//! hints: `name` and `idempotent` say it.
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
//! | `Result<_, E>` with any other `E` that rmcp takes | a result with `isError: true` and the text that `E` makes of the failure |
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
//! rmcp takes an error type that implements its trait `IntoCallToolResult`, and marks everything that is made from an error.
//! Without that trait, its message is that `IntoToolRoute` is not satisfied. Such a type keeps the failure in a variant, and passes
//! it on:
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
//! - A result with `is_error: Some(true)` is the tool's last word about this request: it is returned as it is, is not retried, and
//!   leaves no mark on the breaker. With `is_error = retry` it is a failure and is retried: for tools that report every fault in
//!   this way.
//! - A `String`, a `ContentBlock` and `()` are always successes: a program cannot recognize a failure in them.
//! - An [`ErrorData`] is the caller's fault if it is about invalid parameters, an invalid request, an unknown method or resource,
//!   an unsupported version of the protocol, or a capability that the client lacks. It is returned at once, is not retried, and
//!   leaves no mark on the breaker.
//! - Any other error is retried, also a `CallToolResult` in `Err`.
//!
//! `retry_if` and `ignore_if` change this for errors, `classify` for all outcomes.
//!
//! By hand, a [`Tool`](crate::Tool) that returns a `Result` takes every `Ok` for a success, retries every error, and returns a
//! failure in `Err`. Change that with `classify`, and with `on_failure(|failure| Ok(failure.into()))`.
//!
//! # Parameters of further attempts
//!
//! Each attempt needs parameters of its own. They are cloned if they can be. Others are read again from the request, as a whole or
//! taken apart, for which the server has to be in [`Sandboxed`], and their type to be written as `Parameters<T>`: the attribute does
//! not see through an alias. Without a request there is one
//! attempt: in a call from Rust, also from another tool, in a server that is not in [`Sandboxed`], of a function that is not a
//! `#[tool]`, and for a tool that clients know by a name of which the attribute does not know. It knows the function's name and
//! that of `#[tool(name = "..")]` below it; for others there is `name`.
//!
//! # Hints
//!
//! `annotations(..)` of a `#[tool]` below the attribute set the default of `idempotent`, as clients read them: a tool with
//! `read_only_hint = true` or `idempotent_hint = true` may be run twice; one with other hints may not, because the protocol's
//! default for a missing `idempotent_hint` is `false`. Without hints nothing changes, and `idempotent` has the last word.
//! `idempotent = true` on a tool that tells its clients `destructive_hint = true` and `idempotent_hint = false` does not compile.
//!
//! # How a request ends
//!
//! In a server in [`Sandboxed`]:
//!
//! - `notifications/cancelled` of the client ends the sandboxed calls of the request, in an attempt and in a delay. It leaves no
//!   mark.
//! - All of them together take 55 s at most, because clients give up after 60 s and the model then reads nothing of what happened.
//!   [`Sandboxed::request_limit`] and [`Sandboxed::without_request_limit`] change that. The end of a request leaves no mark either:
//!   give a tool that may hang a time limit below it.
//! - A client that asks for progress is told of each retry: which attempt has ended, of how many, why, and when the next begins.
//!
//! Elsewhere, `cancel = context.ct` ends the call of a tool that has `context: RequestContext<RoleServer>` among its arguments.
//!
//! What the token hears of a client that is lost is rmcp's: of a request without a session at once, after the end of the input or
//! the `DELETE` of a session when rmcp has waited five seconds for what is under way, and nothing when only the connection of a
//! session breaks, because the client may come back.
//!
//! A tool that blocks its thread cannot be ended, neither by a limit nor by a client. In `spawn_blocking` it goes on beside
//! everything else, and the runtime waits for it when the server ends: leave `main` with [`std::process::exit`], or call tokio's
//! `Runtime::shutdown_timeout`. What may hang for good belongs into a process of its own, which can be killed: see the example
//! `shell`.
//!
//! # A tool that asks its user
//!
//! A question to the user (`elicit`, `create_elicitation`, sampling) is part of an attempt. Give the tool a limit that people can
//! keep, and its server a [`request_limit`](Sandboxed::request_limit) above that.
//!
//! ```
//! # use rmcp::{RoleServer, ServiceError, service::Peer};
//! # use sandbox_runtime::{ErrorVerdict, SandboxError};
//! #[derive(Debug, thiserror::Error, ErrorVerdict)]
//! enum AskError {
//!     /// The client's or the user's answer: asking again does not help.
//!     #[error("the user was not asked: {0}")]
//!     #[verdict(source)]
//!     Question(#[from] ServiceError),
//!     #[error(transparent)]
//!     Sandbox(#[from] SandboxError),
//! }
//! ```
//!
//! - A "no" is the user's: it is not asked for again, and leaves no mark. The runtime knows that of `ServiceError` and, with the
//!   feature `rmcp-elicitation`, of `ElicitationError`. Of a tool that makes a text of them, it knows if the text is returned as
//!   soon as the answer is there.
//! - A question that is cut by a limit or by the client is withdrawn, so that no dialog stays open.
//! - Progress that the tool itself tells goes on above what was told before, because the protocol demands values that increase and
//!   each attempt counts from its beginning. [`Sandboxed::extended_by_progress`] lets it extend the request.
//!
//! The last two, and the texts, need to see what the tool sends: by [`Sandboxed::serve`] or [`WatchedTransport`], over HTTP by
//! `SandboxedSessions` (feature `rmcp-http`). A question is withdrawn when no other attempt of the request is under way: nobody
//! knows which of several has asked.
//!
//! The operation of a task of rmcp's task manager runs outside of its request: make it with [`task()`].
//!
//! # The failure in `_meta`
//!
//! [`FAILURE`] is `"sandboxed/failure"`. Its value is the [`Failure`] as data, with these fields:
//!
//! | field | value |
//! |---|---|
//! | `kind` | `timeout`, `circuit_breaker_open`, `disabled`, `overloaded`, `rate_limited`, `call_budget_spent`, `deadline_exceeded`, `panicked`, `cancelled`, or with the feature `faults` `execution_failed` |
//! | `tool` | the tool's name |
//! | `call_id` | the identity of the call, which the tool had as [`Attempt::call_id`](crate::Attempt::call_id) |
//! | `attempts`, `max_attempts` | attempts begun, and allowed |
//! | `elapsed_ms`, `timeout_ms`, `deadline_ms` | how long it took, the limit of an attempt, and that of the call or request, or `null` |
//! | `retry_after_ms` | when to come back, or `null` |
//! | `may_have_executed`, `idempotent` | whether it may have done what it was asked to, and whether doing that twice is as good as once |
//! | `last_error` | the text of an earlier attempt's error, or `null` |
//! | `reason` | of `disabled`: why the operator has switched the tool off |
//! | `consecutive_failures`, `threshold`, `is_probing` | of `circuit_breaker_open`: what the breaker has counted, what opens it, and, where it is so, that it is being tried now |
//!
//! A call that [has failed too often](Sandboxed::refuse_repeated_failures) to be made again has `kind` `repeated_failure`, and of the
//! other fields `tool`, `attempts`, `consecutive_failures`, `retry_after_ms` and `may_have_executed`.

mod answer;
mod connection;
mod name;
mod observer;
mod offer;
pub(crate) mod outcome;
mod outgoing;
mod progress;
mod repeats;
mod request;
mod server;
#[cfg(feature = "rmcp-http")]
mod sessions;
mod task;
mod trace;

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
