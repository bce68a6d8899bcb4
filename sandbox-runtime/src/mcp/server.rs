//! [`Sandboxed`]: a server that reports the failures of its tools.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model;
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::answer::Observation;
use crate::failure::Failure;
use crate::surroundings::report::Observed;
use crate::surroundings::{self, Attachment, CallEnd};

/// Wraps a server, so that its answers report all failures in the same way, whatever its tools return: `isError: true`, the text
/// [for the model](Failure::for_model), and the [`Failure`] in `_meta` under [`FAILURE`](super::FAILURE).
///
/// It wraps any [`ServerHandler`] and is one itself: pass it to `serve`, or return it from the closure that makes a server for
/// each session.
///
/// ```no_run
/// use rmcp::{ServiceExt, tool, tool_router, transport};
/// use sandbox_runtime::{mcp::Sandboxed, sandboxed};
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
/// Sandboxed::new(Lamp).serve(transport::stdio()).await?.waiting().await?;
/// # Ok(()) }
/// ```
///
/// Only answers to calls of tools change, and only if a sandboxed call failed during the request:
///
/// - If the last call to end was that of the tool itself, under the name that the client called, and failed, an answer that is an
///   error gets the text and the data. The text of its own error type stays, in front. The empty answer of a tool that returns
///   `()` gets them too.
/// - If another function failed, or the tool has another name for clients, an error that quotes the failure gets the data. It
///   quotes the text for the model, the text of the [`Failure`], or that of its [`SandboxError`](crate::SandboxError).
/// - A result that is the text for the model and nothing else, such as that of a tool that returns a `String`, is marked as an
///   error and gets the data.
///
/// A JSON-RPC error becomes a result in these cases, because clients do not show such errors to the model. All other answers stay
/// unchanged, also one that `on_failure` has made and that is not an error.
///
/// If a tool that returns `()` fails during the call of another tool, its caller cannot know. Its text is added below the
/// caller's answer, which is marked as an error. That holds even if the caller is retried and succeeds.
///
/// Calls in spawned tokio tasks are not observed, and a tool that returns `()` panics there when it fails.
///
/// After the first call of a tool, every sandboxed call of the process takes a little longer, as with [`Budget`](crate::Budget).
#[derive(Debug, Clone, Copy, Default)]
pub struct Sandboxed<S>(S);

impl<S> Sandboxed<S> {
    /// Wraps `server`, at the one place where it is started.
    #[must_use]
    pub const fn new(server: S) -> Self {
        Sandboxed(server)
    }

    /// The server inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.0
    }
}

type Request = RequestContext<RoleServer>;
type Notification = NotificationContext<RoleServer>;
/// Where a list continues.
type Page = Option<model::PaginatedRequestParams>;

/// Forwards methods to the wrapped server.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)*) => {$(
        async fn $method(&self, $($argument: $type),*) $(-> Result<$answer, ErrorData>)? {
            self.0.$method($($argument),*).await
        }
    )*};
}

/// Has to list every method of the trait: the trait's default would answer one that is missing here, and not the server.
#[expect(deprecated, reason = "servers for older clients still have these methods")]
impl<S: ServerHandler> ServerHandler for Sandboxed<S> {
    async fn call_tool(
        &self,
        request: model::CallToolRequestParams,
        context: Request,
    ) -> Result<model::CallToolResponse, ErrorData> {
        let called = request.name.clone();
        let observer = Arc::new(RequestObserver::default());
        let call = self.0.call_tool(request, context);
        let answer = surroundings::attach(Arc::clone(&observer) as _, call).await;
        observer.observation(&called).complete(answer)
    }

    forward! {
        ping(context: Request) -> ();
        initialize(request: model::InitializeRequestParams, context: Request) -> model::InitializeResult;
        discover(context: Request) -> model::DiscoverResult;
        complete(request: model::CompleteRequestParams, context: Request) -> model::CompleteResult;
        set_level(request: model::SetLevelRequestParams, context: Request) -> ();
        get_prompt(request: model::GetPromptRequestParams, context: Request) -> model::GetPromptResponse;
        list_prompts(page: Page, context: Request) -> model::ListPromptsResult;
        list_resources(page: Page, context: Request) -> model::ListResourcesResult;
        list_resource_templates(page: Page, context: Request) -> model::ListResourceTemplatesResult;
        read_resource(request: model::ReadResourceRequestParams, context: Request) -> model::ReadResourceResponse;
        read_resource_directory(request: model::ReadResourceDirectoryRequestParams, context: Request) -> model::ReadResourceDirectoryResult;
        listen(context: SubscriptionContext) -> ();
        subscribe(request: model::SubscribeRequestParams, context: Request) -> ();
        unsubscribe(request: model::UnsubscribeRequestParams, context: Request) -> ();
        list_tools(page: Page, context: Request) -> model::ListToolsResult;
        get_task(request: model::GetTaskParams, context: Request) -> model::GetTaskResult;
        update_task(request: model::UpdateTaskParams, context: Request) -> ();
        cancel_task(request: model::CancelTaskParams, context: Request) -> ();
        list_skills(page: Page, context: Request) -> model::ListSkillsResult;
        get_skill(request: model::GetSkillRequestParams, context: Request) -> model::GetSkillResult;
        on_custom_request(request: model::CustomRequest, context: Request) -> model::CustomResult;
        on_cancelled(notification: model::CancelledNotificationParam, context: Notification);
        on_progress(notification: model::ProgressNotificationParam, context: Notification);
        on_initialized(context: Notification);
        on_roots_list_changed(context: Notification);
        on_custom_notification(notification: model::CustomNotification, context: Notification);
    }

    fn negotiate_initialize(
        &self,
        request: &model::InitializeRequestParams,
    ) -> Result<model::InitializeResult, ErrorData> {
        self.0.negotiate_initialize(request)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [model::ProtocolVersion]> {
        self.0.supported_protocol_versions()
    }

    fn accepted_subscription_filter(&self, requested: &model::SubscriptionFilter) -> Option<model::SubscriptionFilter> {
        self.0.accepted_subscription_filter(requested)
    }

    fn get_tool(&self, name: &str) -> Option<model::Tool> {
        self.0.get_tool(name)
    }

    fn get_info(&self) -> model::ServerConfig {
        self.0.get_info()
    }
}

/// Observes the calls in a request.
#[derive(Debug, Default)]
struct RequestObserver {
    calls: Mutex<Observed>,
    /// The last failure that a function could not return to its caller. If a tool calls another and both fail, the outer one
    /// fails last: it is the one that the client called.
    unreported: Mutex<Option<Failure>>,
}

impl RequestObserver {
    /// What was observed during a request for the tool that the client knows as `called`.
    fn observation(&self, called: &str) -> Observation {
        let calls = std::mem::take(&mut *locked(&self.calls));
        let own = calls.end.and_then(|call| call.failure);
        Observation {
            own: own.filter(|failure| failure.tool == called),
            failures: calls.failures,
            unreported: locked(&self.unreported).take(),
        }
    }
}

impl Attachment for RequestObserver {
    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        locked(&self.calls).record(end, is_reported);
        true
    }

    fn keep_unreturnable(&self, failure: Failure) -> Result<(), Failure> {
        *locked(&self.unreported) = Some(failure);
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while the lock is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a failure to the server, for a function that returns `()`.
///
/// # Panics
///
/// Panics outside a request to a [`Sandboxed`] server: the failure would be lost there.
pub(super) fn defer_to_server(failure: Failure) {
    if let Err(failure) = surroundings::keep_unreturnable(failure) {
        panic!(
            "{failure}; a function that returns `()` can report it only when a client calls it as a tool, and the server is \
             in `sandbox_runtime::mcp::Sandboxed`; return a `Result`"
        );
    }
}
