//! The tools, in a server without the sandbox and in one with it.

use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResponse, CallToolResult, CancelTaskParams, ClientCapabilities, CompleteRequestParams, CompleteResult,
    GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, LoggingLevel, LoggingMessageNotificationParam,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use sandbox_runtime::sandboxed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use crate::catalogue::{self, PNG, parsed};
use crate::questions::{self, Answers};
use crate::tasks::{self, TASKS};

/// A silent sound.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

const STEP: Duration = Duration::from_millis(50);

type Context = RequestContext<RoleServer>;
type Page = Option<PaginatedRequestParams>;

#[derive(Clone, Deserialize, JsonSchema)]
struct Prompt {
    prompt: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Message {
    message: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Name {
    name: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Time {
    seconds: u64,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Region {
    /// Clients repeat it in a header.
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
}

/// Makes a server whose tools are under these attributes, and do this work in tasks.
macro_rules! server {
    ($server:ident with $work:ident $(, under #[$guard:meta])*) => {
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $server;

        $(#[$guard])*
        #[tool_router]
        impl $server {
            /// Answers with a text.
            #[tool]
            async fn test_simple_text(&self) -> String {
                "This is a simple text response for testing.".to_owned()
            }

            /// Answers with an image.
            #[tool]
            async fn test_image_content(&self) -> Result<CallToolResult, ErrorData> {
                content(json!([{ "type": "image", "data": PNG, "mimeType": "image/png" }]))
            }

            /// Answers with a sound.
            #[tool]
            async fn test_audio_content(&self) -> Result<CallToolResult, ErrorData> {
                content(json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]))
            }

            /// Answers with a resource.
            #[tool]
            async fn test_embedded_resource(&self) -> Result<CallToolResult, ErrorData> {
                let text = "This is an embedded resource content.";
                let resource = json!({ "uri": "test://embedded-resource", "mimeType": "text/plain", "text": text });
                content(json!([{ "type": "resource", "resource": resource }]))
            }

            /// Answers with a text, an image and a resource.
            #[tool]
            async fn test_multiple_content_types(&self) -> Result<CallToolResult, ErrorData> {
                let text = json!({ "test": "data", "value": 123 }).to_string();
                let uri = "test://mixed-content-resource";
                content(json!([
                    { "type": "text", "text": "Multiple content types test:" },
                    { "type": "image", "data": PNG, "mimeType": "image/png" },
                    { "type": "resource", "resource": { "uri": uri, "mimeType": "application/json", "text": text } },
                ]))
            }

            /// Logs what it does.
            #[tool]
            async fn test_tool_with_logging(&self, context: Context) -> Result<String, ErrorData> {
                for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                    log(&context, LoggingLevel::Info, line).await?;
                    sleep(STEP).await;
                }
                Ok("logged".to_owned())
            }

            /// Logs only if the request has a level.
            #[tool]
            async fn test_logging_tool(&self, context: Context) -> Result<String, ErrorData> {
                if let Some(level) = context.meta.log_level() {
                    log(&context, level, "as was asked for").await?;
                }
                Ok("done".to_owned())
            }

            /// Fails.
            #[tool]
            async fn test_error_handling(&self) -> Result<String, String> {
                Err("This tool intentionally returns an error for testing".to_owned())
            }

            /// Tells its progress.
            #[tool]
            async fn test_tool_with_progress(&self, context: Context) -> Result<String, ErrorData> {
                for percent in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let progress = ProgressNotificationParam::new(token, percent).with_total(100.0);
                        context.peer.notify_progress(progress).await.map_err(internal)?;
                    }
                    sleep(STEP).await;
                }
                Ok("done".to_owned())
            }

            /// Ends after its client could have gone and come back.
            #[tool]
            async fn test_reconnection(&self) -> String {
                sleep(STEP).await;
                "here again".to_owned()
            }

            /// Asks the client's model.
            #[tool]
            async fn test_sampling(&self, input: Parameters<Prompt>, context: Context) -> Result<String, ErrorData> {
                let request = parsed(questions::sampling(&input.0.prompt, 100))?;
                let answer = context.peer.create_message(request).await.map_err(internal)?;
                Ok(format!("LLM response: {}", json!(answer.message.content)))
            }

            /// Asks the user.
            #[tool]
            async fn test_elicitation(
                &self,
                input: Parameters<Message>,
                context: Context,
            ) -> Result<String, ErrorData> {
                questions::ask(&context, &input.0.message, questions::contact()).await
            }

            /// Asks the user for values that have defaults.
            #[tool]
            async fn test_elicitation_sep1034_defaults(&self, context: Context) -> Result<String, ErrorData> {
                questions::ask(&context, "Who are you?", questions::defaults()).await
            }

            /// Asks the user to choose.
            #[tool]
            async fn test_elicitation_sep1330_enums(&self, context: Context) -> Result<String, ErrorData> {
                questions::ask(&context, "Which?", questions::choices()).await
            }

            /// Has a schema with the words of JSON Schema 2020-12.
            #[tool(input_schema = questions::contact_schema())]
            async fn json_schema_2020_12_tool(&self) -> String {
                "valid".to_owned()
            }

            /// Has a parameter that its clients repeat in a header.
            #[tool]
            async fn test_region(&self, input: Parameters<Region>) -> String {
                input.0.region
            }

            /// Needs a client that has a model.
            #[tool]
            async fn test_missing_capability(&self, context: Context) -> Result<String, ErrorData> {
                match context.meta.client_capabilities() {
                    Some(client) if client.sampling.is_some() => Ok("not missing".to_owned()),
                    _ => {
                        let required = ClientCapabilities::builder().enable_sampling().build();
                        Err(ErrorData::missing_required_client_capability(required))
                    }
                }
            }

            /// Lets listeners know that the tools have changed.
            #[tool]
            async fn test_trigger_tool_change(&self) -> String {
                catalogue::TOOLS_CHANGED.notify_waiters();
                "changed".to_owned()
            }

            /// Lets listeners know that the prompts have changed.
            #[tool]
            async fn test_trigger_prompt_change(&self) -> String {
                catalogue::PROMPTS_CHANGED.notify_waiters();
                "changed".to_owned()
            }

            /// Asks the user by its answer.
            #[tool]
            async fn test_streaming_elicitation(&self, answers: Answers) -> Result<CallToolResponse, ErrorData> {
                answers.of_tool(&[("user_name", questions::NAME)])
            }

            /// Asks the user by its answer.
            #[tool]
            async fn test_input_required_result_elicitation(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                answers.of_tool(&[("user_name", questions::NAME)])
            }

            /// Asks the client's model by its answer.
            #[tool]
            async fn test_input_required_result_sampling(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                answers.of_tool(&[("capital_question", questions::CAPITAL)])
            }

            /// Asks for the client's folders by its answer.
            #[tool]
            async fn test_input_required_result_list_roots(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                answers.of_tool(&[("client_roots", questions::ROOTS)])
            }

            /// Asks what this client can answer.
            #[tool]
            async fn test_input_required_result_capabilities(
                &self,
                answers: Answers,
                context: Context,
            ) -> Result<CallToolResponse, ErrorData> {
                let client = context.meta.client_capabilities().unwrap_or_default();
                let mut asked = Vec::new();
                asked.extend(client.sampling.map(|_| ("capital_question", questions::CAPITAL)));
                asked.extend(client.elicitation.map(|_| ("user_name", questions::NAME)));
                answers.of_tool(&asked)
            }

            /// Asks, and knows its state again.
            #[tool]
            async fn test_input_required_result_request_state(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                answers.in_round("confirming")?.of_tool(&[("confirm", questions::CONFIRM)])
            }

            /// Takes no state but its own.
            #[tool]
            async fn test_input_required_result_tampered_state(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                answers.in_round("confirming")?.of_tool(&[("confirm", questions::CONFIRM)])
            }

            /// Asks three questions in one answer.
            #[tool]
            async fn test_input_required_result_multiple_inputs(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                let asked = [
                    ("user_name", questions::NAME),
                    ("greeting", questions::GREETING),
                    ("client_roots", questions::ROOTS),
                ];
                answers.in_round("asking")?.of_tool(&asked)
            }

            /// Asks one question after the other.
            #[tool]
            async fn test_input_required_result_multi_round(
                &self,
                answers: Answers,
            ) -> Result<CallToolResponse, ErrorData> {
                if answers.continues("second") || answers.has("step1") {
                    answers.begin("second").of_tool(&[("step2", questions::COLOR)])
                } else {
                    answers.in_round("first")?.of_tool(&[("step1", questions::NAME)])
                }
            }

            /// Greets, and needs no task.
            #[tool]
            async fn greet(&self, input: Parameters<Name>) -> String {
                format!("Hello, {}!", input.0.name)
            }

            /// Takes a while: in a task, if the client knows of them.
            #[tool]
            async fn slow_compute(
                &self,
                input: Parameters<Time>,
                context: Context,
            ) -> Result<CallToolResponse, ErrorData> {
                let seconds = input.0.seconds;
                if !tasks::are_known(&context) {
                    return Ok(tasks::result(tasks::$work::compute(seconds).await).into());
                }
                Ok(tasks::begin(|task| {
                    tasks::$work::run(task, move |_| async move {
                        Ok(tasks::result(tasks::$work::compute(seconds).await))
                    })
                }))
            }

            /// Fails in a task.
            #[tool]
            async fn failing_job(&self, context: Context) -> Result<CallToolResponse, ErrorData> {
                tasks::required(&context)?;
                Ok(tasks::begin(|task| {
                    tasks::$work::run(task, |_| async { Ok(tasks::result(tasks::$work::fail().await)) })
                }))
            }

            /// Begins a task that fails itself.
            #[tool]
            async fn protocol_error_job(&self, context: Context) -> Result<CallToolResponse, ErrorData> {
                tasks::required(&context)?;
                Ok(tasks::begin(|task| {
                    let broken = ErrorData::internal_error("the job is broken", None);
                    tasks::$work::run(task, |_| async { Err(broken.into()) })
                }))
            }

            /// Asks the user in a task.
            #[tool]
            async fn confirm_delete(&self, context: Context) -> Result<CallToolResponse, ErrorData> {
                if !tasks::are_known(&context) {
                    return Ok(tasks::result(Err("nobody has confirmed".to_owned())).into());
                }
                Ok(tasks::begin(|task| {
                    tasks::$work::run(task, |task| async move {
                        Ok(tasks::result(Ok(tasks::ask(&task, "confirm", questions::CONFIRM).await?)))
                    })
                }))
            }

            /// Asks the user two questions in a task.
            #[tool]
            async fn multi_input(&self, context: Context) -> Result<CallToolResponse, ErrorData> {
                tasks::required(&context)?;
                Ok(tasks::begin(|task| {
                    tasks::$work::run(task, |task| async move {
                        let name = tasks::ask(&task, "user_name", questions::NAME);
                        let confirmed = tasks::ask(&task, "confirm", questions::CONFIRM);
                        let (name, confirmed) = tokio::try_join!(name, confirmed)?;
                        Ok(tasks::result(Ok(format!("{name}, {confirmed}"))))
                    })
                }))
            }

            /// Asks by its answer, and then begins a task.
            #[tool]
            async fn test_tool_with_task(
                &self,
                answers: Answers,
                context: Context,
            ) -> Result<CallToolResponse, ErrorData> {
                tasks::required(&context)?;
                if let Some(open) = answers.open(&[("user_name", questions::NAME)])? {
                    return Ok(open.into());
                }
                Ok(tasks::begin(|task| {
                    tasks::$work::run(task, move |_| async move {
                        tasks::$work::compute(0).await.map_err(|error| ErrorData::internal_error(error, None))?;
                        Ok(tasks::result(Ok(answers.to_string())))
                    })
                }))
            }
        }

        #[tool_handler]
        impl ServerHandler for $server {
            fn get_info(&self) -> ServerConfig {
                catalogue::about()
            }

            async fn complete(&self, _: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
                let completion = json!({ "values": ["test", "tester"], "total": 2, "hasMore": false });
                parsed(json!({ "completion": completion, "resultType": "complete" }))
            }

            async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
                Ok(())
            }

            async fn list_prompts(&self, _: Page, _: Context) -> Result<ListPromptsResult, ErrorData> {
                catalogue::prompts()
            }

            async fn get_prompt(
                &self,
                request: GetPromptRequestParams,
                _: Context,
            ) -> Result<GetPromptResponse, ErrorData> {
                catalogue::prompt(request)
            }

            async fn list_resources(&self, _: Page, _: Context) -> Result<ListResourcesResult, ErrorData> {
                catalogue::resources()
            }

            async fn list_resource_templates(
                &self,
                _: Page,
                _: Context,
            ) -> Result<ListResourceTemplatesResult, ErrorData> {
                catalogue::resource_templates()
            }

            async fn read_resource(
                &self,
                request: ReadResourceRequestParams,
                _: Context,
            ) -> Result<ReadResourceResponse, ErrorData> {
                catalogue::resource(&request.uri)
            }

            async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
                Ok(())
            }

            async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
                Ok(())
            }

            fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
                Some(requested.clone())
            }

            async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
                TASKS.get_task(&request.task_id).map(GetTaskResult::new)
            }

            async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
                TASKS.update_task(&request.task_id, request.input_responses)
            }

            async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
                TASKS.cancel_task(&request.task_id)
            }

            async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
                catalogue::listen(context).await;
                Ok(())
            }
        }
    };
}

server!(Plain with plain);
server!(Guarded with guarded, under #[sandboxed]);

fn content(content: serde_json::Value) -> Result<CallToolResult, ErrorData> {
    parsed(json!({ "content": content, "isError": false, "resultType": "complete" }))
}

async fn log(context: &Context, level: LoggingLevel, line: &str) -> Result<(), ErrorData> {
    let message = LoggingMessageNotificationParam::new(level, json!(line));
    context.peer.notify_logging_message(message).await.map_err(internal)
}

/// What the connection to the client has yielded.
pub(crate) fn internal(error: impl std::error::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
