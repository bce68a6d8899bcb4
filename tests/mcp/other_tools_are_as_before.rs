//! A tool that does not return a type of rmcp behaves as it did before its program had a server: an unknown part of its return
//! type is not taken for a type of rmcp.

use std::fmt::Display;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sandbox_runtime::{SandboxError, sandboxed};

/// An error that can hold a failure of the engine, and that neither displays nor is known to rmcp.
#[derive(Debug, PartialEq)]
enum Own {
    Early,
    Sandbox(SandboxError),
}

impl From<SandboxError> for Own {
    fn from(error: SandboxError) -> Self {
        Own::Sandbox(error)
    }
}

#[sandboxed(backoff_base_ms = 0)]
async fn own(attempts: &AtomicU32) -> Result<u32, Own> {
    match attempts.fetch_add(1, Relaxed) {
        0 => Err(Own::Early),
        _ => Ok(1),
    }
}

#[sandboxed(backoff_base_ms = 0)]
async fn generic<T: Clone, E: From<SandboxError>>(value: T, attempts: &AtomicU32) -> Result<T, E> {
    match attempts.fetch_add(1, Relaxed) {
        0 => Err(SandboxError::Cancelled.into()),
        _ => Ok(value),
    }
}

#[sandboxed(backoff_base_ms = 0)]
async fn opaque(attempts: &AtomicU32) -> Result<impl Iterator<Item = u32>, String> {
    match attempts.fetch_add(1, Relaxed) {
        0 => Err("early".to_owned()),
        _ => Ok(0..3),
    }
}

#[sandboxed(timeout_ms = 100, max_retries = 0, on_failure = |failure| failure.to_string())]
async fn nothing_but_opaque() -> impl Display {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn whatever_they_return() {
    assert_eq!(own(&AtomicU32::new(0)).await, Ok(1));
    assert_eq!(generic::<_, Own>("value", &AtomicU32::new(0)).await, Ok("value"));
    assert_eq!(opaque(&AtomicU32::new(0)).await.unwrap().sum::<u32>(), 3);
    assert_eq!(
        nothing_but_opaque().await.to_string(),
        "`nothing_but_opaque` timed out after 100 ms"
    );
}
