//! Nothing is recorded until somebody asks for a tool, and what began before is not made up for. In a process of its own, of which
//! nobody has asked anything.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{pending, poll_fn};
use std::task::Poll;

use sandbox_runtime::{sandboxed, tool, tools};

#[sandboxed(breaker(threshold = 1), max_retries = 0)]
async fn search(hangs: bool) -> Result<(), String> {
    if hangs { pending().await } else { Err("down".into()) }
}

#[tokio::test(start_paused = true)]
async fn and_not_before() {
    search(false).await.expect_err("it fails");
    let mut before = Box::pin(search(true));
    search(false).await.expect_err("it is refused");
    let mut refused = poll_fn(|cx| Poll::Ready(before.as_mut().poll(cx))).await;
    assert!(refused.is_ready(), "the breaker is open");
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    let mut before = Box::pin(search(true));
    refused = poll_fn(|cx| Poll::Ready(before.as_mut().poll(cx))).await;
    assert!(refused.is_pending(), "the probe hangs");

    let status = tools().iter().find(|tool| tool.name() == "search").unwrap().status();
    assert_eq!(
        (status.counters.calls, status.last_failure),
        (0, None),
        "what was before"
    );
    assert_eq!(status.breaker.unwrap().last_change, None, "what was before");

    drop(before);
    let counters = tool("search").unwrap().status().counters;
    assert_eq!(
        (counters.calls, counters.ends.len()),
        (0, 0),
        "a call that began before"
    );
    search(false).await.expect_err("it fails");
    let status = tool("search").unwrap().status();
    assert_eq!((status.counters.calls, status.counters.failed()), (1, 1), "from now on");
    assert!(status.last_failure.is_some());
    assert!(status.breaker.unwrap().last_change.is_some());
}
