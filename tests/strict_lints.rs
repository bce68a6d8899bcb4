//! Expansions are quiet where a crate asks for the strictest lints, clippy's included: this file is one of those that
//! `cargo clippy` is run on.

#![deny(
    warnings,
    missing_docs,
    unused,
    nonstandard_style,
    rust_2018_idioms,
    future_incompatible
)]
#![deny(clippy::all, clippy::pedantic)]
#![deny(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sandbox_runtime::{CircuitBreaker, ErrorVerdict, SandboxError, Verdict, sandboxed};
use tokio_util::sync::CancellationToken;

static SHARED: CircuitBreaker = CircuitBreaker::new(3);

/// Finds.
///
/// # Errors
///
/// Never.
#[sandboxed(
    timeout_ms = 5_000,
    max_retries = 1,
    backoff_base_ms = 10,
    breaker(threshold = 3, cooldown_ms = 500)
)]
pub async fn search(mut query: String, _limit: u32, (from, _): (u32, u32)) -> Result<String, String> {
    const SEPARATOR: char = '-';
    query.push(SEPARATOR);
    query.push_str(&from.to_string());
    Ok(query)
}

#[sandboxed(retry_if = |error| *error != "busy", jitter = equal, breaker = &SHARED, cancel = token)]
async fn cancelled(token: CancellationToken, log: &mut Vec<String>) -> Result<usize, String> {
    log.push(format!("{token:?}"));
    Ok(log.len())
}

#[sandboxed(on_failure = |failure| failure.to_string(), breaker = off)]
async fn text<T: Display + Clone>(value: T) -> String {
    value.to_string()
}

#[sandboxed(max_retries = 0, on_failure = drop)]
async fn nothing() {}

#[sandboxed(classify = |result: &Result<(), String>| if result.is_ok() { Verdict::Success } else { Verdict::Fail })]
fn boxed<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
    Box::pin(async move { if text.is_empty() { Err(String::new()) } else { Ok(()) } })
}

#[sandboxed(max_retries = 0)]
#[tracing::instrument(skip_all, fields(who = %user))]
async fn once(query: String, user: String, _limit: u32) -> Result<usize, String> {
    tokio::task::yield_now().await;
    Ok(query.len())
}

#[sandboxed(breaker = &SHARED)]
fn with_items(number: u32) -> impl Future<Output = Result<u32, String>> + Send + use<> {
    const STEP: u32 = 3;
    let sum = number + STEP;
    async move { Ok(sum) }
}

#[sandboxed(max_retries = 0)]
fn returned(mut text: String) -> impl Future<Output = Result<String, String>> + Send + use<> {
    text.push('!');
    let length = text.len();
    async move { Ok(format!("{text} {length}")) }
}

#[sandboxed]
fn returned_and_retried(mut text: String) -> impl Future<Output = Result<String, String>> + Send + use<> {
    text.push('!');
    let length = text.len();
    async move { Ok(format!("{text} {length}")) }
}

#[derive(Clone)]
struct Client;

impl Client {
    #[sandboxed]
    async fn shared(&self) -> Result<(), String> {
        Ok(())
    }

    #[sandboxed(deadline_ms = 60_000)]
    async fn unique(&mut self, count: u32) -> Result<u32, String> {
        *self = Client;
        Ok(count)
    }

    #[sandboxed]
    async fn moved(&mut self, text: String) -> Result<usize, String> {
        let moved = async move {
            *self = Client;
            text.len()
        };
        Ok(moved.await)
    }

    #[sandboxed(breaker(window = 10, failure_rate = 0.5))]
    async fn owned(self: Arc<Self>) -> Result<u32, String> {
        Ok(Arc::strong_count(&self).try_into().unwrap_or(0))
    }
}

/// Of every kind.
#[derive(Debug, thiserror::Error, ErrorVerdict)]
pub enum FetchError {
    /// The caller's fault.
    #[error("no item {number}")]
    #[verdict(ignore)]
    NoItem {
        /// Which.
        number: u32,
    },
    /// By its status.
    #[error("status {0}")]
    #[verdict(status = 0)]
    Status(u16),
    /// Not to be used any more.
    #[error("old")]
    #[deprecated]
    Old,
    /// By its source.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Fails.
///
/// # Errors
///
/// Always.
#[sandboxed]
pub async fn fetch(number: u32) -> Result<u32, FetchError> {
    Err(FetchError::NoItem { number })
}

#[tokio::test]
async fn they_work_as_well() {
    assert_eq!(search("a".into(), 1, (2, 3)).await, Ok("a-2".into()));
    assert_eq!(cancelled(CancellationToken::new(), &mut Vec::new()).await, Ok(1));
    assert_eq!(text(1).await, "1");
    nothing().await;
    assert!(matches!(fetch(1).await, Err(FetchError::NoItem { number: 1 })));
    assert_eq!(boxed("text").await, Ok(()));
    assert_eq!(Client.shared().await, Ok(()));
    assert_eq!(Client.unique(1).await, Ok(1));
    assert_eq!(Client.moved("text".into()).await, Ok(4));
    assert_eq!(once("a".into(), "b".into(), 1).await, Ok(1));
    assert_eq!(with_items(1).await, Ok(4));
    assert_eq!(returned("a".into()).await, Ok("a! 2".into()));
    assert_eq!(returned_and_retried("a".into()).await, Ok("a! 2".into()));
    assert!(
        Arc::new(Client).owned().await.is_ok_and(|count| count > 1),
        "an attempt has a clone"
    );
}
