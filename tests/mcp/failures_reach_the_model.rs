//! A tool that hangs, panics or is refused still answers its client, as far as its return type allows; its own
//! answers do not change.

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use rmcp::{ErrorData, model::ErrorCode};
use sandbox_runtime::mcp::Sandboxed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Client, error, text};

#[derive(Deserialize, JsonSchema)]
struct Order {
    end: String,
}

/// Ends in the way that is asked for.
async fn end(how: &str) -> String {
    match how {
        "hang" => std::future::pending().await,
        "panic" => panic!("boom"),
        _ => "done".to_owned(),
    }
}

#[derive(Serialize, JsonSchema)]
struct Report {
    state: String,
}

fn answer(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

servers! {
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result(&self, Parameters(Order { end: how }): Parameters<Order>) -> CallToolResult {
            answer(end(&how).await)
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn response(&self, Parameters(Order { end: how }): Parameters<Order>) -> CallToolResponse {
            answer(end(&how).await).into()
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result_or_error(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<CallToolResult, ErrorData> {
            Ok(answer(end(&how).await))
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result_or_text(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<CallToolResult, String> {
            Ok(answer(end(&how).await))
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn result_or_result(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<CallToolResult, CallToolResult> {
            Ok(answer(end(&how).await))
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn response_or_error(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<CallToolResponse, ErrorData> {
            Ok(answer(end(&how).await).into())
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn json_or_result(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<Json<Report>, CallToolResult> {
            Ok(Json(Report { state: end(&how).await }))
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn json_or_text(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<Json<Report>, String> {
            Ok(Json(Report { state: end(&how).await }))
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn text_or_text(&self, Parameters(Order { end: how }): Parameters<Order>) -> Result<String, String> {
            Ok(end(&how).await)
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn nothing_or_text(&self, Parameters(Order { end: how }): Parameters<Order>) -> Result<(), String> {
            end(&how).await;
            Ok(())
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn only_text(&self, Parameters(Order { end: how }): Parameters<Order>) -> String {
            end(&how).await
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn only_block(&self, Parameters(Order { end: how }): Parameters<Order>) -> ContentBlock {
            ContentBlock::text(end(&how).await)
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn nothing(&self, Parameters(Order { end: how }): Parameters<Order>) {
            end(&how).await;
        }
    }
    {
        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = &self.0.breaker)]
        #[tool]
        async fn json_or_error(
            &self,
            Parameters(Order { end: how }): Parameters<Order>,
        ) -> Result<Json<Report>, ErrorData> {
            Ok(Json(Report { state: end(&how).await }))
        }
    }
}

/// A failure of a tool: the text for the model, and the data for a program.
fn failures(tool: &str) -> [(&'static str, String, Value); 4] {
    let timeout = format!(
        "`{tool}` timed out after 1 s. Calling it again does no harm, but the same request is unlikely to be answered: ask \
         for less, or go on without it."
    );
    let panic = format!("`{tool}` crashed. The same call is likely to crash again: change it, or go on without it.");
    let refusal = format!(
        "`{tool}` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again \
         for 30 s; go on without it."
    );
    let data = |begun: bool, elapsed_ms: u64| {
        json!({
            "tool": tool, "attempts": u32::from(begun), "max_attempts": 1, "elapsed_ms": elapsed_ms, "timeout_ms": 1_000,
            "deadline_ms": null, "retry_after_ms": null, "may_have_executed": begun, "idempotent": true, "last_error": null,
        })
    };
    let with = |mut data: Value, more: Value| {
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    let timed_out = with(data(true, 1_000), json!({ "kind": "timeout" }));
    [
        ("hang", timeout, timed_out.clone()),
        ("panic", panic, with(data(true, 0), json!({ "kind": "panicked" }))),
        (
            "hang",
            format!("`{tool}` timed out after 1 s. It is switched off for 30 s now: go on without it."),
            with(timed_out, json!({ "retry_after_ms": 30_000 })),
        ),
        (
            "answer",
            refusal,
            with(
                data(false, 0),
                json!({ "kind": "circuit_breaker_open", "consecutive_failures": 3, "threshold": 3, "retry_after_ms": 30_000 }),
            ),
        ),
    ]
}

const WITH_A_PLACE_FOR_DATA: [&str; 7] = [
    "result",
    "response",
    "result_or_error",
    "result_or_text",
    "result_or_result",
    "response_or_error",
    "json_or_result",
];
const WITH_A_MARK: [&str; 3] = ["json_or_text", "text_or_text", "nothing_or_text"];
const WITHOUT_A_MARK: [&str; 2] = ["only_text", "only_block"];

/// What the clients get from a tool that works.
fn done(tool: &str) -> Value {
    match tool {
        "json_or_result" | "json_or_text" | "json_or_error" => json!({
            "content": [{ "type": "text", "text": r#"{"state":"done"}"# }],
            "structuredContent": { "state": "done" },
            "isError": false,
        }),
        "nothing" | "nothing_or_text" => json!({ "content": [], "isError": false }),
        _ => text("done"),
    }
}

/// Calls a tool that answers and then fails in every way; `expected` makes what the clients get from the text and the data.
async fn check(clients: [Client; 2], tool: &'static str, expected: impl Fn(&str, Value) -> Result<Value, ErrorData>) {
    for client in clients {
        let call = async |how: &str| client.call(tool, json!({ "end": how })).await;
        assert_eq!(call("answer").await, Ok(done(tool)), "{tool}");
        for (how, text, data) in failures(tool) {
            assert_eq!(without_id(call(how).await), expected(&text, data), "{tool}");
        }
    }
}

/// An answer without the identity of its call, which no other call has.
fn without_id(mut answer: Result<Value, ErrorData>) -> Result<Value, ErrorData> {
    let data = match &mut answer {
        Ok(result) => result.pointer_mut("/_meta/sandboxed~1failure"),
        Err(error) => error.data.as_mut(),
    };
    if let Some(data) = data {
        let id = data.as_object_mut().and_then(|data| data.remove("call_id"));
        assert!(
            id.is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 32)),
            "a failure without the identity of its call"
        );
    }
    answer
}

fn marked_with_data(text: &str, data: Value) -> Result<Value, ErrorData> {
    let mut result = error(text);
    result["_meta"] = json!({ "sandboxed/failure": data });
    Ok(result)
}

#[tokio::test(start_paused = true)]
async fn as_a_marked_result_with_the_data() {
    for tool in WITH_A_PLACE_FOR_DATA {
        check(clients().await, tool, marked_with_data).await;
    }
}

#[tokio::test(start_paused = true)]
async fn as_a_marked_text() {
    for tool in WITH_A_MARK {
        check(clients().await, tool, |text, _| Ok(error(text))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn as_a_text_that_cannot_be_marked() {
    for tool in WITHOUT_A_MARK {
        check(clients().await, tool, |for_model, _| Ok(text(for_model))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn as_an_error_of_the_protocol() {
    check(clients().await, "json_or_error", |text, data| {
        Err(ErrorData::new(ErrorCode::INTERNAL_ERROR, text.to_owned(), Some(data)))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn in_the_same_way_by_every_tool_of_a_server_that_reports_failures() {
    let others = ["nothing", "json_or_error"];
    for tool in [&WITH_A_PLACE_FOR_DATA[..], &WITH_A_MARK, &WITHOUT_A_MARK, &others].concat() {
        let clients = [
            Client::of(|state| Sandboxed::new(Above(state))).await,
            Client::of(|state| Sandboxed::new(Below(state))).await,
        ];
        check(clients, tool, |text, mut data| {
            // The limit of the request.
            data["deadline_ms"] = 55_000.into();
            marked_with_data(text, data)
        })
        .await;
    }
}
