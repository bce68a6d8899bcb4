//! Every request of a client reaches a server in `Sandboxed`.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    self, ErrorCode, InitializeRequestParams, InitializeResult, ProtocolVersion, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use sandbox_runtime::mcp::Sandboxed;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::handler_methods;

type Request = RequestContext<RoleServer>;
type Notification = NotificationContext<RoleServer>;
type Page = Option<model::PaginatedRequestParams>;

/// Records what it is asked for.
#[derive(Default)]
struct Server {
    asked: Arc<Mutex<Vec<&'static str>>>,
}

impl Server {
    fn note(&self, method: &'static str) {
        self.asked.lock().unwrap().push(method);
    }
}

macro_rules! noted {
    ($($method:ident($($argument:ty),*) $(-> $answer:ty)?;)*) => {$(
        async fn $method(&self, $(_: $argument),*) $(-> Result<$answer, ErrorData>)? {
            self.note(stringify!($method));
            $(Err::<$answer, _>(ErrorData::new(ErrorCode(-1), stringify!($method), None)))?
        }
    )*};
}

#[expect(deprecated, reason = "servers for older clients still have these methods")]
impl ServerHandler for Server {
    noted! {
        ping(Request) -> ();
        discover(Request) -> model::DiscoverResult;
        complete(model::CompleteRequestParams, Request) -> model::CompleteResult;
        set_level(model::SetLevelRequestParams, Request) -> ();
        get_prompt(model::GetPromptRequestParams, Request) -> model::GetPromptResponse;
        list_prompts(Page, Request) -> model::ListPromptsResult;
        list_resources(Page, Request) -> model::ListResourcesResult;
        list_resource_templates(Page, Request) -> model::ListResourceTemplatesResult;
        read_resource(model::ReadResourceRequestParams, Request) -> model::ReadResourceResponse;
        read_resource_directory(model::ReadResourceDirectoryRequestParams, Request) -> model::ReadResourceDirectoryResult;
        listen(SubscriptionContext) -> ();
        subscribe(model::SubscribeRequestParams, Request) -> ();
        unsubscribe(model::UnsubscribeRequestParams, Request) -> ();
        call_tool(model::CallToolRequestParams, Request) -> model::CallToolResponse;
        list_tools(Page, Request) -> model::ListToolsResult;
        get_task(model::GetTaskParams, Request) -> model::GetTaskResult;
        update_task(model::UpdateTaskParams, Request) -> ();
        cancel_task(model::CancelTaskParams, Request) -> ();
        list_skills(Page, Request) -> model::ListSkillsResult;
        get_skill(model::GetSkillRequestParams, Request) -> model::GetSkillResult;
        on_custom_request(model::CustomRequest, Request) -> model::CustomResult;
        on_cancelled(model::CancelledNotificationParam, Notification);
        on_progress(model::ProgressNotificationParam, Notification);
        on_initialized(Notification);
        on_roots_list_changed(Notification);
        on_custom_notification(model::CustomNotification, Notification);
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: Request,
    ) -> Result<InitializeResult, ErrorData> {
        self.note("initialize");
        context.peer.set_peer_info(request.clone());
        Ok(self.get_info())
    }

    fn negotiate_initialize(&self, _: &InitializeRequestParams) -> Result<InitializeResult, ErrorData> {
        Err(ErrorData::new(ErrorCode(-1), "negotiate_initialize", None))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(&[ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28])
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        Some(Tool::new(name.to_owned(), "a tool", model::JsonObject::new()))
    }

    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::default();
        info.protocol_version = ProtocolVersion::V_2025_11_25;
        info.capabilities = serde_json::from_value::<ServerCapabilities>(json!({
            "resources": {}, "tools": { "listChanged": true },
            "extensions": {
                "io.modelcontextprotocol/tasks": {},
                "io.modelcontextprotocol/skills": { "directoryRead": true },
            },
        }))
        .unwrap();
        info
    }
}

/// A message for each method, in the order of the methods' names.
fn messages() -> Vec<(&'static str, &'static str, Value)> {
    let text = json!({ "uri": "file:///notes" });
    let reference = json!({ "ref": { "type": "ref/prompt", "name": "a" }, "argument": { "name": "b", "value": "c" } });
    vec![
        ("call_tool", "tools/call", json!({ "name": "a" })),
        ("cancel_task", "tasks/cancel", json!({ "taskId": "a" })),
        ("complete", "completion/complete", reference),
        ("discover", "server/discover", json!({ "_meta": of_2026() })),
        ("get_prompt", "prompts/get", json!({ "name": "a" })),
        ("get_skill", "skills/get", json!({ "uri": "skill://a/SKILL.md" })),
        ("get_task", "tasks/get", json!({ "taskId": "a" })),
        ("list_prompts", "prompts/list", json!({})),
        ("list_resource_templates", "resources/templates/list", json!({})),
        ("list_resources", "resources/list", json!({})),
        ("list_skills", "skills/list", json!({})),
        ("list_tools", "tools/list", json!({})),
        (
            "listen",
            "subscriptions/listen",
            json!({ "_meta": of_2026(), "notifications": { "toolsListChanged": true } }),
        ),
        ("on_custom_request", "a/b", json!({})),
        ("ping", "ping", json!({})),
        ("read_resource", "resources/read", text.clone()),
        ("read_resource_directory", "resources/directory/read", text.clone()),
        ("set_level", "logging/setLevel", json!({ "level": "error" })),
        ("subscribe", "resources/subscribe", text.clone()),
        ("unsubscribe", "resources/unsubscribe", text),
        (
            "update_task",
            "tasks/update",
            json!({ "taskId": "a", "inputResponses": {} }),
        ),
    ]
}

/// The metadata that a request has in this version of the protocol.
fn of_2026() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn notifications() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("on_cancelled", "notifications/cancelled", json!({ "requestId": 99 })),
        ("on_custom_notification", "notifications/a", json!({})),
        (
            "on_progress",
            "notifications/progress",
            json!({ "progressToken": 1, "progress": 1 }),
        ),
        ("on_roots_list_changed", "notifications/roots/list_changed", json!({})),
    ]
}

#[tokio::test(start_paused = true)]
async fn requests_and_notifications() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let asked = Arc::default();
    let server = Sandboxed::new(Server {
        asked: Arc::clone(&asked),
    });
    tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
    let (answers, mut out) = tokio::io::split(near);
    let mut answers = BufReader::new(answers).lines();

    let hello = json!({
        "protocolVersion": "2025-11-25", "clientInfo": { "name": "a", "version": "1" },
        "capabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } },
    });
    let mut send = async |id: Option<usize>, method: &str, params: &Value| {
        let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if let Some(id) = id {
            message["id"] = json!(id);
        }
        out.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    };
    send(Some(0), "initialize", &hello).await;
    answers.next_line().await.unwrap();
    send(None, "notifications/initialized", &json!({})).await;
    for (_, notification, params) in notifications() {
        send(None, notification, &params).await;
    }
    for (id, (method, request, params)) in (1..).zip(messages()) {
        send(Some(id), request, &params).await;
        loop {
            let answer: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
            if answer["id"] == id {
                assert_eq!(
                    answer["error"]["message"], method,
                    "`{request}` is not answered by the server's `{method}`: {answer}"
                );
                break;
            }
        }
    }

    let mut expected = vec!["initialize", "on_initialized"];
    expected.extend(notifications().iter().chain(&messages()).map(|(method, ..)| *method));
    let mut asked = asked.lock().unwrap().clone();
    expected.sort_unstable();
    asked.sort_unstable();
    assert_eq!(asked, expected, "the server is not asked what its client asks for");
}

/// The methods that are not for messages of a client.
const ASKED_BY_RMCP: [&str; 5] = [
    "negotiate_initialize",
    "supported_protocol_versions",
    "get_info",
    "get_tool",
    "accepted_subscription_filter",
];

#[test]
fn what_rmcp_asks_by_itself() {
    let (server, wrapped) = (Server::default(), Sandboxed::new(Server::default()));
    let hello = InitializeRequestParams::default();
    assert_eq!(
        wrapped.negotiate_initialize(&hello),
        server.negotiate_initialize(&hello),
        "negotiate_initialize"
    );
    assert_eq!(
        ServerHandler::supported_protocol_versions(&wrapped),
        ServerHandler::supported_protocol_versions(&server),
        "supported_protocol_versions"
    );
    assert_eq!(
        ServerHandler::get_info(&wrapped),
        ServerHandler::get_info(&server),
        "get_info"
    );
    assert_eq!(wrapped.get_tool("a"), server.get_tool("a"), "get_tool");
    let filter = SubscriptionFilter::default();
    assert_eq!(
        wrapped.accepted_subscription_filter(&filter),
        server.accepted_subscription_filter(&filter),
        "accepted_subscription_filter"
    );
}

#[test]
fn no_method_of_rmcp_is_left_out() {
    let of_rmcp = handler_methods::of_rmcp();

    let wrapper = include_str!("../../sandbox-runtime/src/mcp/server.rs");
    let missing: Vec<_> = of_rmcp
        .iter()
        .filter(|method| !handler_methods::is_implemented(wrapper, method))
        .collect();
    assert!(
        missing.is_empty(),
        "rmcp's default answers in place of the server: `sandbox-runtime/src/mcp/server.rs` does not forward {missing:?}"
    );

    let mut tested: Vec<_> = ["initialize", "on_initialized"].into();
    tested.extend(ASKED_BY_RMCP);
    tested.extend(messages().iter().chain(&notifications()).map(|(method, ..)| *method));
    let untested: Vec<_> = of_rmcp
        .iter()
        .filter(|method| !tested.contains(&method.as_str()))
        .collect();
    assert!(
        untested.is_empty(),
        "no test here shows that {untested:?} reaches the server; add a message or a comparison"
    );
}
