use sandbox_runtime::sandboxed;
use std::time::Duration;

#[sandboxed(jitter = "full", idempotent, breaker = "off", retry_if = "is_transient")]
async fn quoted() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker = false)]
async fn without_breaker() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker = none)]
async fn none() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker = 3)]
async fn number() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker(3))]
async fn number_in_parentheses() -> Result<(), String> {
    Ok(())
}

#[sandboxed(timeout_ms = Duration::from_secs(5), deadline_ms = off)]
async fn durations() -> Result<(), String> {
    Ok(())
}

#[sandboxed(timeout_ms = std::env::var("TIMEOUT").unwrap())]
async fn from_the_environment() -> Result<(), String> {
    Ok(())
}

struct Client {
    limit: u64,
}

impl Client {
    #[sandboxed(timeout_ms = self.limit, breaker(threshold = self.limit))]
    async fn from_the_instance(&self) -> Result<u64, String> {
        Ok(self.limit)
    }
}

#[sandboxed(timeout_ms = limit, max_retries = 1)]
async fn from_an_argument(limit: u64) -> Result<u64, String> {
    Ok(limit)
}

fn main() {}
