//! Tools that begin a task and do not wait for it: the work in it, without the sandbox and with it.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use rmcp::model::{CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult};
use rmcp::service::RequestContext;
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use rmcp::{ErrorData, RoleServer};
use sandbox_runtime::sandboxed;
use tokio::time::sleep;

use crate::catalogue::parsed;
use crate::questions::Question;

/// Of all servers of the process: without a session, every request has a server of its own.
pub(crate) static TASKS: LazyLock<TaskManager> = LazyLock::new(TaskManager::new);

/// Makes a module with the work, under these attributes, and with `run`, by which a task runs an operation.
macro_rules! work {
    ($module:ident with $run:path $(, under #[$guard:meta])*) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) use $run as run;

            $(#[$guard])*
            pub(crate) async fn compute(seconds: u64) -> Result<String, String> {
                sleep(Duration::from_secs(seconds)).await;
                Ok(format!("computed for {seconds} s"))
            }

            $(#[$guard])*
            pub(crate) async fn fail() -> Result<String, String> {
                sleep(Duration::from_millis(300)).await;
                Err("This task intentionally fails".to_owned())
            }
        }
    };
}

work!(plain with crate::tasks::by_hand);
work!(guarded with sandbox_runtime::mcp::task, under #[sandboxed(timeout_ms = 120_000)]);

/// What every server without the sandbox has to do by itself: to end an operation when its task is cancelled.
pub(crate) fn by_hand<A>(context: TaskContext, operation: impl FnOnce(TaskContext) -> A) -> TaskFuture
where
    A: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    let operation = operation(context.clone());
    Box::pin(async move {
        tokio::select! {
            () = context.cancelled() => Err(TaskExit::Cancelled),
            result = operation => result,
        }
    })
}

/// Tells whether the client of a request knows of tasks.
pub(crate) fn are_known(context: &RequestContext<RoleServer>) -> bool {
    let client = context.meta.client_capabilities();
    client.is_some_and(|client| client.supports_tasks())
}

/// Fails for a client that does not know of tasks.
pub(crate) fn required(context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    if are_known(context) {
        return Ok(());
    }
    let tasks = ClientCapabilities::builder().enable_tasks().build();
    Err(ErrorData::missing_required_client_capability(tasks))
}

/// Begins a task, which is the answer.
pub(crate) fn begin(operation: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
    let task = TASKS.spawn(TaskOptions::new().with_poll_interval_ms(100), operation);
    CallToolResponse::Task(CreateTaskResult::new(task))
}

pub(crate) fn result(result: Result<String, String>) -> CallToolResult {
    match result {
        Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
        Err(text) => CallToolResult::error(vec![ContentBlock::text(text)]),
    }
}

/// Asks in a task, which waits for the answer.
pub(crate) async fn ask(context: &TaskContext, name: &str, question: Question) -> Result<String, TaskExit> {
    let answer = context.request_input(name, parsed(question())?).await?;
    Ok(answer.to_string())
}
