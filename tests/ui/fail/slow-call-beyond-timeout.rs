use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = 5_000, breaker(slow_call_ms = 5_000))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
