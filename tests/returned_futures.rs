//! Functions that are not `async` but return a future are sandboxed as well: their whole body is run for every attempt.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use sandbox_runtime::sandboxed;

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn boxed<'a>(
    attempts: &'a AtomicU32,
    mut text: String,
) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
    text.push('!');
    if attempts.load(Ordering::Relaxed) == 0 {
        attempts.fetch_add(1, Ordering::Relaxed);
        return Box::pin(async { Err("first".into()) });
    }
    Box::pin(async move {
        tokio::task::yield_now().await;
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt < 3 { Err("again".into()) } else { Ok(text) }
    })
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn alias(attempts: &AtomicU32) -> BoxFuture<'_, Result<u32, std::io::Error>> {
    Box::pin(async move {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt < 3 {
            Err(std::io::Error::other("again"))?;
        }
        Ok(attempt)
    })
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn local(attempts: &Cell<u32>) -> LocalBoxFuture<'_, Result<u32, String>> {
    Box::pin(async move {
        attempts.set(attempts.get() + 1);
        if attempts.get() < 3 {
            Err("again".into())
        } else {
            Ok(attempts.get())
        }
    })
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn opaque<'a>(attempts: &'a AtomicU32, text: &'a str) -> impl Future<Output = Result<usize, String>> + Send + 'a {
    let length = text.len();
    async move {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt < 3 {
            Err("again".to_owned())
        } else {
            Ok(length)
        }
    }
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn lent(attempts: &mut u32) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send + '_>> {
    *attempts += 1;
    Box::pin(async move {
        if *attempts < 3 {
            Err("again".into())
        } else {
            Ok(*attempts)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn each_attempt_runs_the_whole_body() {
    assert_eq!(boxed(&AtomicU32::new(0), "text".into()).await, Ok("text!".into()));
    assert_eq!(alias(&AtomicU32::new(0)).await.unwrap(), 3);
    assert_eq!(local(&Cell::new(0)).await, Ok(3));
    assert_eq!(opaque(&AtomicU32::new(0), "four").await, Ok(4));
    assert_eq!(lent(&mut 0).await, Ok(3));
}

#[sandboxed(max_retries = 0)]
async fn returns_opaque(limit: u32) -> Result<impl Iterator<Item = u32>, String> {
    Ok((0..limit).map(|number| number * 2))
}

#[tokio::test(start_paused = true)]
async fn what_is_returned_may_be_opaque() {
    assert_eq!(returns_opaque(3).await.unwrap().collect::<Vec<_>>(), [0, 2, 4]);
}
