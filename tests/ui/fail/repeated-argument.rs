use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = 1, max_retries = 1, timeout_ms = 2, breaker(threshold = 1, threshold = 2))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
