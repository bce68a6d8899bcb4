//! A plan of faults in a scope does to calls exactly what the real faults would, the same for the same seed; and nothing to calls
//! outside.

#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{Future, pending};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::faults::{Fault, Faults};
use sandbox_runtime::observe::{Event, Happened, Observer, Stop, observe_in};
use sandbox_runtime::{
    Budget, CircuitBreaker, Failure, FailureKind, FromFailure, Policy, SandboxError, Tool, ToolExecutionResult,
    execute_with_controls, sandboxed, tool,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

const MILLI: Duration = Duration::from_millis(1);
const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .max_retries(2)
    .backoff_base(Duration::from_millis(100));
const ONCE: Policy = POLICY.max_retries(0);
const LATE: Fault = Fault::Late(Duration::from_millis(400));
const FAULTS: [Fault; 6] = [
    Fault::Fail,
    Fault::Hang,
    Fault::Panic,
    LATE,
    Fault::Refuse,
    Fault::LoseAnswer,
];

/// How a call ended, after how many milliseconds, and how often its tool has run.
type Told = (Result<u32, SandboxError>, u128, u32);

/// A call of a tool that takes `takes` and answers with the number of its run.
async fn call_of(name: &'static str, policy: Policy, breaker: &CircuitBreaker, takes: Duration) -> Told {
    let (start, runs) = (Instant::now(), AtomicU32::new(0));
    let tool = Tool::new(name, || async {
        let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
        if !takes.is_zero() {
            sleep(takes).await;
        }
        Ok(run)
    });
    let result = execute_with_controls(policy, breaker, tool).await;
    (result, start.elapsed().as_millis(), runs.into_inner())
}

async fn call(policy: Policy) -> Told {
    call_of("search", policy, &CircuitBreaker::new(5), Duration::ZERO).await
}

fn failed(attempts: u32) -> SandboxError {
    let reason = "injected by faults".to_owned();
    SandboxError::ExecutionFailed { attempts, reason }
}

const TIMEOUT: SandboxError = SandboxError::Timeout {
    elapsed_ms: 1_000,
    limit_ms: 1_000,
};

fn panicked() -> SandboxError {
    SandboxError::Panicked {
        message: "injected by faults".to_owned(),
    }
}

/// What the first fault of every attempt of a number of calls is, as one letter each.
async fn story(calls: usize, name: &'static str) -> String {
    let mut letters = String::new();
    for _ in 0..calls {
        let (result, elapsed, runs) = call_of(name, ONCE, &CircuitBreaker::disabled(), Duration::ZERO).await;
        letters.push(match (result, elapsed, runs) {
            (Ok(_), 0, 1) => '.',
            (Ok(_), _, 1) => 'l',
            (Err(SandboxError::ExecutionFailed { .. }), ..) => 'f',
            (Err(SandboxError::Timeout { .. }), _, 0) => 'h',
            (Err(SandboxError::Panicked { .. }), ..) => 'p',
            (Err(SandboxError::CircuitBreakerOpen { .. }), ..) => 'r',
            other => panic!("not one of the faults: {other:?}"),
        });
    }
    letters
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_what_it_says_at_its_time() {
    let refused = |result: Result<u32, SandboxError>| match result {
        Err(SandboxError::CircuitBreakerOpen {
            consecutive_failures,
            threshold,
            retry_after_ms,
            ..
        }) => assert_eq!((consecutive_failures, threshold, retry_after_ms), (5, 5, Some(30_000))),
        other => panic!("not refused: {other:?}"),
    };
    for (fault, takes, expected) in [
        (Fault::Fail, 0, (Err(failed(1)), 0, 0)),
        (Fault::Hang, 0, (Err(TIMEOUT), 1_000, 0)),
        (Fault::Panic, 0, (Err(panicked()), 0, 0)),
        (LATE, 0, (Ok(1), 400, 1)),
        (LATE, 500, (Ok(1), 900, 1)),
        (LATE, 700, (Err(TIMEOUT), 1_000, 1)),
        (Fault::Late(MILLI * 1_000), 0, (Ok(1), 1_000, 1)),
        (Fault::Late(MILLI * 1_001), 0, (Err(TIMEOUT), 1_000, 0)),
        (Fault::Late(Duration::MAX), 0, (Err(TIMEOUT), 1_000, 0)),
        (Fault::Late(Duration::ZERO), 0, (Ok(1), 0, 1)),
        (Fault::LoseAnswer, 0, (Err(TIMEOUT), 1_000, 1)),
        (Fault::LoseAnswer, 300, (Err(TIMEOUT), 1_000, 1)),
        (Fault::LoseAnswer, 2_000, (Err(TIMEOUT), 1_000, 1)),
    ] {
        let breaker = CircuitBreaker::new(5);
        let call = call_of("search", ONCE, &breaker, MILLI * takes);
        let told = Faults::seeded(7).on("search", fault).scope(call).await;
        assert_eq!(told, expected, "{fault:?}, and a tool that takes {takes} ms");
    }
    let (result, elapsed, runs) = Faults::seeded(7).everywhere(Fault::Refuse).scope(call(ONCE)).await;
    refused(result);
    assert_eq!((elapsed, runs), (0, 0), "refused at once");
}

#[tokio::test(start_paused = true)]
async fn retries_come_through() {
    for (fault, told) in [
        (Fault::Fail, (Ok(1), 100, 1)),
        (Fault::Hang, (Ok(1), 1_100, 1)),
        (Fault::Panic, (Err(panicked()), 0, 0)),
        (LATE, (Ok(1), 400, 1)),
        (Fault::LoseAnswer, (Ok(2), 1_100, 2)),
    ] {
        let faults = Faults::seeded(7).on("search", fault.nth(1));
        assert_eq!(faults.scope(call(POLICY)).await, told, "{fault:?}");
    }
    let faults = Faults::seeded(7).on("search", Fault::Fail.first(2));
    assert_eq!(faults.scope(call(POLICY)).await, (Ok(1), 300, 1));
    let faults = Faults::seeded(7).on("search", Fault::Fail);
    assert_eq!(faults.scope(call(POLICY)).await, (Err(failed(3)), 300, 0), "none does");
    let without_delay = POLICY.backoff_base(Duration::ZERO).max_retries(100_000);
    let faults = Faults::seeded(7).on("search", Fault::Fail.first(100_000));
    assert_eq!(faults.scope(call(without_delay)).await, (Ok(1), 0, 1), "after many");
}

#[tokio::test(start_paused = true)]
async fn a_refused_retry_leaves_what_the_attempt_before_has_left() {
    let faults = Faults::seeded(7)
        .on("search", Fault::Fail.nth(1))
        .on("search", Fault::Refuse.nth(2));
    assert_eq!(faults.scope(call(POLICY)).await, (Err(failed(1)), 100, 0));
    let faults = Faults::seeded(7)
        .on("search", Fault::Hang.nth(1))
        .on("search", Fault::Refuse.nth(2));
    assert_eq!(faults.scope(call(POLICY)).await, (Err(TIMEOUT), 1_100, 0));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_must_not_run_twice_is_run_again_only_after_a_fault_that_did_nothing() {
    let policy = POLICY.idempotent(false);
    for (fault, told) in [
        (Fault::Fail, (Ok(1), 100, 1)),
        (Fault::Hang, (Err(TIMEOUT), 1_000, 0)),
        (Fault::Late(MILLI * 5_000), (Err(TIMEOUT), 1_000, 0)),
        (Fault::LoseAnswer, (Err(TIMEOUT), 1_000, 1)),
    ] {
        let faults = Faults::seeded(7).on("search", fault.nth(1));
        assert_eq!(faults.scope(call(policy)).await, told, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_leave_the_marks_of_real_ones() {
    for (fault, marks) in FAULTS.into_iter().zip([1, 1, 1, 0, 0, 1]) {
        let breaker = CircuitBreaker::new(5);
        let call = call_of("search", ONCE, &breaker, Duration::ZERO);
        let _ = Faults::seeded(7).everywhere(fault).scope(call).await;
        assert_eq!(breaker.failure_count(), marks, "{fault:?}");
    }
    let breaker = CircuitBreaker::new(5);
    let call = call_of("search", POLICY, &breaker, Duration::ZERO);
    let _ = Faults::seeded(7).everywhere(Fault::Fail).scope(call).await;
    assert_eq!(
        breaker.failure_count(),
        1,
        "of three attempts that failed, the last one"
    );

    let breaker = CircuitBreaker::new(2);
    let faults = Faults::seeded(7).everywhere(Fault::Hang.first(2));
    let calls = async {
        let call = || call_of("search", POLICY, &breaker, Duration::ZERO);
        assert_eq!(call().await.0, Err(TIMEOUT), "the second timeout opens it");
        assert!(call().await.0.unwrap_err().is_circuit_open(), "by itself");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(call().await, (Ok(1), 0, 1), "the probe");
    };
    faults.scope(calls).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_breaker_refuses_is_not_counted() {
    let faults = Faults::seeded(7).on("search", Fault::Panic.nth(1));
    let calls = async {
        let open = CircuitBreaker::new(0);
        for _ in 0..3 {
            let told = call_of("search", POLICY, &open, Duration::ZERO).await;
            assert!(told.0.unwrap_err().is_circuit_open(), "by itself");
        }
        assert_eq!(call(POLICY).await.0, Err(panicked()), "the first that could begin");
    };
    faults.scope(calls).await;
}

#[tokio::test(start_paused = true)]
async fn a_share_tells_the_same_story_for_a_seed() {
    let told = |seed, calls, name| {
        let faults = Faults::seeded(seed)
            .on("search", Fault::Hang.share(0.2))
            .on("search", Fault::Fail.share(0.1))
            .on("fetch", Fault::Panic.share(0.5));
        faults.scope(story(calls, name))
    };
    assert_eq!(told(7, 40, "search").await, SEARCH_OF_7);
    assert_eq!(told(7, 40, "search").await, SEARCH_OF_7, "once more");
    assert_eq!(told(8, 40, "search").await, SEARCH_OF_8);
    assert_eq!(told(7, 40, "fetch").await, FETCH_OF_7);
    assert_eq!(told(7, 40, "other").await, ".".repeat(40), "no rule concerns it");
}

/// Calculated by another program, from the finalizer of SplitMix64 over the seed, the bytes of the name and the position.
const SEARCH_OF_7: &str = "....h.........fh..f....h..h.....f..h.hh.";
const SEARCH_OF_8: &str = "...ff....h.h........f..h...h.....fhhf...";
const FETCH_OF_7: &str = "....ppp.......p..ppp...p.p..p..p...ppp..";

#[tokio::test(start_paused = true)]
async fn other_tools_and_parallel_scopes_change_no_story() {
    let faults = Faults::seeded(7)
        .on("search", Fault::Hang.share(0.2))
        .on("search", Fault::Fail.share(0.1))
        .on("fetch", Fault::Panic.share(0.5));
    let both = || async { tokio::join!(story(40, "search"), story(40, "fetch")) };
    let (first, second, outside) = tokio::join!(faults.clone().scope(both()), faults.scope(both()), both());
    let expected = (SEARCH_OF_7.to_owned(), FETCH_OF_7.to_owned());
    assert_eq!(first, expected);
    assert_eq!(second, expected, "a scope of its own");
    assert_eq!(outside, (".".repeat(40), ".".repeat(40)), "outside of both");
}

#[tokio::test(start_paused = true)]
async fn positions_are_counted_for_each_tool_in_its_scope() {
    let faults = Faults::seeded(7)
        .on("search", Fault::Panic.nth(3))
        .on("search", Fault::Fail.nth(5))
        .everywhere(LATE.first(2));
    let stories = async {
        let search = story(4, "search").await;
        (search, story(3, "fetch").await, story(3, "search").await)
    };
    let expected = ("llp.".to_owned(), "ll.".to_owned(), "f..".to_owned());
    assert_eq!(faults.clone().scope(stories).await, expected);
    assert_eq!(faults.scope(story(3, "search")).await, "llp", "from the beginning");
    let never = Faults::seeded(7)
        .everywhere(Fault::Fail.nth(0))
        .everywhere(Fault::Fail.first(0));
    assert_eq!(never.scope(story(3, "search")).await, "...");
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_matches_decides() {
    let faults = Faults::seeded(7)
        .spare("health")
        .on("search", Fault::Refuse.nth(2))
        .on("search", Fault::Fail)
        .everywhere(Fault::Panic);
    let stories = async {
        (
            story(3, "health").await,
            story(3, "search").await,
            story(3, "fetch").await,
        )
    };
    let expected = ("...".to_owned(), "frf".to_owned(), "ppp".to_owned());
    assert_eq!(faults.scope(stories).await, expected);
}

#[tokio::test(start_paused = true)]
async fn scopes_nest_and_every_one_counts() {
    let inner = Faults::seeded(7).everywhere(Fault::Fail.nth(2)).spare("search");
    let outer = Faults::seeded(7).everywhere(Fault::Panic.first(3));
    let stories = async { (inner.scope(story(4, "search")).await, story(2, "search").await) };
    assert_eq!(outer.scope(stories).await, ("pfp.".to_owned(), "..".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_scope_can_be_inherited_and_belongs_to_its_task() {
    let faults = Faults::seeded(7).everywhere(Fault::Fail);
    let tasks = async {
        let inherited = tokio::spawn(Budget::inherit(async { call(ONCE).await }));
        let own = tokio::spawn(async { call(ONCE).await });
        (inherited.await.unwrap().0, own.await.unwrap().0)
    };
    assert_eq!(faults.scope(tasks).await, (Err(failed(1)), Ok(1)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_handed_into_a_scope_has_its_next_attempts_there() {
    let breaker = CircuitBreaker::new(5);
    let mut begun = Box::pin(call_of("search", POLICY, &breaker, MILLI * 2_000));
    let _ = tokio::time::timeout(MILLI * 500, begun.as_mut()).await;
    let faults = Faults::seeded(7).everywhere(Fault::Fail);
    assert_eq!(faults.scope(begun).await, (Err(failed(3)), 1_300, 1));
}

#[sandboxed(timeout_ms = 1_000, max_retries = 3, backoff_base_ms = 100, breaker = off)]
async fn append(lines: &mut Vec<u32>, line: u32) -> Result<usize, SandboxError> {
    lines.push(line);
    Ok(lines.len())
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_lent_stay_usable() {
    for (faults, expected) in [
        (Faults::seeded(7).on("append", Fault::Fail.first(2)), (Ok(1), 300, 1)),
        (Faults::seeded(7).on("append", Fault::Hang.first(2)), (Ok(1), 2_300, 1)),
        (Faults::seeded(7).on("append", Fault::Hang.nth(2)), (Ok(1), 0, 1)),
        (
            Faults::seeded(7).on("append", Fault::LoseAnswer.first(2)),
            (Ok(3), 2_300, 3),
        ),
        (Faults::seeded(7).on("append", LATE), (Ok(1), 400, 1)),
        (
            Faults::seeded(7)
                .on("append", Fault::LoseAnswer.nth(1))
                .on("append", LATE.nth(2)),
            (Ok(2), 1_500, 2),
        ),
        (
            Faults::seeded(7)
                .on("append", Fault::Fail.nth(1))
                .on("append", Fault::Panic.nth(2)),
            (Err(panicked()), 100, 0),
        ),
        (Faults::seeded(7).on("append", Fault::Fail), (Err(failed(4)), 700, 0)),
    ] {
        let (start, mut lines) = (Instant::now(), Vec::new());
        let result = faults.clone().scope(append(&mut lines, 7)).await;
        let told = (result, start.elapsed().as_millis(), lines.len());
        assert_eq!(told, expected, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_with_the_call_around_it() {
    for fault in [Fault::Hang, Fault::Late(MILLI * 900), Fault::LoseAnswer] {
        let scoped = |call| Faults::seeded(7).everywhere(fault).scope(call);
        let deadline = scoped(call(POLICY.deadline(MILLI * 700))).await;
        assert!(deadline.0.unwrap_err().is_deadline_exceeded(), "{fault:?}");
        assert_eq!(deadline.1, 700, "{fault:?} ends at the deadline");
        let run = Budget::new().deadline(MILLI * 600).scope(scoped(call(POLICY))).await;
        assert!(run.0.unwrap_err().is_deadline_exceeded(), "{fault:?}");
        assert_eq!(run.1, 600, "{fault:?} ends with its run");

        let breaker = CircuitBreaker::new(1);
        let probe = async {
            breaker.record_failure();
            sleep(Duration::from_secs(30)).await;
            let call = call_of("search", POLICY, &breaker, Duration::ZERO);
            tokio::time::timeout(MILLI * 500, call).await.expect_err("dropped");
        };
        Faults::seeded(7).everywhere(fault).scope(probe).await;
        let again = call_of("search", POLICY, &breaker, Duration::ZERO).await;
        assert_eq!(again, (Ok(1), 0, 1), "the place of the probe is free after {fault:?}");
    }
}

#[derive(Debug)]
struct Whole(Failure);

impl FromFailure for Whole {
    fn from_failure(failure: Failure) -> Self {
        Whole(failure)
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_states_what_was_injected() {
    let breaker = CircuitBreaker::new(5);
    let tool = || Tool::new("pay", || async { Ok::<u32, Whole>(1) });
    let faults = Faults::seeded(7).on("pay", Fault::Fail);
    let call = execute_with_controls(ONCE.idempotent(false), &breaker, tool());
    let Whole(failure) = faults.clone().scope(call).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.kind.as_str()),
        (FailureKind::ExecutionFailed, "execution_failed")
    );
    assert!(!failure.may_have_executed, "the tool has not run");
    assert_eq!(failure.to_string(), "`pay` failed after 1 attempt: injected by faults");
    assert_eq!(
        failure.for_model(),
        "`pay` failed: injected by faults. Try again later, or go on without it."
    );
    let Whole(failure) = faults
        .scope(execute_with_controls(POLICY, &breaker, tool()))
        .await
        .unwrap_err();
    assert!(failure.may_have_executed, "an attempt before may have");

    let faults = Faults::seeded(7).on("pay", Fault::Fail.first(2)).on("pay", Fault::Hang);
    let Whole(failure) = faults
        .scope(execute_with_controls(POLICY, &breaker, tool()))
        .await
        .unwrap_err();
    assert_eq!(
        failure.last_error.as_deref(),
        Some("injected by faults"),
        "of the attempt before"
    );
}

#[tokio::test(start_paused = true)]
async fn closures_that_answer_with_json_fail_as_they_do() {
    let call = || async { execute_with_controls(POLICY, &CircuitBreaker::new(5), || async { Ok(json!(1)) }).await };
    let failed = Faults::seeded(7).everywhere(Fault::Fail).scope(call()).await.unwrap();
    let told = (failed.success, failed.attempts, failed.error.as_deref());
    assert_eq!(told, (false, 3, Some("injected by faults")));
    let refused = Faults::seeded(7)
        .everywhere(Fault::Refuse.nth(2))
        .everywhere(Fault::Fail)
        .scope(call());
    assert!(refused.await.unwrap_err().is_circuit_open(), "the second attempt");

    let failing =
        ToolExecutionResult::of(async { call_of("search", ONCE, &CircuitBreaker::new(5), Duration::ZERO).await.0 });
    let report = Faults::seeded(7).everywhere(Fault::Fail).scope(failing).await.unwrap();
    let told = (report.success, report.error.as_deref());
    assert_eq!(told, (false, Some("failed after 1 attempt: injected by faults")));
}

/// Writes down the events of calls, without the texts of failures.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Observer for Diary {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event.happened {
            Happened::CallEnded {
                stop,
                attempts,
                elapsed,
                ..
            } => format!("{stop:?} {attempts} {elapsed:?}"),
            ref other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

async fn observed<T>(call: impl Future<Output = T>) -> Vec<String> {
    let diary = Diary::default();
    observe_in(diary.clone(), call).await;
    std::mem::take(&mut *diary.0.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn observers_see_what_real_faults_would_show_them() {
    let real = async |fault: Fault| {
        let tool = Tool::new("search", || async {
            match fault {
                Fault::Fail => return Err(failed(1)),
                Fault::Hang | Fault::LoseAnswer => pending().await,
                Fault::Panic => panic!("a real one"),
                Fault::Late(delay) => sleep(delay).await,
                _ => {}
            }
            Ok(1)
        });
        let breaker = CircuitBreaker::new(if fault == Fault::Refuse { 0 } else { 5 });
        execute_with_controls(POLICY, &breaker, tool).await
    };
    for fault in FAULTS {
        let injected = observed(Faults::seeded(7).everywhere(fault).scope(call(POLICY))).await;
        assert!(!injected.is_empty(), "nobody was told of {fault:?}");
        assert_eq!(injected, observed(real(fault)).await, "{fault:?}");
    }
}

#[sandboxed(max_retries = 0, breaker = off)]
async fn fetch(page: u32) -> Result<u32, SandboxError> {
    Ok(page)
}

#[tokio::test(start_paused = true)]
async fn records_have_them_and_rules_know_paths() {
    let fetch_tool = tool("fetch").expect("it is annotated");
    let path = format!("{}::fetch", module_path!());
    let faults = Faults::seeded(7)
        .on(&path, Fault::Fail.nth(1))
        .on("elsewhere::fetch", Fault::Panic)
        .on(&path, Fault::Refuse.nth(2));
    let calls = async {
        assert_eq!(fetch(1).await, Err(failed(1)));
        assert!(fetch(1).await.unwrap_err().is_circuit_open(), "refused");
        assert_eq!(fetch(1).await, Ok(1));
    };
    faults.scope(calls).await;
    let status = fetch_tool.status();
    let ended = |stop: Stop| status.counters.ends.get(stop.as_str()).copied().unwrap_or_default();
    let ends = (
        ended(Stop::AttemptsExhausted),
        ended(Stop::Refused),
        ended(Stop::Succeeded),
    );
    assert_eq!((status.counters.calls, ends), (3, (1, 1, 1)));
    let failure = status.last_failure.expect("the first call failed");
    assert_eq!(
        failure.error.as_deref(),
        Some("`fetch` failed after 1 attempt: injected by faults")
    );
}
