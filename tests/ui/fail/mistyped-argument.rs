use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = "5s", max_retries = true, backoff_base_ms = 0.5, breaker(threshold = -1))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
