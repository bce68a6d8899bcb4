use sandbox_runtime::sandboxed;

#[sandboxed(
    retry = 3,
    max_attempts = 3,
    backoff = 100,
    delay_ms = 100,
    backoff_factor = 2,
    circuit_breaker = 5,
    breaker_threshold = 5,
    on_error = handle,
    fallback = handle,
    max_concurrency = 4,
    rate_limit = 10,
    breaker(failure_threshold = 3, reset_timeout = 30)
)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
