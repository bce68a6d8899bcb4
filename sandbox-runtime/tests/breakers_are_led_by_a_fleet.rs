//! Replicas of a service that have agreed on a breaker hold it open for as long as they want, have it tried by one call, and close
//! it. What an operator does goes before that.

#![cfg(feature = "fleet")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, Observer, observe_in};
use sandbox_runtime::{BreakerState, CircuitBreaker, SandboxError, fleet, sandboxed, tool};
use tokio::time::advance;

const COOLDOWN: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
/// How long the fleet's task waits between two looks.
const LOOK: Duration = Duration::from_millis(250);

fn breaker(name: &str) -> &'static CircuitBreaker {
    tool(name).unwrap().breaker().unwrap()
}

fn open(retry_after: Duration) -> BreakerState {
    BreakerState::Open { retry_after }
}

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// By what others have found.
fn refused(tool: &str, seconds: u64) -> Result<u32, String> {
    Err(format!(
        "`{tool}` is unavailable after repeated failures in other replicas of this service (circuit breaker open) and was not \
         called. Do not call it again for {seconds} s; go on without it."
    ))
}

/// Changes of breakers.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Story {
    fn on_event(&self, event: &Event<'_>) {
        if let Happened::BreakerChanged { from, to, cause, .. } = event.happened {
            let line = format!("{} to {}: {}", from.as_str(), to.as_str(), cause.as_str());
            self.0.lock().unwrap().push(line);
        }
    }
}

#[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 10_000))]
async fn held() -> Result<u32, String> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn it_is_held_open_for_as_long_as_they_renew_that() {
    let (breaker, story) = (breaker("held"), Story::default());
    assert_eq!(held().await, Ok(1), "this replica has found nothing");
    observe_in(story.clone(), async {
        // Far beyond its own cooldown.
        for _ in 0..100 {
            fleet::open_for(breaker, 3 * SECOND);
            assert_eq!(breaker.state(), open(3 * SECOND));
            advance(LOOK).await;
            assert!(!tool("held").unwrap().is_available());
        }
        assert_eq!(held().await, refused("held", 3), "2.75, rounded up");
        advance(2 * SECOND).await;
        assert_eq!(held().await, refused("held", 1));
        assert_eq!(story.take(), ["closed to open: fleet"], "renewing it is no change");
        // Without their task it goes on by itself.
        advance(SECOND).await;
        assert_eq!(held().await, Ok(1));
        assert_eq!(
            story.take(),
            [
                "open to half_open: cooldown_over",
                "half_open to closed: probes_succeeded"
            ]
        );
    })
    .await;
}

#[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 10_000))]
async fn held_for_ever() -> Result<u32, String> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn it_is_held_open_for_one_cooldown_at_most_and_from_when_that_was_said() {
    let breaker = breaker("held_for_ever");
    assert_eq!(fleet::cooldown(breaker), COOLDOWN);
    fleet::open_for(breaker, Duration::MAX);
    assert_eq!(held_for_ever().await, refused("held_for_ever", 10));
    advance(COOLDOWN - SECOND).await;
    assert_eq!(held_for_ever().await, refused("held_for_ever", 1));
    fleet::open_for(breaker, COOLDOWN * 2);
    assert_eq!(held_for_ever().await, refused("held_for_ever", 10));
    fleet::open_for(breaker, SECOND);
    assert_eq!(held_for_ever().await, refused("held_for_ever", 1), "and for less");
    advance(SECOND).await;
    assert_eq!(held_for_ever().await, Ok(1));
}

#[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 10_000))]
async fn tried(is_well: bool) -> Result<u32, String> {
    tokio::time::sleep(SECOND).await;
    if is_well { Ok(1) } else { Err("down".to_owned()) }
}

#[tokio::test(start_paused = true)]
async fn one_call_tries_it_when_they_end_its_cooldown() {
    let (breaker, story) = (breaker("tried"), Story::default());
    observe_in(story.clone(), async {
        fleet::open_for(breaker, COOLDOWN);
        for is_well in [false, true] {
            fleet::open_for(breaker, Duration::ZERO);
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            let (one, other) = tokio::join!(tried(is_well), tried(true));
            assert_eq!(one.is_ok(), is_well, "{one:?}");
            assert!(other.unwrap_err().contains("is being tried now by another call"));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    })
    .await;
    assert_eq!(
        story.take(),
        [
            "closed to open: fleet",
            "open to half_open: cooldown_over",
            "half_open to open: probe_failed",
            "open to half_open: cooldown_over",
            "half_open to closed: probes_succeeded",
        ]
    );
}

#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 10_000))]
async fn told(takes: Duration, is_well: bool) -> Result<u32, String> {
    tokio::time::sleep(takes).await;
    if is_well { Ok(1) } else { Err("down".to_owned()) }
}

#[tokio::test(start_paused = true)]
async fn they_close_it_and_what_was_under_way_does_not_count() {
    let (breaker, story) = (breaker("told"), Story::default());
    observe_in(story.clone(), async {
        let mut before = pin!(told(5 * SECOND, false));
        assert!(poll(before.as_mut()).is_pending());
        fleet::open_for(breaker, Duration::ZERO);
        let mut probe = pin!(told(2 * SECOND, false));
        assert!(poll(probe.as_mut()).is_pending(), "it is the probe");
        fleet::close(breaker);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(
            (probe.await, before.await),
            (Err("down".to_owned()), Err("down".to_owned()))
        );
        assert_eq!(breaker.state(), BreakerState::Closed);
        fleet::close(breaker);
    })
    .await;
    assert_eq!(
        story.take(),
        [
            "closed to open: fleet",
            "open to half_open: cooldown_over",
            "half_open to closed: fleet",
        ]
    );
    assert!(told(SECOND, false).await.is_err());
    assert_eq!(breaker.state(), open(COOLDOWN), "it opens by itself as before");
    breaker.reset();
}

#[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 10_000))]
async fn found(is_well: bool) -> Result<u32, Failed> {
    if is_well { Ok(1) } else { Err(Failed::Down) }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Failed {
    #[error("down")]
    Down,
    #[error("{0}")]
    Sandbox(#[from] SandboxError),
}

/// In all that is said of it, to a model, in a log and as data, until this replica has found failures of its own.
#[tokio::test(start_paused = true)]
async fn a_refusal_says_whose_failures_have_opened_it() {
    let breaker = breaker("found");
    let refusal = async || found(true).await.unwrap_err().to_string();
    let others = "circuit breaker open after failures in other replicas of the service; try again in 10000 ms";
    let own = "circuit breaker open after 2 failures; try again in 10000 ms";

    assert_eq!(found(false).await, Err(Failed::Down), "one is not enough to open it");
    fleet::open_for(breaker, COOLDOWN);
    assert_eq!(refusal().await, others);
    let Err(SandboxError::CircuitBreakerOpen {
        consecutive_failures,
        threshold,
        ..
    }) = breaker.admit().map(drop)
    else {
        panic!("it is open");
    };
    assert_eq!((consecutive_failures, threshold), (0, 2), "as data");
    fleet::open_for(breaker, COOLDOWN);
    assert_eq!(refusal().await, others, "it is held open");
    fleet::open_for(breaker, Duration::ZERO);
    assert_eq!(found(false).await, Err(Failed::Down), "the probe");
    assert_eq!(refusal().await, own, "its own probe has failed");
    fleet::close(breaker);
    for _ in 0..2 {
        assert_eq!(found(false).await, Err(Failed::Down));
    }
    assert_eq!(refusal().await, own, "it has opened by itself");
    fleet::open_for(breaker, COOLDOWN);
    assert_eq!(refusal().await, own, "others only hold it open");
    breaker.reset();
    fleet::open_for(breaker, COOLDOWN);
    assert_eq!(refusal().await, others, "after a reset");
    breaker.reset();
    assert_eq!(found(true).await, Ok(1));
}

#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 10_000))]
async fn under_repair() -> Result<u32, String> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_has_forced_open_they_leave_alone() {
    let (handle, breaker) = (tool("under_repair").unwrap(), breaker("under_repair"));
    assert!(handle.force_open());
    fleet::close(breaker);
    assert_eq!(breaker.state(), BreakerState::ForcedOpen);
    fleet::open_for(breaker, Duration::ZERO);
    assert_eq!(breaker.state(), BreakerState::ForcedOpen);
    advance(COOLDOWN).await;
    assert_eq!(
        under_repair().await.unwrap_err(),
        "`under_repair` is switched off (its circuit breaker is held open) and was not called. Do not call it again; go on \
         without it."
    );
    assert!(handle.reset());
    assert_eq!(under_repair().await, Ok(1));
    fleet::open_for(breaker, COOLDOWN);
    assert!(handle.reset(), "an operator closes what they hold open");
    assert_eq!(under_repair().await, Ok(1));
}

#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 10_000))]
async fn wanted() -> Result<u32, String> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn they_learn_once_that_somebody_was_refused() {
    let breaker = breaker("wanted");
    assert!(!fleet::is_wanted(breaker), "nobody has called it");
    assert_eq!(wanted().await, Ok(1));
    assert!(!fleet::is_wanted(breaker), "nobody was refused");
    fleet::open_for(breaker, SECOND);
    for _ in 0..2 {
        assert_eq!(wanted().await, refused("wanted", 1));
    }
    assert!(fleet::is_wanted(breaker));
    assert!(!fleet::is_wanted(breaker), "not since then");
    assert_eq!(wanted().await, refused("wanted", 1));
    assert!(fleet::is_wanted(breaker), "again");
    fleet::close(breaker);
    assert_eq!(wanted().await, Ok(1));
    assert!(tool("wanted").unwrap().is_available());
    assert!(!fleet::is_wanted(breaker), "nobody is refused");
}

#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 10_000))]
async fn asked_for() -> Result<u32, String> {
    Ok(1)
}

/// Otherwise nobody would ever try what everybody leaves out because it is not to be had.
#[tokio::test(start_paused = true)]
async fn they_learn_of_those_who_ask_before_they_call() {
    let (handle, breaker) = (tool("asked_for").unwrap(), breaker("asked_for"));
    assert!(!fleet::is_wanted(breaker));
    fleet::open_for(breaker, SECOND);
    assert_eq!(breaker.state(), open(SECOND));
    assert!(!fleet::is_wanted(breaker), "to look at it is not to want it");
    assert!(!handle.is_available());
    assert!(fleet::is_wanted(breaker), "to leave it out of what a model is offered");
    assert!(breaker.is_open());
    assert!(fleet::is_wanted(breaker), "before an attempt by hand");
    assert!(breaker.admit().is_err());
    assert!(fleet::is_wanted(breaker), "by an attempt by hand");
    assert!(handle.shadow(true));
    assert_eq!(asked_for().await, Ok(1));
    assert!(fleet::is_wanted(breaker), "by a call that is made all the same");
    assert!(handle.shadow(false));
    fleet::close(breaker);
}
