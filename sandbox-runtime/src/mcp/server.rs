//! [`Sandboxed`]: a server that reports the failures of its tools.

use std::borrow::Cow;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rmcp::model;
use rmcp::service::{NotificationContext, RequestContext, RunningService, ServerInitializeError, SubscriptionContext};
use rmcp::transport::IntoTransport;
use rmcp::{ErrorData, RoleServer, ServerHandler, serve_server};
use tokio::sync::mpsc;

use super::connection::{Connection, WatchedTransport};
use super::name::Names;
use super::offer::Offer;
use super::outgoing::sending;
use super::repeats::Repeats;
use super::request::{Limits, Request};
use super::trace::TraceOfClient;
use crate::registry::tools_in_order;
use crate::surroundings;

/// Wraps a server, so that its answers report all failures in the same way, whatever its tools return: `isError: true`, the text
/// [for the model](crate::Failure::for_model), and the [`Failure`](crate::Failure) in `_meta` under [`FAILURE`](super::FAILURE).
///
/// It wraps any [`ServerHandler`] and is one itself: pass it to `serve`, or return it from the closure that makes a server for
/// each session.
///
/// ```no_run
/// use rmcp::{tool, tool_router, transport};
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
/// [The module](super) has what it does for requests beside that: their cancellation, their time, their parameters and their
/// progress.
///
/// Unless it is asked for more, only answers to calls of tools change, and only if a sandboxed call ended with a failure of the
/// engine during the request. (An error that the tool itself returned last is its own, and stays as it is.)
///
/// - If the last call to end was that of the tool itself, and failed, an answer that is an
///   error gets the text and the data. The text of its own error type stays, in front. The empty answer of a tool that returns
///   `()` gets them too.
/// - If another function failed, an error that quotes the failure gets the data. It
///   quotes the text for the model, the text of the [`Failure`](crate::Failure), or that of its [`SandboxError`](crate::SandboxError).
/// - A result that is the text for the model and nothing else, such as that of a tool that returns a `String`, is marked as an
///   error and gets the data.
///
/// A JSON-RPC error becomes a result in these cases, because clients do not show such errors to the model. All other answers stay
/// unchanged, also one that `on_failure` has made and that is not an error.
///
/// If a tool that returns `()` fails during the call of another tool, its caller cannot know. Its text is added below the
/// caller's answer, which is marked as an error. That holds even if the caller is retried and succeeds.
///
/// A tool without the attribute that panics is answered with an error, too.
///
/// Calls in spawned tokio tasks are not observed, and a tool that returns `()` panics there when it fails; for tasks of rmcp's task
/// manager there is [`task`](super::task()).
///
/// After the first call of a tool, every sandboxed call of the process takes a little longer, as with [`Budget`](crate::Budget).
#[derive(Debug)]
pub struct Sandboxed<S> {
    server: S,
    limits: Limits,
    offer: Option<Offer>,
    repeats: Option<Repeats>,
}

/// The same server for another connection.
impl<S: Clone> Clone for Sandboxed<S> {
    fn clone(&self) -> Self {
        Sandboxed {
            server: self.server.clone(),
            limits: self.limits,
            offer: self.offer.as_ref().map(Offer::another),
            repeats: self.repeats.as_ref().map(Repeats::another),
        }
    }
}

impl<S> Sandboxed<S> {
    /// Wraps `server`, at the one place where it is started.
    #[must_use]
    pub const fn new(server: S) -> Self {
        Sandboxed {
            server,
            limits: Limits {
                total: Some(Duration::from_secs(55)),
                is_extended_by_progress: false,
            },
            offer: None,
            repeats: None,
        }
    }

    /// Sets how long the sandboxed calls of a request may take together. Default: 55 s, because most clients give a request up
    /// after 60 s; the model then reads what its client knows, and not what has happened.
    #[must_use]
    pub const fn request_limit(mut self, limit: Duration) -> Self {
        self.limits.total = Some(limit);
        self
    }

    /// Lets the sandboxed calls of a request take as long as their own limits allow.
    #[must_use]
    pub const fn without_request_limit(mut self) -> Self {
        self.limits.total = None;
        self
    }

    /// Lets [`request_limit`](Self::request_limit) begin again whenever the client is told of progress: for clients that wait
    /// longer then, and tools that tell it. The limits of the tools stay as they are. It has an effect in a server that is
    /// started by [`serve`](Self::serve).
    #[must_use]
    pub const fn extended_by_progress(mut self) -> Self {
        self.limits.is_extended_by_progress = true;
        self
    }

    /// Leaves tools out of the list that cannot be had: those that an operator has switched off, and those whose own breaker is open
    /// or forced open, until it lets a call try whether the tool is well again. Default: all tools are listed.
    ///
    /// A model does not call what it does not see, and a call that is made all the same is refused as ever. The list of one connection
    /// changes at most once in a time as long as `apart`, so that a tool that comes and goes does not take the list with it. If the
    /// server declares `tools.listChanged` among its capabilities, its client is told of each change, once. Over HTTP, a request without
    /// a session, as the protocol of 2026-07-28 has it, is a connection of its own: it lists tools as they are, and `apart` holds for
    /// what a subscription is told.
    ///
    /// A tool is found by its name: one whose name the attribute [does not see](super#parameters-of-further-attempts) stays in the list,
    /// and of several functions of one name all have to be gone.
    #[must_use]
    pub fn withdraw_unavailable(mut self, apart: Duration) -> Self {
        self.offer = Some(Offer::new(apart));
        self
    }

    /// Answers a call that has failed so many times in a row, with the same arguments, without making it: the model reads that, and that
    /// it should change them. Default: every call is made.
    ///
    /// A call of the same tool with other arguments, or a success of it, begins a new count. So do ten minutes without a failure:
    /// otherwise a tool without arguments could not be called again. After a success of another tool, which may have mended what this
    /// one failed at, the call is made once more, unless the other one's `read_only_hint` says that it changes nothing. The order of keys in the arguments does not matter; nothing of
    /// them is kept but a hash. Calls that were refused, or cancelled by their client, are no failures. It counts within a
    /// connection: over HTTP, within a session. Requests without one, as the protocol of 2026-07-28 has them, are not counted together,
    /// because nothing tells whose they are. 0 is taken for 1.
    #[must_use]
    pub fn refuse_repeated_failures(mut self, times: u32) -> Self {
        self.repeats = Some(Repeats::new(times));
        self
    }

    /// The server inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.server
    }
}

impl<S: ServerHandler> Sandboxed<S> {
    async fn make_call(
        &self,
        request: model::CallToolRequestParams,
        context: Context,
    ) -> Result<model::CallToolResponse, ErrorData> {
        let (outgoing, messages) = mpsc::unbounded_channel();
        let observed = Request::starting_now(&request, &context, self.limits, outgoing);
        let connection = context.extensions.get::<Connection>();
        let _answering = connection.map(|connection| connection.begin(context.id.clone(), observed.clone()));
        let peer = context.peer.clone();
        let tool = request.name.clone();
        let trace = TraceOfClient::of(&context);
        let call = answered(&tool, self.server.call_tool(request, context));
        let call = trace.around(surroundings::attach(observed.clone(), call));
        let names = Names {
            called: &tool,
            is_tool: &|name| self.server.get_tool(name).is_some(),
        };
        let answer = sending(call, messages, peer, &names).await;
        observed.observation(&names).complete(answer, Some(&names))
    }

    /// What its client is shown, if it is told of changes: also of tools that it has not been shown yet, or on another connection.
    fn announced(&self) -> Option<&Offer> {
        let offer = self.offer.as_ref()?;
        let tools = self.server.get_info().capabilities.tools;
        let is_declared = tools.is_some_and(|tools| tools.list_changed == Some(true));
        if is_declared {
            let names = tools_in_order().into_iter().map(|tool| tool.name());
            offer.know(names.filter(|name| self.server.get_tool(name).is_some()));
        }
        is_declared.then_some(offer)
    }

    /// Starts the server on a transport, as rmcp's `serve` does, and watches what its tools send over it by themselves: their
    /// progress, and their questions to the user. See [the module](super) for what follows from that.
    ///
    /// # Errors
    ///
    /// Those of rmcp's `serve`: the client has not initialized the connection, or as the protocol does not have it.
    pub async fn serve<T, E, A>(self, transport: T) -> Result<RunningService<RoleServer, Self>, ServerInitializeError>
    where
        T: IntoTransport<RoleServer, E, A>,
        E: Error + Send + Sync + 'static,
    {
        serve_server(self, WatchedTransport::new(transport.into_transport())).await
    }
}

/// What rmcp hands to a server beside a request.
type Context = RequestContext<RoleServer>;
type Notification = NotificationContext<RoleServer>;
/// Where a list continues.
type Page = Option<model::PaginatedRequestParams>;

/// Forwards methods to the wrapped server.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)*) => {$(
        async fn $method(&self, $($argument: $type),*) $(-> Result<$answer, ErrorData>)? {
            self.server.$method($($argument),*).await
        }
    )*};
}

/// Has to list every method of the trait: the trait's default would answer one that is missing here, and not the server.
#[expect(deprecated, reason = "servers for older clients still have these methods")]
impl<S: ServerHandler> ServerHandler for Sandboxed<S> {
    async fn call_tool(
        &self,
        request: model::CallToolRequestParams,
        context: Context,
    ) -> Result<model::CallToolResponse, ErrorData> {
        let Some(repeats) = &self.repeats else {
            return self.make_call(request, context).await;
        };
        let repeated = repeats.look_at(&request);
        if let Some(answer) = repeated.answer() {
            return Ok(answer);
        }
        let hints = self.server.get_tool(&request.name).and_then(|tool| tool.annotations);
        let is_read_only = hints.is_some_and(|hints| hints.read_only_hint == Some(true));
        let answer = self.make_call(request, context).await;
        repeated.ended(&answer, is_read_only);
        answer
    }

    async fn list_tools(&self, page: Page, context: Context) -> Result<model::ListToolsResult, ErrorData> {
        let mut listed = self.server.list_tools(page, context).await?;
        if let Some(offer) = &self.offer {
            offer.show(&mut listed.tools);
        }
        Ok(listed)
    }

    /// Before the protocol of 2026-07-28, a client that has begun its session is told of changes by itself.
    async fn on_initialized(&self, context: Notification) {
        if let Some(offer) = self.announced() {
            let peer = context.peer.clone();
            tokio::spawn(offer.announce(move || {
                let peer = peer.clone();
                async move { peer.notify_tool_list_changed().await.is_ok() }
            }));
        }
        self.server.on_initialized(context).await;
    }

    /// Since then, it asks for them.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let is_asked = context.accepted().tools_list_changed == Some(true);
        let Some(offer) = self.announced().filter(|_| is_asked) else {
            return self.server.listen(context).await;
        };
        let sink = context.sink().clone();
        let announcing = offer.announce(move || {
            let sink = sink.clone();
            async move { sink.notify_tool_list_changed().await.is_ok() }
        });
        let connection = context.request_context().extensions.get::<Connection>();
        let is_over = connection.map(Connection::is_over).unwrap_or_default();
        // rmcp gives requests under way some seconds when the connection ends, and this one would take them all.
        let listening = async {
            let listening = is_over.run_until_cancelled(self.server.listen(context));
            listening.await.unwrap_or(Ok(()))
        };
        beside(listening, announcing).await
    }

    forward! {
        ping(context: Context) -> ();
        initialize(request: model::InitializeRequestParams, context: Context) -> model::InitializeResult;
        discover(context: Context) -> model::DiscoverResult;
        complete(request: model::CompleteRequestParams, context: Context) -> model::CompleteResult;
        set_level(request: model::SetLevelRequestParams, context: Context) -> ();
        get_prompt(request: model::GetPromptRequestParams, context: Context) -> model::GetPromptResponse;
        list_prompts(page: Page, context: Context) -> model::ListPromptsResult;
        list_resources(page: Page, context: Context) -> model::ListResourcesResult;
        list_resource_templates(page: Page, context: Context) -> model::ListResourceTemplatesResult;
        read_resource(request: model::ReadResourceRequestParams, context: Context) -> model::ReadResourceResponse;
        read_resource_directory(request: model::ReadResourceDirectoryRequestParams, context: Context) -> model::ReadResourceDirectoryResult;
        subscribe(request: model::SubscribeRequestParams, context: Context) -> ();
        unsubscribe(request: model::UnsubscribeRequestParams, context: Context) -> ();
        get_task(request: model::GetTaskParams, context: Context) -> model::GetTaskResult;
        update_task(request: model::UpdateTaskParams, context: Context) -> ();
        cancel_task(request: model::CancelTaskParams, context: Context) -> ();
        list_skills(page: Page, context: Context) -> model::ListSkillsResult;
        get_skill(request: model::GetSkillRequestParams, context: Context) -> model::GetSkillResult;
        on_custom_request(request: model::CustomRequest, context: Context) -> model::CustomResult;
        on_cancelled(notification: model::CancelledNotificationParam, context: Notification);
        on_progress(notification: model::ProgressNotificationParam, context: Notification);
        on_roots_list_changed(context: Notification);
        on_custom_notification(notification: model::CustomNotification, context: Notification);
    }

    fn negotiate_initialize(
        &self,
        request: &model::InitializeRequestParams,
    ) -> Result<model::InitializeResult, ErrorData> {
        self.server.negotiate_initialize(request)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [model::ProtocolVersion]> {
        self.server.supported_protocol_versions()
    }

    fn accepted_subscription_filter(&self, requested: &model::SubscriptionFilter) -> Option<model::SubscriptionFilter> {
        let mut accepted = self.server.accepted_subscription_filter(requested);
        if requested.tools_list_changed == Some(true) && self.announced().is_some() {
            accepted.get_or_insert_default().tools_list_changed = Some(true);
        }
        accepted
    }

    fn get_tool(&self, name: &str) -> Option<model::Tool> {
        self.server.get_tool(name)
    }

    fn get_info(&self) -> model::ServerConfig {
        self.server.get_info()
    }
}

/// Answers also where `call` panics: of a tool that is not async, and of one without the attribute, nobody else catches that.
async fn answered(
    tool: &str,
    call: impl Future<Output = Result<model::CallToolResponse, ErrorData>>,
) -> Result<model::CallToolResponse, ErrorData> {
    let mut call = pin!(call);
    let caught = poll_fn(|cx| {
        // It is not polled again.
        let poll = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        poll.map_or_else(|_| Poll::Ready(None), |poll| poll.map(Some))
    });
    match caught.await {
        Some(answer) => answer,
        None => {
            let text =
                format!("`{tool}` crashed. The same call is likely to crash again: change it, or go on without it.");
            Ok(model::CallToolResult::error(vec![model::ContentBlock::text(text)]).into())
        }
    }
}

/// Runs `other` until `main` has ended.
async fn beside<F: Future>(main: F, other: impl Future<Output = ()>) -> F::Output {
    let (mut main, mut other, mut is_over) = (pin!(main), pin!(other), false);
    poll_fn(|cx| {
        if !is_over {
            is_over = other.as_mut().poll(cx).is_ready();
        }
        main.as_mut().poll(cx)
    })
    .await
}
