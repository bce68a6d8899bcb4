//! [`TellFailures`]: a server that watches the calls of its tools.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model;
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::answer::Observation;
use crate::failure::Failure;
use crate::surroundings::report::Observed;
use crate::surroundings::{self, Attachment, CallEnd};

/// A server whose answers tell all failures alike, whatever its tools return: `isError: true`, the text
/// [for the model](Failure::for_model), and the [`Failure`] in `_meta` under [`FAILURE`](super::FAILURE).
///
/// It goes around any [`ServerHandler`], and is one itself: for `serve`, and for what makes a server for each session.
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
/// It changes the answer to a call of a tool, and only when a sandboxed call has failed in it:
///
/// - When that was the tool itself, the last call of all and by the name that the client called, an answer that is an error gets the text and the data.
///   What its error type says by itself stays, and stands first. So does an empty answer of a tool that returns `()`.
/// - When it was another function, or the tool has another name for clients, an error that quotes its failure gets the data. It
///   quotes the text for the model, that of the [`Failure`], or that of its [`SandboxError`](crate::SandboxError).
/// - A result that is nothing but the text for the model, as a tool that returns a `String` gives it, is marked as an error and
///   gets the data.
///
/// JSON-RPC errors become results by that, for clients do not show them to the model. All other answers stay as they are: also
/// one without an error that `on_failure` has made.
///
/// A tool that returns `()` and fails within another tool's call has no answer of its own, and its caller does not know: its text
/// goes below what the caller answers, which is marked as an error. It does so too when the caller is retried and succeeds.
///
/// What runs in tokio tasks of its own is not seen, and a tool that returns `()` panics there when it fails.
///
/// With the first call, every sandboxed call of the process takes a little longer, as with [`Budget`](crate::Budget).
#[derive(Debug, Clone, Copy, Default)]
pub struct TellFailures<S>(pub S);

type Request = RequestContext<RoleServer>;
type Notification = NotificationContext<RoleServer>;
/// Where a list goes on.
type Page = Option<model::PaginatedRequestParams>;

/// Methods that the server itself is to answer.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)*) => {$(
        async fn $method(&self, $($argument: $type),*) $(-> Result<$answer, ErrorData>)? {
            self.0.$method($($argument),*).await
        }
    )*};
}

/// All methods stand here: one that is left out would be answered by the trait, and not by the server.
#[expect(deprecated, reason = "servers for older clients still have these methods")]
impl<S: ServerHandler> ServerHandler for TellFailures<S> {
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
    /// The last failure that a function could not return to its caller. Of a tool within a tool the outer one fails last: it
    /// is the one that the client called.
    unreported: Mutex<Option<Failure>>,
}

impl RequestObserver {
    /// What was observed until now, in a call of the tool that the client knows as `called`.
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
    // Nothing panics while it is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a failure to the server, for a function that returns nothing.
///
/// # Panics
///
/// Outside the call of a tool of such a server. There nobody would learn of the failure.
pub(super) fn defer_to_server(failure: Failure) {
    if let Err(failure) = surroundings::keep_unreturnable(failure) {
        panic!(
            "{failure}; a function that returns `()` can report it only when a client calls it as a tool, and the server is \
             in `sandbox_runtime::mcp::TellFailures`; return a `Result`"
        );
    }
}
