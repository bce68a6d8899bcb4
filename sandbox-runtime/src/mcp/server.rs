//! [`TellFailures`]: a server's answers tell what the return type of a tool has no place for.

use std::borrow::Cow;
use std::cell::Cell;

use rmcp::model::{
    CallToolResult, ClientNotification, ClientRequest, ContentBlock, MetaObject, ProtocolVersion, ServerConfig,
    ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ErrorData, RoleServer, Service};

use super::{FAILURE, data};
use crate::error::SandboxError;
use crate::failure::Failure;
use crate::report;

/// A server whose answers tell all failures alike, whatever its tools return: `isError: true`, the text
/// [for the model](Failure::for_model), and the [`Failure`] in `_meta` under [`FAILURE`].
///
/// Around any server, or any other [`Service`] of rmcp's, where it is started:
///
/// ```no_run
/// use rmcp::{ServiceExt, tool, tool_router, transport};
/// use sandbox_runtime::{mcp::TellFailures, sandboxed};
///
/// struct Lamp;
///
/// #[tool_router(server_handler)]
/// impl Lamp {
///     /// Switches the lamp on.
///     #[sandboxed(timeout_ms = 2_000)]
///     #[tool]
///     async fn switch_on(&self) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// TellFailures(Lamp).serve(transport::stdio()).await?.waiting().await?;
/// # Ok(()) }
/// ```
///
/// It changes the answer to a request that calls a tool, and only when a sandboxed call has failed in it:
///
/// - A result that is nothing but the text of the last such failure is marked as an error and gets the data. So does the empty
///   one of a tool that returns `()`, which gets the text as well.
/// - A result that is marked as an error and has the failure's text in it, or the text of its [`SandboxError`], gets the data.
/// - A JSON-RPC error that the failure was made becomes a result.
/// - A function that returns `()` and failed within another tool's call could not tell that tool of it: the text goes below what
///   that tool answers, which is marked as an error and gets the data.
///
/// What runs in tokio tasks of its own is not seen.
///
/// Once a server is in it, every sandboxed call of the process takes a little longer, as with [`Budget`](crate::Budget).
#[derive(Debug, Clone, Copy, Default)]
pub struct TellFailures<S>(pub S);

impl<S: Service<RoleServer>> Service<RoleServer> for TellFailures<S> {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let ClientRequest::CallToolRequest(_) = request else {
            return self.0.handle_request(request, context).await;
        };
        let version = context.protocol_version();
        let request = async { (self.0.handle_request(request, context).await, UNTOLD.with(Cell::take)) };
        let ((answer, untold), watched) = report::watch(UNTOLD.scope(Cell::default(), request)).await;
        let told = match (untold, watched.failure) {
            (Some(failure), _) => answer.map(|answer| add(answer, &failure)),
            (None, Some(failure)) => complete(answer, failure),
            (None, None) => answer,
        };
        told.map(|answer| fit(answer, version.as_ref()))
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.0.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        self.0.get_info()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.0.supported_protocol_versions()
    }
}

tokio::task_local! {
    /// The first failure in the request that a function could not tell its caller of.
    static UNTOLD: Cell<Option<Failure>>;
}

/// Leaves a failure to the server to tell, for a function that returns nothing.
///
/// # Panics
///
/// Outside such a server. There nobody would hear of the failure.
pub(super) fn leave(failure: Failure) {
    let mut failure = Some(failure);
    // What is there already was before it.
    let _ = UNTOLD.try_with(|untold| untold.set(untold.take().or(failure.take())));
    if let Some(failure) = failure {
        panic!(
            "{failure}; a function that returns `()` can tell of it only in a server in \
             `sandbox_runtime::mcp::TellFailures`, any other returns a `Result`"
        );
    }
}

/// Adds to an answer the failure that it does not know of.
fn add(answer: ServerResult, failure: &Failure) -> ServerResult {
    let ServerResult::CallToolResult(mut result) = answer else {
        return answer;
    };
    result.content.push(ContentBlock::text(failure.for_model()));
    mark(&mut result, failure);
    result.into()
}

/// Completes an answer that tells the failure.
fn complete(answer: Result<ServerResult, ErrorData>, failure: Failure) -> Result<ServerResult, ErrorData> {
    match answer {
        Ok(ServerResult::CallToolResult(mut result)) => {
            if is_only(&result, &failure) || is_error_of(&result, &failure) {
                mark(&mut result, &failure);
            }
            Ok(result.into())
        }
        Err(error) if error.message == failure.for_model() => Ok(CallToolResult::from(failure).into()),
        other => other,
    }
}

/// Whether a result says the failure and nothing else.
fn is_only(result: &CallToolResult, failure: &Failure) -> bool {
    let [content] = result.content.as_slice() else {
        return false;
    };
    content
        .as_text()
        .is_some_and(|content| content.text == failure.for_model())
}

/// Whether a result is an error that the failure was made, or a part of.
fn is_error_of(result: &CallToolResult, failure: &Failure) -> bool {
    let texts = || result.content.iter().filter_map(ContentBlock::as_text);
    let has = |wanted: String| texts().any(|content| content.text.contains(&wanted));
    result.is_error == Some(true)
        && (has(failure.for_model())
            || has(failure.to_string())
            || has(SandboxError::from(failure.clone()).to_string()))
}

fn mark(result: &mut CallToolResult, failure: &Failure) {
    result.is_error = Some(true);
    let meta = result.meta.get_or_insert_with(MetaObject::new);
    meta.0.entry(FAILURE).or_insert_with(|| data(failure));
}

/// As clients of this version of the protocol know results: rmcp does the same to those of tools.
fn fit(mut answer: ServerResult, version: Option<&ProtocolVersion>) -> ServerResult {
    let knows_types = version.is_some_and(|version| *version >= ProtocolVersion::V_2026_07_28);
    if !knows_types {
        answer.strip_result_type_for_legacy_peer();
    }
    answer
}
