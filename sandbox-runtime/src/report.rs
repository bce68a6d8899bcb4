//! [`ToolExecutionResult`]: how a call went, as data for an agent and its model.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::breaker::Refusal;
use crate::error::{SandboxError, SandboxResult};
use crate::failure::Failure;
use crate::{scope, text};

/// The result of a tool call that answers with JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolExecutionResult {
    /// Whether the tool succeeded.
    pub success: bool,
    /// How many attempts were made; 1 means that no retry was needed, 0 that the tool was not called.
    pub attempts: u32,
    /// The tool's answer, when it succeeded.
    pub output: Option<Value>,
    /// The tool's last error, when it failed.
    pub error: Option<String>,
}

impl ToolExecutionResult {
    /// Reports on the call of any sandboxed function, whatever its types: the same report, and the same errors, as of a closure
    /// that answers with JSON.
    ///
    /// ```
    /// # use sandbox_runtime::{ToolExecutionResult, sandboxed};
    /// #[sandboxed(backoff_base_ms = 10)]
    /// async fn search(query: &str) -> Result<Vec<String>, String> {
    ///     Err(format!("no index for {query}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sandbox_runtime::SandboxError> {
    /// let report = ToolExecutionResult::of(search("cats")).await?;
    /// assert_eq!((report.success, report.attempts), (false, 3));
    /// assert_eq!(report.error.as_deref(), Some("no index for cats"));
    /// # Ok(()) }
    /// ```
    ///
    /// An error's text is put on one line and cut at 500 characters, for it is meant for a model. An answer that cannot be
    /// written as JSON is reported as a failure. What comes in `Ok` is a success, also where a function given to `on_failure`, or
    /// an answer such as rmcp's `CallToolResult`, tells a failure in it.
    ///
    /// `call` is meant to be one sandboxed call. A future without any counts as one attempt; of one with several, the attempts
    /// and the error below are those of the call that ended last.
    ///
    /// # Errors
    ///
    /// When `call` failed and the tool had no part in that: [`SandboxError::Timeout`] when the last attempt ran into its limit,
    /// [`SandboxError::CircuitBreakerOpen`] when the breaker refused an attempt, the first or a further one,
    /// [`SandboxError::DeadlineExceeded`], [`SandboxError::Panicked`] and [`SandboxError::Cancelled`].
    pub async fn of<T, E>(call: impl Future<Output = Result<T, E>>) -> SandboxResult<Self>
    where
        T: Serialize,
        E: Display,
    {
        let (result, watched) = watch(call).await;
        let (attempts, error) = watched.end.map_or((1, None), |end| (end.attempts, end.error()));
        let answer = match (result, error) {
            (Err(_), Some(error)) => return Err(error),
            (Err(error), None) => Err(text::plain(error)),
            (Ok(answer), _) => serde_json::to_value(answer)
                .map_err(|error| format!("the answer cannot be written as JSON: {}", text::plain(error))),
        };
        Ok(Self::new(attempts, answer))
    }

    pub(crate) fn new(attempts: u32, answer: Result<Value, String>) -> Self {
        let (output, error) = match answer {
            Ok(output) => (Some(output), None),
            Err(error) => (None, Some(error)),
        };
        ToolExecutionResult {
            success: error.is_none(),
            attempts,
            output,
            error,
        }
    }

    /// The tool's answer, for callers to whom a failed tool is an error.
    ///
    /// ```
    /// # use sandbox_runtime::{SandboxError, ToolExecutionResult};
    /// let result = ToolExecutionResult { success: false, attempts: 3, output: None, error: Some("503".into()) };
    /// let error = result.into_output().unwrap_err();
    /// assert_eq!(error.to_string(), "failed after 3 attempts: 503");
    /// ```
    ///
    /// # Errors
    ///
    /// [`SandboxError::ExecutionFailed`] with the number of attempts and the tool's last error.
    pub fn into_output(self) -> SandboxResult<Value> {
        if self.success {
            Ok(self.output.unwrap_or_default())
        } else {
            Err(SandboxError::ExecutionFailed {
                attempts: self.attempts,
                reason: self.error.unwrap_or_default(),
            })
        }
    }
}

/// What was seen of the calls in a future.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// How the last one ended: of calls within calls, the outer one.
    pub(crate) end: Option<CallEnd>,
    /// What the engine returned for tools, in the order of the calls' ends.
    pub(crate) failures: Vec<Failure>,
}

#[derive(Debug)]
pub(crate) struct CallEnd {
    attempts: u32,
    /// Set when a breaker that let no attempt pass, the first or a further one, ended it.
    refusal: Option<Refusal>,
    /// Set when the engine returned something for the tool.
    pub(crate) failure: Option<Failure>,
}

impl CallEnd {
    /// Set when the tool had no part in it.
    fn error(self) -> Option<SandboxError> {
        let refused = self.refusal.map(SandboxError::from);
        refused.or_else(|| Some(self.failure?.into()))
    }
}

impl Watched {
    /// So many failures are kept, the latest: a tool that goes on and on is to take no more memory.
    const FAILURES: usize = 16;

    fn remember(&mut self, failure: Failure) {
        if self.failures.len() == Self::FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(failure);
    }
}

tokio::task_local! {
    static WATCHED: RefCell<Watched>;
}

/// Watches the calls in a future. Who else does around it hears of the failures too, and not of how a call ended that has
/// been reported.
pub(crate) async fn watch<F: Future>(future: F) -> (F::Output, Watched) {
    scope::enter();
    let watched = async { (future.await, WATCHED.with(RefCell::take)) };
    let (output, watched) = WATCHED.scope(RefCell::default(), watched).await;
    let _ = WATCHED.try_with(|around| {
        for failure in &watched.failures {
            around.borrow_mut().remember(failure.clone());
        }
    });
    (output, watched)
}

/// Notes the end of a call for whoever watches, if somebody does.
#[cold]
pub(crate) fn note(attempts: u32, refusal: Option<Refusal>, failure: Option<&Failure>) {
    // Outside there is nobody to tell.
    let _ = WATCHED.try_with(|watched| {
        let mut watched = watched.borrow_mut();
        watched.end = Some(CallEnd {
            attempts,
            refusal,
            failure: failure.cloned(),
        });
        if let Some(failure) = failure {
            watched.remember(failure.clone());
        }
    });
}
