//! An operator switches a tool off and on while the program runs: from then on no attempt begins, what runs runs on, the model reads
//! why, and the breaker learns nothing of it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, Observer, error_type, observe_in};
use sandbox_runtime::{CircuitBreaker, Failure, FailureKind, FromFailure, SandboxError, sandboxed, tool, tools};
use serde_json::json;
use tokio::time::{advance, sleep};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Error {
    Down,
    Sandbox(Failure),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl FromFailure for Error {
    fn from_failure(failure: Failure) -> Self {
        Error::Sandbox(failure)
    }
}

#[sandboxed]
async fn looked_up() -> Result<u32, Error> {
    Ok(1)
}

fn failure(result: Result<u32, Error>) -> Failure {
    match result {
        Err(Error::Sandbox(failure)) => failure,
        other => panic!("it is off: {other:?}"),
    }
}

#[sandboxed(max_retries = 0)]
async fn switched_off_without_a_word() -> Result<u32, Error> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_model_reads_that_there_is_no_reason() {
    tool("switched_off_without_a_word").unwrap().disable("  ", None);
    let failure = failure(switched_off_without_a_word().await);
    assert_eq!(failure.reason(), Some("no reason was given"));
}

#[tokio::test(start_paused = true)]
async fn until_somebody_switches_them_on() {
    let handle = tool("looked_up").unwrap();
    assert!(!handle.enable(), "it is on");
    handle.disable("the index is\nbeing rebuilt", None);
    let failure = failure(looked_up().await);
    assert_eq!(failure.kind, FailureKind::Disabled);
    assert_eq!(failure.reason(), Some("the index is being rebuilt"), "on one line");
    assert_eq!(
        (failure.attempts, failure.retry_after_ms, failure.may_have_executed),
        (0, None, false)
    );
    assert_eq!(
        failure.to_string(),
        "`looked_up` was not called: it is switched off by an operator: the index is being rebuilt"
    );
    assert_eq!(
        failure.for_model(),
        "`looked_up` has been switched off by its operator and was not called: the index is being rebuilt. Do not call it \
         again; go on without it."
    );
    let data = serde_json::to_value(&failure).unwrap();
    assert_eq!(
        (&data["kind"], &data["reason"]),
        (&json!("disabled"), &json!("the index is being rebuilt"))
    );
    let error = SandboxError::from(failure);
    assert!(error.is_disabled(), "{error}");
    assert_eq!(
        error.to_string(),
        "switched off by an operator: the index is being rebuilt"
    );

    let status = handle.status();
    assert_eq!(status.counters.ends["disabled"], 1);
    assert_eq!(
        (status.counters.failed(), status.counters.attempts),
        (0, 0),
        "no fault of the tool"
    );
    assert!(
        status.to_string().contains("disabled: the index is being rebuilt"),
        "{status}"
    );
    assert_eq!(status.breaker.unwrap().failures, 0, "no mark");
    assert!(handle.enable());
    assert_eq!(looked_up().await.unwrap(), 1);
    assert_eq!(handle.status().disabled, None);
}

#[sandboxed]
async fn looked_up_for_a_minute() -> Result<u32, Error> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn for_as_long_as_was_said() {
    let handle = tool("looked_up_for_a_minute").unwrap();
    handle.disable("a deployment", Some(MINUTE));
    advance(Duration::from_millis(59_001)).await;
    let failure = failure(looked_up_for_a_minute().await);
    assert_eq!(failure.retry_after_ms, Some(999));
    assert_eq!(
        failure.for_model(),
        "`looked_up_for_a_minute` has been switched off by its operator and was not called: a deployment. Do not call it \
         again for 1 s; go on without it."
    );
    assert_eq!(handle.status().disabled.unwrap().left_ms, Some(999));
    advance(Duration::from_millis(999)).await;
    assert_eq!(
        looked_up_for_a_minute().await.unwrap(),
        1,
        "it is back without anybody acting"
    );
    assert!(!handle.enable(), "it is on");
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[sandboxed(backoff_base_ms = 100)]
async fn switched_off_while_it_runs(fails: bool) -> Result<u32, Error> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_millis(10)).await;
    if fails { Err(Error::Down) } else { Ok(2) }
}

#[tokio::test(start_paused = true)]
async fn what_runs_runs_on_and_is_not_retried() {
    let handle = tool("switched_off_while_it_runs").unwrap();
    let switch = async {
        sleep(Duration::from_millis(5)).await;
        handle.disable("no reason", None);
    };
    let (works, fails, ()) = tokio::join!(
        switched_off_while_it_runs(false),
        switched_off_while_it_runs(true),
        switch
    );
    assert_eq!(works.unwrap(), 2);
    assert!(matches!(fails, Err(Error::Down)), "the tool's own error: {fails:?}");
    assert_eq!(
        RUNS.load(Ordering::Relaxed),
        2,
        "no attempt began after it was switched off"
    );
    handle.enable();
}

mod shelf {
    pub(crate) mod left {
        #[sandbox_runtime::sandboxed]
        pub(crate) async fn of_a_group() -> Result<(), String> {
            Ok(())
        }
    }

    #[sandbox_runtime::sandboxed(breaker = &super::SHARED)]
    pub(crate) async fn also_of_a_group() -> Result<(), String> {
        Ok(())
    }
}

mod shelf_of_another {
    #[sandbox_runtime::sandboxed(breaker = &super::SHARED)]
    pub(crate) async fn not_of_a_group() -> Result<(), String> {
        Ok(())
    }
}

static SHARED: CircuitBreaker = CircuitBreaker::new(1);

#[tokio::test(start_paused = true)]
async fn a_module_at_a_time() {
    let group = tools().within(concat!(module_path!(), "::shelf"));
    assert_eq!(group.len(), 2, "{group}");
    group.disable("maintenance", None);
    shelf::left::of_a_group().await.expect_err("it is off");
    shelf::also_of_a_group().await.expect_err("it is off");
    shelf_of_another::not_of_a_group()
        .await
        .expect("another module, although the breaker is the same");
    group.enable();
    shelf::left::of_a_group().await.expect("it is on");
    shelf::also_of_a_group().await.expect("it is on");
}

/// A tool that calls one that is off is not to blame.
#[tokio::test(start_paused = true)]
async fn and_leave_no_mark_on_who_calls_them() {
    #[sandboxed]
    async fn called_within() -> Result<u32, Error> {
        Ok(1)
    }

    #[sandboxed(max_retries = 0, breaker(threshold = 1))]
    async fn calls_another() -> Result<u32, Error> {
        called_within().await
    }

    tool("called_within").unwrap().disable("maintenance", None);
    calls_another().await.expect_err("the other is off");
    let breaker = tool("calls_another").unwrap().breaker().unwrap();
    assert_eq!(breaker.failure_count(), 0, "it has done its best");
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Observer for Diary {
    fn on_event(&self, event: &Event<'_>) {
        let what = match event.happened {
            Happened::OperatorActed { action, reason, .. } => format!("{}: {reason:?}", action.as_str()),
            Happened::CallEnded {
                stop,
                attempts,
                failure,
                ..
            } => format!("{stop:?} after {attempts} as {:?}", error_type(stop, failure)),
            _ => return,
        };
        self.0.lock().unwrap().push(format!("{} {what}", event.tool.name));
    }
}

#[tokio::test(start_paused = true)]
async fn and_tell_who_observes() {
    #[sandboxed]
    async fn observed_by_a_diary() -> Result<u32, Error> {
        Ok(1)
    }

    let diary = Diary::default();
    observe_in(diary.clone(), async {
        let _ = observed_by_a_diary().await;
        let handle = tool("observed_by_a_diary").unwrap();
        handle.disable("maintenance", None);
        observed_by_a_diary().await.expect_err("it is off");
        handle.enable();
        handle.enable();
    })
    .await;
    assert_eq!(
        *diary.0.lock().unwrap(),
        [
            "observed_by_a_diary Succeeded after 1 as None",
            "observed_by_a_diary disabled: Some(\"maintenance\")",
            "observed_by_a_diary Disabled after 0 as Some(\"disabled\")",
            "observed_by_a_diary enabled: None"
        ]
    );
}

#[sandboxed(breaker = off)]
async fn begins_only_while_it_is_on() -> Result<(), String> {
    Ok(())
}

/// On four threads: whoever learns that the tool is off begins no attempt. Each thread is told by its own flag, so that nothing else
/// orders its calls and the switch.
#[test]
fn on_every_thread_that_learns_of_it() {
    let handle = tool("begins_only_while_it_is_on").unwrap();
    std::thread::scope(|scope| {
        let told: Vec<_> = (0..4).map(|_| AtomicBool::new(false)).collect();
        let told = &*Box::leak(told.into_boxed_slice());
        for told in told {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    loop {
                        let is_off = told.load(Ordering::Acquire);
                        let answer = begins_only_while_it_is_on().await;
                        if is_off {
                            answer.expect_err("it was off before the call");
                            break;
                        }
                    }
                });
            });
        }
        for _ in 0..1_000 {
            std::hint::spin_loop();
        }
        handle.disable("now", None);
        for told in told {
            told.store(true, Ordering::Release);
        }
    });
    handle.enable();
}
