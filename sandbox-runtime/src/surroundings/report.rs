//! [`ToolExecutionResult`]: how a call went, as data for an agent and its model.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attachment, CallEnd};
use crate::failure::{Failure, Refusal, SandboxError, SandboxResult};
#[cfg(feature = "rmcp")]
use crate::site::SiteRef;
use crate::surroundings;
use crate::text::sanitized;

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
        let (result, observed) = observe(call).await;
        let (attempts, error) = observed.end.map_or((1, None), |end| (end.attempts, end.error()));
        let answer = match (result, error) {
            (Err(_), Some(error)) => return Err(error),
            (Err(error), None) => Err(sanitized(error)),
            (Ok(answer), _) => serde_json::to_value(answer)
                .map_err(|error| format!("the answer cannot be written as JSON: {}", sanitized(error))),
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

/// What was observed of the calls in a future.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// How the last one ended: of calls within calls, the outer one.
    pub(crate) end: Option<LastEnd>,
    /// What the engine returned for tools, in the order in which the calls ended.
    pub(crate) failures: Vec<Failure>,
}

/// How a call ended, for a report.
#[derive(Debug)]
pub(crate) struct LastEnd {
    #[cfg(feature = "rmcp")]
    pub(crate) site: Option<SiteRef>,
    attempts: u32,
    refusal: Option<Refusal>,
    pub(crate) failure: Option<Failure>,
}

impl LastEnd {
    /// Set when the tool had no part in it.
    fn error(self) -> Option<SandboxError> {
        let refused = self.refusal.map(SandboxError::from);
        let failure = self.failure;
        // It stands for an error of the tool.
        #[cfg(feature = "faults")]
        let failure = failure.filter(|failure| failure.kind != crate::failure::FailureKind::ExecutionFailed);
        refused.or_else(|| Some(failure?.into()))
    }
}

impl Observed {
    /// How many failures are kept, the latest: a tool that never stops calling takes no more memory.
    const FAILURES: usize = 16;

    pub(crate) fn record(&mut self, end: &CallEnd<'_>, is_reported: bool) {
        if !is_reported {
            self.end = Some(LastEnd {
                #[cfg(feature = "rmcp")]
                site: end.site,
                attempts: end.attempts,
                refusal: end.refusal,
                failure: end.failure.cloned(),
            });
        }
        if let Some(failure) = end.failure {
            if self.failures.len() == Self::FAILURES {
                self.failures.remove(0);
            }
            self.failures.push(failure.clone());
        }
    }
}

/// Observes the calls in a future for a report.
#[derive(Debug, Default)]
struct Report(Mutex<Observed>);

impl Report {
    fn observed(&self) -> MutexGuard<'_, Observed> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachment for Report {
    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        self.observed().record(end, is_reported);
        true
    }
}

/// Observes the calls in a future. What observes around it learns of their failures too, and not of how they ended.
async fn observe<F: Future>(future: F) -> (F::Output, Observed) {
    let report = Arc::new(Report::default());
    let output = surroundings::attach(Arc::clone(&report) as _, future).await;
    let observed = std::mem::take(&mut *report.observed());
    (output, observed)
}
