//! [`Dependency`]: what is behind the tool, and how does it fail?

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use rmcp::ErrorData;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::CallToolResponse;
use sandbox_runtime::{ErrorVerdict, Failure, FromFailure};
use tokio::time::{Instant, sleep};

/// How long it takes for an answer, and for an error.
const LATENCY: Duration = Duration::from_millis(200);
/// How long a flapping one is up, and then down, by turns.
const FLAP: u64 = 30;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Dead: it never answers.
    Hangs,
    /// Dead: it answers with an error.
    Refuses,
    /// Up and down by turns; down, it answers with an error.
    Flaps,
    /// Half dead: it answers every second request with an error, by chance.
    FailsByHalf,
    /// It is well, and does not have what it is asked for.
    HasNothing,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error, ErrorVerdict)]
pub(crate) enum SearchError {
    #[error("search failed: connection refused")]
    Down,
    /// The caller's fault: not retried, and no mark on the breaker.
    #[error("nothing was found for this question")]
    #[verdict(ignore)]
    NothingFound,
    #[error("{}", .0.for_model())]
    Sandbox(Failure),
}

impl FromFailure for SearchError {
    fn from_failure(failure: Failure) -> Self {
        SearchError::Sandbox(failure)
    }
}

impl IntoCallToolResult for SearchError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            SearchError::Sandbox(failure) => failure.into_call_tool_result(),
            other => other.to_string().into_call_tool_result(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Dependency {
    trouble: Trouble,
    began: Instant,
    random: Mutex<Rng>,
    requests: AtomicU32,
}

impl Dependency {
    pub(crate) fn new(trouble: Trouble, seed: u64) -> Dependency {
        Dependency {
            trouble,
            began: Instant::now(),
            random: Mutex::new(Rng::with_seed(seed)),
            requests: AtomicU32::new(0),
        }
    }

    pub(crate) async fn ask(&self, question: &str) -> Result<String, SearchError> {
        self.requests.fetch_add(1, Relaxed);
        let is_down = self.is_down();
        match self.trouble {
            Trouble::Hangs => pending().await,
            _ => sleep(LATENCY).await,
        }
        match self.trouble {
            Trouble::HasNothing => Err(SearchError::NothingFound),
            _ if is_down => Err(SearchError::Down),
            _ => Ok(format!("an answer to {question}")),
        }
    }

    fn is_down(&self) -> bool {
        match self.trouble {
            Trouble::Hangs | Trouble::Refuses => true,
            Trouble::Flaps => self.began.elapsed().as_secs() / FLAP % 2 == 1,
            Trouble::FailsByHalf => self.random.lock().unwrap_or_else(PoisonError::into_inner).bool(),
            Trouble::HasNothing => false,
        }
    }

    /// How many requests have reached it.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }
}
