//! A tool is available unless an operator has switched it off, or its own breaker refuses its calls: whoever offers tools to a model
//! can ask before each time.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, ToolHandle, sandboxed, tool};
use tokio::time::advance;

const COOLDOWN: Duration = Duration::from_secs(30);

fn handle(name: &str) -> ToolHandle {
    tool(name).unwrap()
}

#[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 30_000))]
async fn mended_in_time(is_well: bool) -> Result<(), String> {
    if is_well { Ok(()) } else { Err("down".to_owned()) }
}

#[tokio::test(start_paused = true)]
async fn until_its_breaker_opens_and_again_when_it_may_be_tried() {
    let tool = handle("mended_in_time");
    assert!(tool.is_available(), "before its first call");
    mended_in_time(false).await.unwrap_err();
    assert!(tool.is_available(), "one failure of two");
    mended_in_time(false).await.unwrap_err();
    assert!(!tool.is_available(), "its breaker is open");
    advance(COOLDOWN - Duration::from_millis(1)).await;
    assert!(!tool.is_available(), "the cooldown is not over");
    advance(Duration::from_millis(1)).await;
    assert!(tool.is_available(), "the next call tries it");
    mended_in_time(false).await.unwrap_err();
    assert!(!tool.is_available(), "it has been tried in vain");
    advance(COOLDOWN * 2).await;
    mended_in_time(true).await.unwrap();
    assert_eq!(tool.breaker().unwrap().state(), BreakerState::Closed);
    assert!(tool.is_available(), "its breaker is closed");
}

#[sandboxed(max_retries = 0)]
async fn operated() -> Result<(), String> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn unless_an_operator_has_stopped_it() {
    let tool = handle("operated");
    tool.disable("it is being moved", Some(COOLDOWN));
    assert!(!tool.is_available(), "switched off");
    tool.force_open();
    advance(COOLDOWN).await;
    assert!(
        !tool.is_available(),
        "switched on again, and its breaker is forced open"
    );
    tool.shadow(true);
    assert!(tool.is_available(), "in shadow its breaker refuses nothing");
    operated().await.unwrap();
    tool.disable("it is being moved", None);
    assert!(!tool.is_available(), "in shadow a tool that is off is off");
    tool.enable();
    tool.shadow(false);
    assert!(!tool.is_available(), "its breaker refuses again");
    tool.reset();
    assert!(tool.is_available());
}

static SHARED: CircuitBreaker = CircuitBreaker::new(1);

#[sandboxed(breaker = &SHARED)]
async fn with_a_shared_breaker() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker = off)]
async fn without_a_breaker() -> Result<(), String> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn whatever_a_breaker_does_that_is_not_its_own() {
    SHARED.force_open();
    with_a_shared_breaker().await.unwrap_err();
    assert!(handle("with_a_shared_breaker").is_available(), "it is the owner's");
    without_a_breaker().await.unwrap();
    let tool = handle("without_a_breaker");
    assert!(tool.is_available(), "nothing can refuse it");
    tool.disable("it is being moved", None);
    assert!(!tool.is_available(), "switched off");
}
