//! A task of rmcp's task manager ends whatever ends the tools in it, and reports what they could not.

use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, TaskPayload};
use rmcp::task_manager::{TaskExit, TaskManager, TaskOptions};
use sandbox_runtime::{mcp, sandboxed};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

#[sandboxed(timeout_ms = 600_000, max_retries = 0, breaker = off, on_failure = |failure| Err(failure.for_model()))]
async fn hang() -> Result<(), String> {
    std::future::pending().await
}

struct Tools;

#[rmcp::tool_router]
impl Tools {
    #[sandboxed(timeout_ms = 600_000, max_retries = 0, breaker = off)]
    #[rmcp::tool]
    async fn nothing(&self) {
        std::future::pending().await
    }
}

fn done() -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text("done")])
}

/// What a task comes to, and after how long; cancelled after a second, if it `is_cancelled`.
async fn end_of<A>(operation: impl FnOnce() -> A, is_cancelled: bool) -> (TaskPayload, Duration)
where
    A: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    let tasks = TaskManager::new();
    let options = TaskOptions::new().with_ttl_ms(None);
    let began = Instant::now();
    let task = tasks.spawn(options, |context| mcp::task(context, |_| operation()));
    loop {
        sleep(Duration::from_secs(1)).await;
        if is_cancelled {
            tasks.cancel_task(&task.task_id).unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let payload = tasks.get_task(&task.task_id).unwrap().payload;
        if !matches!(payload, TaskPayload::Working) {
            return (payload, began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(3_600), "the task does not end");
    }
}

fn result(payload: &TaskPayload) -> Value {
    match payload {
        TaskPayload::Completed { result } => json!(result),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn with_its_answer() {
    let (payload, _) = end_of(|| async { Ok(done()) }, false).await;
    assert_eq!(result(&payload)["content"][0]["text"], "done");
}

/// Ten minutes: there is not a limit for all calls together.
#[tokio::test(start_paused = true)]
async fn with_the_failure_of_a_tool_that_returns_nothing() {
    let operation = || async {
        Tools.nothing().await;
        Ok(CallToolResult::success(vec![]))
    };
    let (payload, took) = end_of(operation, false).await;
    let result = result(&payload);
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(result["_meta"]["sandboxed/failure"]["kind"], "timeout", "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("`nothing` timed out after 600 s."), "{text}");
    assert!(took >= Duration::from_secs(600), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn when_it_is_cancelled() {
    let (payload, took) = end_of(
        || async {
            let failed = hang().await;
            assert_eq!(
                failed,
                Err("`hang` was cancelled. Do not call it again unless you are asked to.".to_owned())
            );
            Err(rmcp::ErrorData::internal_error("no result", None).into())
        },
        true,
    )
    .await;
    assert!(matches!(payload, TaskPayload::Cancelled), "{payload:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let finishes_all_the_same = || async {
        let _ = hang().await;
        Ok(done())
    };
    let (payload, _) = end_of(finishes_all_the_same, true).await;
    assert_eq!(result(&payload)["content"][0]["text"], "done");
}

#[tokio::test(start_paused = true)]
async fn when_it_panics() {
    let (payload, _) = end_of(|| async { panic!("a secret") }, false).await;
    let TaskPayload::Failed { error } = payload else {
        panic!("{payload:?}")
    };
    assert_eq!(json!(error)["message"], "the task crashed");
}
