//! The program counts what happens to its annotated functions, keeps their last failure, and knows how long their breakers have been
//! in each state.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::{Attempt, Budget, CircuitBreaker, ErrorVerdict, Policy, SandboxError, sandboxed, tool};
use serde_json::{Value, json};
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum Error {
    #[error("the index is busy")]
    Busy,
    #[error("no such page")]
    #[verdict(ignore)]
    NoSuchPage,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// What an attempt does.
#[derive(Debug, Clone, Copy)]
enum Does {
    Succeed,
    SucceedLater,
    Fail,
    Refer,
    Panic,
    Hang,
}

async fn attempt(does: &[Does]) -> Result<(), Error> {
    let number = Attempt::current().unwrap().number() as usize;
    match does[(number - 1).min(does.len() - 1)] {
        Does::Succeed => Ok(()),
        Does::SucceedLater => {
            sleep(Duration::from_millis(1)).await;
            Ok(())
        }
        Does::Fail => Err(Error::Busy),
        Does::Refer => Err(Error::NoSuchPage),
        Does::Panic => panic!("no index"),
        Does::Hang => pending().await,
    }
}

/// The counters of a tool, as data.
fn counters(name: &str) -> Value {
    serde_json::to_value(tool(name).unwrap().status().counters).unwrap()
}

fn last_failure(name: &str) -> Value {
    serde_json::to_value(tool(name).unwrap().status().last_failure).unwrap()
}

#[sandboxed(timeout_ms = 100, max_retries = 2, backoff_base_ms = 10, jitter = none, breaker = off, cancel = token)]
async fn counted(does: &'static [Does], token: CancellationToken) -> Result<(), Error> {
    let _ = &token;
    attempt(does).await
}

#[sandboxed(breaker(slow_call_ms = 10))]
async fn slow(millis: u64) -> Result<(), Error> {
    sleep(Duration::from_millis(millis)).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_slow_success_is_one_for_all_but_the_breaker() {
    let status = || tool("slow").unwrap().status();
    assert_eq!(status().counters.calls, 0, "before the first call");
    for millis in [10, 11] {
        slow(millis).await.expect("it succeeds");
    }
    assert_eq!(
        counters("slow"),
        json!({ "calls": 2, "active": 0, "attempts": 2, "overlooked": 0, "ends": { "succeeded": 2 } })
    );
    assert_eq!(last_failure("slow"), Value::Null);
    assert_eq!(status().breaker.unwrap().failures, 1);
}

#[tokio::test(start_paused = true)]
async fn calls_and_attempts_by_how_they_end() {
    use Does::{Fail, Hang, Panic, Refer, Succeed, SucceedLater};

    let of = |does| counted(does, CancellationToken::new());
    let name = "counted";
    assert_eq!(
        counters(name),
        json!({ "calls": 0, "active": 0, "attempts": 0, "overlooked": 0, "ends": {} }),
        "before the first call"
    );
    for does in [
        &[Succeed][..],
        &[SucceedLater],
        &[Fail, Succeed],
        &[Hang, Fail, SucceedLater],
    ] {
        of(does).await.expect("it succeeds in the end");
    }
    for does in [&[Fail][..], &[Hang], &[Refer], &[Panic], &[Fail, Panic]] {
        of(does).await.expect_err("it fails in the end");
    }
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    counted(&[Succeed], cancelled)
        .await
        .expect_err("it is cancelled before it begins");
    let token = CancellationToken::new();
    let (_, ended) = tokio::join!(
        async {
            sleep(Duration::from_millis(5)).await;
            token.cancel();
        },
        counted(&[Hang], token.clone())
    );
    ended.expect_err("it is cancelled in its attempt");
    for does in [&[Hang][..], &[Fail]] {
        let mut call = Box::pin(of(does));
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_pending());
        assert_eq!(counters(name)["active"], 1, "while it is under way");
        drop(call);
    }
    drop(of(&[Succeed]));
    assert_eq!(
        counters(name),
        json!({
            // The one that was cancelled before it began has not begun, and neither has the one that nobody polled.
            "calls": 12,
            "active": 0,
            // The successes, the failures, the cancelled one, the two that were dropped.
            "attempts": (1 + 1 + 2 + 3) + (3 + 3 + 1 + 1 + 2) + 1 + 2, "overlooked": 0,
            "ends": { "succeeded": 4, "attempts_exhausted": 2, "ignored": 1, "panicked": 2, "cancelled": 1, "dropped": 2 },
        })
    );
}

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker(threshold = 1, cooldown_ms = 1_000))]
async fn told(does: &'static [Does]) -> Result<(), Error> {
    attempt(does).await
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_of_the_tool_itself() {
    let name = "told";
    assert_eq!(last_failure(name), Value::Null);
    told(&[Does::Refer]).await.expect_err("the caller's fault");
    assert_eq!(
        last_failure(name),
        Value::Null,
        "a fault of the caller is none of the tool"
    );

    told(&[Does::Fail]).await.expect_err("it fails");
    advance(Duration::from_millis(700)).await;
    let failure = last_failure(name);
    assert_eq!(failure["stop"], "attempts_exhausted");
    assert_eq!(failure["error"], "the index is busy");
    assert_eq!((&failure["attempts"], &failure["ago_ms"]), (&json!(1), &json!(700)));

    told(&[Does::Succeed]).await.expect_err("it is refused");
    assert_eq!(last_failure(name), failure, "a refusal tells nothing new of the tool");
    assert_eq!(counters(name)["ends"]["refused"], 1);

    advance(Duration::from_millis(300)).await;
    told(&[Does::Hang]).await.expect_err("the probe hangs");
    let error = last_failure(name)["error"].clone();
    assert_eq!(error, "`told` timed out after 100 ms");
    assert!(
        tool(name)
            .unwrap()
            .status()
            .to_string()
            .ends_with("`told` timed out after 100 ms, 0 s ago"),
        "{}",
        tool(name).unwrap().status()
    );
}

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker(threshold = 2, cooldown_ms = 1_000))]
async fn changing(does: &'static [Does]) -> Result<(), Error> {
    attempt(does).await
}

#[tokio::test(start_paused = true)]
async fn the_last_change_of_the_breaker_and_its_times() {
    let breaker = || serde_json::to_value(tool("changing").unwrap().status().breaker).unwrap();
    assert_eq!(breaker()["last_change"], Value::Null);
    advance(Duration::from_millis(250)).await;
    for _ in 0..2 {
        changing(&[Does::Fail]).await.expect_err("it fails");
    }
    advance(Duration::from_millis(1_500)).await;
    assert_eq!(
        breaker(),
        json!({
            "state": "half_open",
            "failures": 2,
            "threshold": 2,
            "retry_after_ms": null,
            "last_change": { "from": "closed", "to": "open", "cause": "threshold_reached", "failures": 2, "ago_ms": 1_500 },
            "times": { "closed_ms": 250, "open_ms": 1_500, "half_open_ms": 0, "forced_open_ms": 0 },
        }),
        "a cooldown that is over lasts until somebody calls"
    );
    changing(&[Does::SucceedLater]).await.expect("the probe succeeds");
    tool("changing").unwrap().breaker().unwrap().force_open();
    advance(Duration::from_millis(40)).await;
    let now = breaker();
    assert_eq!(
        now["times"],
        json!({ "closed_ms": 250, "open_ms": 1_500, "half_open_ms": 1, "forced_open_ms": 40 })
    );
    assert_eq!(now["last_change"]["cause"], "forced_open");
}

#[sandboxed(timeout_ms = 100, max_retries = 1, backoff_base_ms = 10, breaker = off)]
async fn surrounded(does: &'static [Does]) -> Result<(), Error> {
    attempt(does).await
}

/// What surrounds a call changes nothing of what is counted.
#[tokio::test(start_paused = true)]
async fn also_within_the_run_of_an_agent() {
    assert_eq!(counters("surrounded")["calls"], 0, "from now on");
    let run = Budget::new().deadline(Duration::from_millis(150)).retries(1);
    run.scope(async {
        surrounded(&[Does::Succeed]).await.expect("at once");
        surrounded(&[Does::Fail, Does::Succeed])
            .await
            .expect("by the only retry");
        surrounded(&[Does::Fail]).await.expect_err("the retries are spent");
        surrounded(&[Does::Hang]).await.expect_err("its limit");
        surrounded(&[Does::Hang]).await.expect_err("the end of the run");
        surrounded(&[Does::Succeed])
            .await
            .expect_err("after the end of the run");
    })
    .await;
    let ends = json!({ "succeeded": 2, "retry_budget_spent": 2, "deadline_exceeded": 2 });
    assert_eq!(
        counters("surrounded"),
        json!({ "calls": 6, "active": 0, "attempts": 6, "overlooked": 0, "ends": ends })
    );
}

#[sandboxed(timeout_ms = 100, max_retries = 3, backoff_base_ms = 0, breaker = off)]
async fn from_many_threads(calls: u32) -> Result<(), Error> {
    match (calls % 3, Attempt::current().unwrap().number()) {
        (0, _) | (_, 2) => Ok(()),
        (1, _) => {
            tokio::task::yield_now().await;
            Ok(())
        }
        _ => Err(Error::Busy),
    }
}

#[test]
fn exactly_on_many_threads() {
    const CALLS: u32 = 3_000;
    // Before: what began before somebody asked is not counted.
    assert_eq!(counters("from_many_threads")["calls"], 0);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for number in 0..CALLS {
                        from_many_threads(number).await.expect("it succeeds in the end");
                        // One in three is dropped at its first wait.
                        let mut call = pin!(from_many_threads(number));
                        let _ = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
                    }
                });
            });
        }
    });
    let (all, third) = (20 * 2 * CALLS, 20 * CALLS / 3);
    let dropped = third;
    assert_eq!(
        counters("from_many_threads"),
        json!({
            "calls": all,
            "active": 0,
            "attempts": all + 2 * third, "overlooked": 0,
            "ends": { "succeeded": all - dropped, "dropped": dropped },
        })
    );
}

/// A tool whose breaker is another's is counted; what its breaker does, its owner knows.
#[tokio::test(start_paused = true)]
async fn also_beside_a_breaker_that_is_given() {
    static SHARED: CircuitBreaker = CircuitBreaker::new(1);

    #[sandboxed(max_retries = 0, breaker = &SHARED)]
    async fn beside_a_given_breaker() -> Result<(), Error> {
        Err(Error::Busy)
    }

    let name = "beside_a_given_breaker";
    let status = || tool(name).unwrap().status();
    assert_eq!(status().breaker, None);
    for _ in 0..2 {
        beside_a_given_breaker()
            .await
            .expect_err("it fails, and is refused then");
    }
    let counters = status().counters;
    assert_eq!((counters.failed(), counters.refused()), (1, 1), "{counters:?}");
}

#[sandboxed(policy = policy)]
async fn with_a_policy_of_its_own(policy: Policy, does: &'static [Does]) -> Result<(), Error> {
    attempt(does).await
}

#[tokio::test(start_paused = true)]
async fn the_policy_in_force() {
    let in_force = || tool("with_a_policy_of_its_own").unwrap().status().policy_in_force;
    assert_eq!(in_force(), None, "nobody knows what a call will bring");
    assert!(
        tool("with_a_policy_of_its_own")
            .unwrap()
            .status()
            .to_string()
            .contains("given")
    );
    for (retries, does) in [(4, &[Does::Succeed]), (5, &[Does::SucceedLater])] {
        let policy = Policy::new().max_retries(retries);
        with_a_policy_of_its_own(policy, does).await.expect("it succeeds");
        assert_eq!(in_force(), Some(policy), "that of the last call");
    }
    let status = tool("counted").unwrap().status();
    assert_eq!(status.policy_in_force, Some(status.policy), "what was compiled");
}
