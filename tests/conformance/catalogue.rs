//! The prompts and resources, and what the server says of itself.

use rmcp::ErrorData;
use rmcp::model::{
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
};
use rmcp::service::SubscriptionContext;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::questions::{self, Answers};
use crate::tools::internal;

/// One pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Of all servers of the process: without a session, every request has a server of its own.
pub(crate) static TOOLS_CHANGED: Notify = Notify::const_new();
pub(crate) static PROMPTS_CHANGED: Notify = Notify::const_new();

/// A value of the protocol, as it is on the wire.
pub(crate) fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(internal)
}

pub(crate) fn about() -> ServerConfig {
    let capabilities = ServerCapabilities::builder()
        .enable_completions()
        .enable_logging()
        .enable_prompts()
        .enable_prompts_list_changed()
        .enable_resources()
        .enable_resources_subscribe()
        .enable_tools()
        .enable_tool_list_changed()
        .enable_tasks()
        .build();
    ServerConfig::new(capabilities)
}

/// Tells a client of the changes that it has asked for.
pub(crate) async fn listen(context: SubscriptionContext) {
    loop {
        // What the client has not asked for, the sink does not send.
        let sent = tokio::select! {
            () = context.cancelled() => return,
            () = TOOLS_CHANGED.notified() => context.sink().notify_tool_list_changed().await,
            () = PROMPTS_CHANGED.notified() => context.sink().notify_prompt_list_changed().await,
        };
        drop(sent);
    }
}

pub(crate) fn prompts() -> Result<ListPromptsResult, ErrorData> {
    let argument = |name| json!({ "name": name, "description": "What the prompt quotes", "required": true });
    parsed(json!({
        "prompts": [
            { "name": "test_simple_prompt", "description": "A text" },
            {
                "name": "test_prompt_with_arguments",
                "description": "A text with arguments",
                "arguments": [argument("arg1"), argument("arg2")],
            },
            {
                "name": "test_prompt_with_embedded_resource",
                "description": "A text with a resource",
                "arguments": [argument("resourceUri")],
            },
            { "name": "test_prompt_with_image", "description": "A text with an image" },
            { "name": "test_input_required_result_prompt", "description": "A text that the user has to add to" },
        ],
        "resultType": "complete",
        "ttlMs": 60_000,
        "cacheScope": "public",
    }))
}

pub(crate) fn prompt(request: GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let arguments = json!(request.arguments.unwrap_or_default());
    let given = |name| arguments[name].as_str().unwrap_or_default();
    let text = |text: &str| json!({ "type": "text", "text": text });
    messages(match request.name.as_str() {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => {
            let (first, second) = (given("arg1"), given("arg2"));
            json!([text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))])
        }
        "test_prompt_with_embedded_resource" => {
            let content = "Embedded resource content for testing.";
            let resource = json!({ "uri": given("resourceUri"), "mimeType": "text/plain", "text": content });
            json!([
                { "type": "resource", "resource": resource },
                text("Please process the embedded resource above."),
            ])
        }
        "test_prompt_with_image" => json!([
            { "type": "image", "data": PNG, "mimeType": "image/png" },
            text("Please analyze the image above."),
        ]),
        "test_input_required_result_prompt" => {
            let answers = Answers::new(request.input_responses, request.request_state);
            return answers.of_prompt(("user_context", questions::CONTEXT));
        }
        other => return Err(ErrorData::invalid_params(format!("there is no prompt `{other}`"), None)),
    })
}

/// A prompt of the user's with a message for each of these.
pub(crate) fn messages(contents: Value) -> Result<GetPromptResponse, ErrorData> {
    let contents: Vec<Value> = parsed(contents)?;
    let messages = contents
        .into_iter()
        .map(|content| json!({ "role": "user", "content": content }));
    let messages: Vec<_> = messages.collect();
    let result: GetPromptResult = parsed(json!({ "messages": messages, "resultType": "complete" }))?;
    Ok(result.into())
}

pub(crate) fn resources() -> Result<ListResourcesResult, ErrorData> {
    let resource = |name: &str, mime_type| {
        let uri = format!("test://{name}");
        json!({ "uri": uri, "name": name, "description": "What the suite reads", "mimeType": mime_type })
    };
    parsed(json!({
        "resources": [
            resource("static-text", "text/plain"),
            resource("static-binary", "image/png"),
            resource("watched-resource", "text/plain"),
        ],
        "resultType": "complete",
        "ttlMs": 60_000,
        "cacheScope": "public",
    }))
}

pub(crate) fn resource_templates() -> Result<ListResourceTemplatesResult, ErrorData> {
    let template = json!({
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "The data of a number",
        "mimeType": "application/json",
    });
    parsed(json!({
        "resourceTemplates": [template],
        "resultType": "complete",
        "ttlMs": 60_000,
        "cacheScope": "public",
    }))
}

pub(crate) fn resource(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let template = uri.strip_prefix("test://template/");
    let content = match (uri, template.and_then(|rest| rest.strip_suffix("/data"))) {
        (_, Some(id)) => {
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
        ("test://static-text", _) => {
            let text = "This is the content of the static text resource.";
            json!({ "uri": uri, "mimeType": "text/plain", "text": text })
        }
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        ("test://watched-resource", _) => json!({ "uri": uri, "mimeType": "text/plain", "text": "Watched." }),
        _ => {
            let data = json!({ "uri": uri });
            return Err(ErrorData::invalid_params("there is no such resource", Some(data)));
        }
    };
    let result: ReadResourceResult = parsed(json!({
        "contents": [content],
        "resultType": "complete",
        "ttlMs": 60_000,
        "cacheScope": "public",
    }))?;
    Ok(result.into())
}
