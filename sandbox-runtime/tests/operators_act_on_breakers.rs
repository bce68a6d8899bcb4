//! An operator opens and closes the breakers of a running program, or lets them only look on: those of a tool, of a group, of all.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, Observer, observe_in};
use sandbox_runtime::{CircuitBreaker, SandboxError, sandboxed, tool, tools};
use tokio::time::advance;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Error {
    #[error("down")]
    Down,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Acts, and changes of breakers.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Story {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event.happened {
            Happened::OperatorActed { action, .. } => action.as_str().to_owned(),
            Happened::BreakerChanged { from, to, .. } => format!("{} to {}", from.as_str(), to.as_str()),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 10_000))]
async fn fetched(answer: Result<u32, Error>) -> Result<u32, Error> {
    answer
}

fn is_refused(answer: &Result<u32, Error>) -> bool {
    matches!(answer, Err(Error::Sandbox(error)) if error.is_circuit_open())
}

#[tokio::test(start_paused = true)]
async fn they_open_and_close_them() {
    let (fetched_tool, story) = (tool("fetched").unwrap(), Story::default());
    observe_in(story.clone(), async {
        assert!(fetched_tool.force_open());
        assert!(is_refused(&fetched(Ok(1)).await));
        advance(Duration::from_secs(60)).await;
        assert!(is_refused(&fetched(Ok(1)).await), "until somebody closes it");
        assert!(fetched_tool.reset());
        assert_eq!(fetched(Ok(1)).await, Ok(1));
    })
    .await;
    assert_eq!(
        story.take(),
        ["closed to forced_open", "forced_open", "forced_open to closed", "reset"]
    );
}

#[sandboxed(max_retries = 1, backoff_base_ms = 100, breaker(threshold = 2, cooldown_ms = 10_000))]
async fn shadowed(answer: Result<u32, Error>) -> Result<u32, Error> {
    answer
}

#[tokio::test(start_paused = true)]
async fn in_shadow_a_breaker_counts_and_tells_and_refuses_nothing() {
    let (handle, story) = (tool("shadowed").unwrap(), Story::default());
    observe_in(story.clone(), async {
        assert!(handle.shadow(true));
        assert!(!handle.shadow(true), "it is");
        for _ in 0..5 {
            assert_eq!(
                shadowed(Err(Error::Down)).await,
                Err(Error::Down),
                "its own error, after its own retries"
            );
        }
        assert_eq!(shadowed(Ok(1)).await, Ok(1));
    })
    .await;
    assert_eq!(story.take(), ["shadowed", "closed to open"]);
    let status = handle.status();
    assert_eq!(status.counters.refused(), 0);
    assert_eq!(status.counters.attempts, 11, "no retry was left out");
    assert_eq!(
        status.counters.overlooked, 7,
        "both attempts of three calls, and that of the last"
    );
    assert!(
        status.shadow && status.to_string().contains("shadow: open for"),
        "{status}"
    );
    observe_in(story.clone(), async {
        advance(Duration::from_secs(10)).await;
        assert_eq!(shadowed(Ok(1)).await, Ok(1), "a probe, which counts");
        assert_eq!(story.take(), ["open to half_open", "half_open to closed"]);
        for _ in 0..2 {
            let _ = shadowed(Err(Error::Down)).await;
        }
        assert!(handle.shadow(false));
        assert!(is_refused(&shadowed(Ok(1)).await), "it refuses again");
        assert_eq!(story.take(), ["closed to open", "unshadowed"]);
    })
    .await;
    handle.reset();
}

static SHARED: CircuitBreaker = CircuitBreaker::new(1);

#[sandboxed(max_retries = 0, breaker = &SHARED)]
async fn with_a_shared_one(text: &mut String) -> Result<u32, Error> {
    text.push('.');
    Err(Error::Down)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_tools_share_is_its_owners() {
    let handle = tool("with_a_shared_one").unwrap();
    assert!(
        !handle.force_open() && !handle.reset(),
        "there is none of the tool's own"
    );
    assert!(handle.shadow(true), "what the tool makes of it is the tool's");
    let mut text = String::new();
    for _ in 0..3 {
        assert_eq!(with_a_shared_one(&mut text).await, Err(Error::Down));
    }
    assert_eq!(
        text, "...",
        "also of arguments that attempts borrow, one after the other"
    );
    assert!(handle.shadow(false));
    assert!(is_refused(&with_a_shared_one(&mut text).await));
}

mod index {
    use super::*;

    #[sandboxed(max_retries = 0)]
    pub(crate) async fn listed() -> Result<u32, Error> {
        Ok(1)
    }

    #[sandboxed(max_retries = 0, breaker = off)]
    pub(crate) async fn without() -> Result<u32, Error> {
        Ok(1)
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_at_once() {
    let group = tools().within("operators_act_on_breakers::index");
    assert_eq!(group.len(), 2);
    assert_eq!(group.force_open(), 1, "one has a breaker");
    assert!(is_refused(&index::listed().await));
    assert_eq!(index::without().await, Ok(1), "it has no breaker");
    assert_eq!(group.shadow(true), 2);
    assert_eq!(index::listed().await, Ok(1));
    group.shadow(false);
    assert_eq!(group.reset(), 1);
    assert_eq!(index::listed().await, Ok(1));
    assert_eq!(group.disable("a deployment", None), 2);
    assert!(index::listed().await.is_err() && index::without().await.is_err());
    assert_eq!(group.enable(), 2);
    assert_eq!(index::without().await, Ok(1));
    assert_eq!(tools().within("no::such::module").disable("a deployment", None), 0);
}

#[sandboxed(max_retries = 0)]
async fn lent(text: &mut String) -> Result<u32, Error> {
    text.push('.');
    tokio::task::yield_now().await;
    Ok(1)
}

/// What begins and ends.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<u32>>);

impl Observer for Calls {
    fn on_event(&self, event: &Event<'_>) {
        if matches!(event.happened, Happened::CallStarted | Happened::CallEnded { .. }) && event.tool.name == "lent" {
            *self.0.lock().unwrap() += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_whose_arguments_are_borrowed_is_seen_and_switched_as_any_other() {
    let calls = Calls::default();
    let observing = sandbox_runtime::observe::observe(calls.clone());
    let mut text = String::new();
    assert_eq!(lent(&mut text).await, Ok(1));
    assert_eq!(
        *calls.0.lock().unwrap(),
        2,
        "an observer of the process learns of the call"
    );
    drop(observing);
    tool("lent").unwrap().disable("a deployment", None);
    assert!(lent(&mut text).await.is_err());
    assert_eq!(text, ".");
}
