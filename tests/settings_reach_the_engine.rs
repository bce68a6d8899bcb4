//! Every argument of the attribute has its effect, and what is absent has the runtime's default.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox_runtime::sandboxed;
use tokio::time::Instant;

const TIMEOUT_MS: u64 = 200;

/// How many milliseconds `call` takes on the paused clock.
async fn millis(call: impl Future<Output = Result<(), String>>) -> u128 {
    let start = Instant::now();
    call.await.unwrap_err();
    start.elapsed().as_millis()
}

#[sandboxed]
async fn bare() -> Result<(), String> {
    std::future::pending().await
}

#[sandboxed()]
async fn empty() -> Result<(), String> {
    std::future::pending().await
}

#[sandboxed(timeout_ms = TIMEOUT_MS + 1, max_retries = { 1 + 2 }, backoff_base_ms = 1_000u64,)]
async fn all() -> Result<(), String> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn defaults_are_30_s_2_retries_and_half_a_second() {
    assert_eq!(millis(bare()).await, 30_000 + 500 + 30_000 + 1_000 + 30_000);
    assert_eq!(millis(empty()).await, 30_000 + 500 + 30_000 + 1_000 + 30_000);
}

#[tokio::test(start_paused = true)]
async fn settings_are_constant_expressions() {
    assert_eq!(millis(all()).await, 4 * 201 + 1_000 + 2_000 + 4_000);
}

#[sandboxed(max_retries = 9, backoff_base_ms = 0)]
async fn default_breaker(attempts: &AtomicU32) -> Result<(), String> {
    attempts.fetch_add(1, Ordering::Relaxed);
    Err("down".into())
}

#[tokio::test(start_paused = true)]
async fn the_default_breaker_opens_at_5_failures() {
    let attempts = AtomicU32::new(0);
    default_breaker(&attempts).await.unwrap_err();
    assert_eq!(attempts.into_inner(), 5);
}
