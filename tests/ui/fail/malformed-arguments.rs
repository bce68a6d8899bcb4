use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms, max_retries =, 5, breaker = 3, backoff_base_ms(1))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
