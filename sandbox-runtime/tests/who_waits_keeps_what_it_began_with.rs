//! A call that waits for its place has begun: whatever an operator sets or takes back meanwhile, and whoever begins to observe, it goes
//! on as it began. In a process of its own, in which nothing else is attached to calls.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::poll;
use sandbox_runtime::observe::{Event, Happened, Observer, observe};
use sandbox_runtime::{Attempt, Overrides, SandboxError, sandboxed};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Overrides and observers are those of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Overrides::clear();
    guard
}

#[track_caller]
fn apply(settings: Value) {
    let overrides: Overrides = serde_json::from_value(settings).expect("it has the shape of overrides");
    overrides.apply().expect("they make sense");
}

/// Returns how long its attempt may take.
#[sandboxed(timeout_ms = 60_000, max_retries = 0, breaker = off)]
async fn unlimited(lasts: Duration) -> Result<Option<Duration>, SandboxError> {
    let limit = Attempt::current().unwrap().time_left();
    if !lasts.is_zero() {
        sleep(lasts).await;
    }
    Ok(limit)
}

#[sandboxed(timeout_ms = 60_000, max_retries = 0, max_concurrent = 1, breaker = off)]
async fn limited(lasts: Duration) -> Result<(), SandboxError> {
    sleep(lasts).await;
    Ok(())
}

#[sandboxed(timeout_ms = 60_000, max_retries = 0, max_concurrent = 1, breaker = off)]
async fn lent(runs: &mut u32, lasts: Duration) -> Result<(), SandboxError> {
    *runs += 1;
    sleep(lasts).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn settings_that_are_taken_back() {
    let _alone = alone();
    let one_at_a_time = json!({ "max_concurrent": 1, "timeout_ms": 10_000, "queue_ms": 0 });
    apply(json!({ "version": 1, "tool": { "unlimited": { "max_concurrent": 1, "timeout_ms": 10_000 } } }));
    let (mut running, mut waiting) = (pin!(unlimited(SECOND)), pin!(unlimited(Duration::ZERO)));
    assert!(poll!(&mut running).is_pending(), "it runs");
    assert!(poll!(&mut waiting).is_pending(), "it waits");
    Overrides::clear();
    assert!(poll!(&mut waiting).is_pending(), "it still waits");
    running.await.unwrap();
    assert_eq!(
        waiting.as_mut().await,
        Ok(Some(SECOND * 10)),
        "the limit of its attempt"
    );
    // While the future of the last call is still there.
    apply(json!({ "version": 1, "tool": { "unlimited": one_at_a_time } }));
    unlimited(Duration::ZERO).await.expect("its place is free");
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn settings_that_come() {
    let _alone = alone();
    let mut runs = [0, 0];
    let [first, second] = &mut runs;
    let start = Instant::now();
    let calls = async { tokio::join!(limited(SECOND * 2), limited(SECOND * 2)) };
    let lent_calls = async { tokio::join!(lent(first, SECOND * 2), lent(second, SECOND * 2)) };
    let (calls, lent_calls, ()) = tokio::join!(calls, lent_calls, async {
        sleep(SECOND).await;
        apply(json!({ "version": 1, "defaults": { "timeout_ms": 500 } }));
    });
    assert_eq!((calls, lent_calls), ((Ok(()), Ok(())), (Ok(()), Ok(()))));
    assert_eq!(start.elapsed(), SECOND * 4, "each runs for two seconds");
    Overrides::clear();
}

#[sandboxed(max_concurrent = 2, max_retries = 1, backoff_base_ms = 1_000, breaker = off)]
async fn retried(runs: &AtomicU32, lasts: Duration) -> Result<(), String> {
    if runs.fetch_add(1, Ordering::Relaxed) == 0 {
        return Err("down".to_owned());
    }
    sleep(lasts).await;
    Ok(())
}

/// A retry by settings under which two may run.
#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn its_retry_gives_nobody_a_place_that_is_gone() {
    let _alone = alone();
    let (first_runs, other_runs) = (AtomicU32::new(0), AtomicU32::new(1));
    let mut first = pin!(retried(&first_runs, SECOND * 2));
    assert!(
        poll!(&mut first).is_pending(),
        "it has failed, and has its place until its retry"
    );
    apply(json!({ "version": 1, "tool": { "retried": { "max_concurrent": 1 } } }));
    let start = Instant::now();
    let (first, (other, ended)) = tokio::join!(first, async {
        let other = retried(&other_runs, SECOND).await;
        (other, start.elapsed())
    });
    assert_eq!((first, other), (Ok(()), Ok(())));
    assert_eq!(
        ended,
        SECOND * 4,
        "one at a time: it begins when the retry has ended, after three seconds"
    );
    Overrides::clear();
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Observer for Diary {
    fn on_event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(match event.happened {
            Happened::CallStarted => "starts",
            Happened::CallQueued => "queues",
            Happened::CallUnqueued { .. } => "leaves the queue",
            Happened::CallEnded { stop, .. } => stop.as_str(),
            _ => return,
        });
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn an_observer_that_comes() {
    let _alone = alone();
    let diary = Diary::default();
    let (mut running, mut waiting) = (pin!(limited(SECOND)), pin!(limited(SECOND)));
    assert!(poll!(&mut running).is_pending(), "it runs");
    assert!(poll!(&mut waiting).is_pending(), "it waits");
    let observing = observe(diary.clone());
    running.await.unwrap();
    waiting.await.unwrap();
    drop(observing);
    assert_eq!(
        *diary.0.lock().unwrap(),
        [""; 0],
        "who observes a call does so from its beginning"
    );
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn an_observer_that_goes() {
    let _alone = alone();
    let diary = Diary::default();
    apply(json!({ "version": 1, "tool": { "unlimited": { "max_concurrent": 1 } } }));
    let mut running = pin!(unlimited(SECOND));
    assert!(poll!(&mut running).is_pending(), "it runs");
    let observing = observe(diary.clone());
    let mut waiting = Box::pin(unlimited(Duration::ZERO));
    assert!(poll!(&mut waiting).is_pending(), "it waits");
    drop(observing);
    Overrides::clear();
    running.await.unwrap();
    waiting.await.unwrap();
    assert_eq!(
        *diary.0.lock().unwrap(),
        ["starts", "queues", "leaves the queue", "succeeded"],
        "what the observer of the call is told"
    );
}
