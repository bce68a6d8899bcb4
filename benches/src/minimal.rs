//! The least that does the job: one counter for a breaker, a timer made for every
//! attempt.
//!
//! Each attempt is refused when the counter has reached the threshold. Else the tool runs in `tokio::time::timeout`. A
//! success stores 0. A failure adds 1, and a retry follows after `base · 2^(n-1)`.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::contestants::{CallError, Settings};

/// The minimal engine's breaker.
#[derive(Debug)]
pub struct Counter {
    failures: AtomicU32,
    threshold: u32,
}

impl Counter {
    /// A breaker that opens at `threshold` failures in a row and stays open.
    #[must_use]
    pub const fn new(threshold: u32) -> Self {
        Counter {
            failures: AtomicU32::new(0),
            threshold,
        }
    }
}

/// The minimal engine.
///
/// # Errors
///
/// The last attempt's, or that the breaker is open.
pub async fn execute<F, A, T>(settings: &Settings, breaker: &Counter, tool: F) -> Result<T, CallError>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, String>>,
{
    let mut attempt = 0;
    loop {
        if breaker.failures.load(Ordering::Relaxed) >= breaker.threshold {
            return Err(CallError::Open);
        }
        let error = match tokio::time::timeout(settings.timeout, tool()).await {
            Ok(Ok(value)) => {
                breaker.failures.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Ok(Err(error)) => CallError::Tool(error),
            Err(_) => CallError::Timeout,
        };
        breaker.failures.fetch_add(1, Ordering::Relaxed);
        attempt += 1;
        if attempt > settings.max_retries {
            return Err(error);
        }
        let factor = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        tokio::time::sleep(settings.base.saturating_mul(factor)).await;
    }
}
