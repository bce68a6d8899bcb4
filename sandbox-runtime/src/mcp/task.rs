//! [`task`]: the operation of a task of rmcp's task manager, which runs outside of the request that has begun it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture};

use super::observer::Observer;
use crate::failure::{Failure, Stop, UsedUp};
use crate::surroundings::{self, Attachment, CallEnd, Cancelled};

/// Makes the operation of a task of rmcp's task manager, so that the task ends and reports like a request to a
/// [`Sandboxed`](super::Sandboxed) server. A task runs on its own: without this, the server does not know of its calls.
///
/// ```
/// # use rmcp::model::{CallToolResult, ContentBlock, Task};
/// # use rmcp::task_manager::{TaskManager, TaskOptions};
/// # use sandbox_runtime::sandboxed;
/// use sandbox_runtime::mcp;
///
/// #[sandboxed(timeout_ms = 600_000)]
/// async fn index(folder: String) -> Result<String, String> {
///     Ok(format!("{folder} is indexed"))
/// }
///
/// fn index_in_background(tasks: &TaskManager, folder: String) -> Task {
///     tasks.spawn(TaskOptions::new(), |context| {
///         mcp::task(context, |_context| async move {
///             Ok(match index(folder).await {
///                 Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
///                 Err(text) => CallToolResult::error(vec![ContentBlock::text(text)]),
///             })
///         })
///     })
/// }
/// ```
///
/// - `tasks/cancel` ends the sandboxed calls in it. If the operation then fails, the task is cancelled.
/// - A failure of a tool that returns `()` makes the task's result an error, with the text and the data.
/// - A panic ends the task, which fails. Otherwise the task would seem to be working until it expires.
///
/// Nothing limits all calls together: clients do not wait for a task.
pub fn task<F, A>(context: TaskContext, operation: F) -> TaskFuture
where
    F: FnOnce(TaskContext) -> A,
    A: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    let operation = operation(context.clone());
    Box::pin(async move {
        let calls = Arc::new(TaskCalls {
            context,
            observer: Observer::default(),
        });
        let result = surroundings::attach(calls.clone(), caught(operation)).await;
        calls.complete(result)
    })
}

/// Ends with an error where `operation` panics.
async fn caught<A>(operation: A) -> Result<CallToolResult, TaskExit>
where
    A: Future<Output = Result<CallToolResult, TaskExit>>,
{
    let mut operation = pin!(operation);
    poll_fn(|cx| {
        // It is not polled again.
        let poll = catch_unwind(AssertUnwindSafe(|| operation.as_mut().poll(cx)));
        poll.unwrap_or_else(|_| Poll::Ready(Err(ErrorData::internal_error("the task crashed", None).into())))
    })
    .await
}

/// A task, as the calls in it see it.
struct TaskCalls {
    context: TaskContext,
    observer: Observer,
}

impl std::fmt::Debug for TaskCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskCalls")
            .field("task", &self.context.task_id())
            .field("observer", &self.observer)
            .finish()
    }
}

impl TaskCalls {
    fn complete(&self, result: Result<CallToolResult, TaskExit>) -> Result<CallToolResult, TaskExit> {
        let answer = match result {
            Ok(result) => Ok(result.into()),
            Err(TaskExit::Cancelled) => return Err(TaskExit::Cancelled),
            Err(TaskExit::Error(error)) => Err(error),
        };
        let has_failed = |answer: &Result<CallToolResponse, ErrorData>| match answer {
            Ok(CallToolResponse::Complete(result)) => result.is_error == Some(true),
            _ => true,
        };
        let answer = self.observer.observation(None).complete(answer, None);
        if self.context.is_cancel_requested() && has_failed(&answer) {
            return Err(TaskExit::Cancelled);
        }
        match answer? {
            CallToolResponse::Complete(result) => Ok(result),
            _ => Err(ErrorData::internal_error("a task cannot begin another one", None).into()),
        }
    }
}

impl Attachment for TaskCalls {
    fn cancelled(&self) -> Option<Cancelled> {
        let context = self.context.clone();
        Some(Box::pin(async move { context.cancelled().await }))
    }

    /// What the calls in it have used up among themselves, its model does not know of.
    fn tell_used_up(&self, _by: Option<Stop>) -> Option<Option<UsedUp>> {
        Some(None)
    }

    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        self.observer.call_ended(end, is_reported)
    }

    fn keep_unreturnable(&self, failure: Failure) -> Result<(), Failure> {
        self.observer.keep_unreturnable(failure);
        Ok(())
    }
}
