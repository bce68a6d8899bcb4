//! The status of a tool has what the other replicas know of it, beside what this one does. A program of its own: there is one registry in
//! a process.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use sandbox_fleet::Fleet;
use sandbox_fleet::store::Quorum;
use sandbox_fleet::store::memory::MemoryStore;
use sandbox_runtime::{sandboxed, tool};
use tokio::time::sleep;

#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 10_000))]
async fn look_up() -> Result<(), String> {
    Err("down".to_owned())
}

#[tokio::test(start_paused = true)]
async fn as_long_as_it_is_a_replica() {
    assert_eq!(tool("look_up").unwrap().status().fleet, None, "not yet");
    let store = MemoryStore::new();
    let fleet = Fleet::over(store.clone()).quorum(Quorum::Of(1)).join().await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let before = tool("look_up").unwrap().status().fleet.unwrap();
    assert_eq!((before.is_open_for_all, before.epoch), (false, 0));
    look_up().await.unwrap_err();
    sleep(Duration::from_millis(10)).await;
    let open = tool("look_up").unwrap().status();
    assert_eq!(open.breaker.unwrap().state, "open", "here");
    let in_fleet = open.fleet.unwrap();
    assert_eq!((in_fleet.is_open_for_all, in_fleet.epoch), (true, 1), "for all");
    store.be_gone(true);
    sleep(Duration::from_secs(30)).await;
    let age = tool("look_up").unwrap().status().fleet.unwrap().view_age_ms;
    assert!((29_000..31_000).contains(&age), "{age} ms after the store was gone");
    fleet.leave().await;
    assert_eq!(tool("look_up").unwrap().status().fleet, None, "no longer");
}
