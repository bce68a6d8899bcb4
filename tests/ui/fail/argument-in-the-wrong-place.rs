use sandbox_runtime::sandboxed;

#[sandboxed(threshold = 3, breaker(timeout_ms = 5_000))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
