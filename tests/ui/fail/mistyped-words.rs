use sandbox_runtime::sandboxed;

#[sandboxed(jitter = half, idempotent = maybe, name = search, crate = 5, breaker(failure_rate = 1.5, window = 65))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
