use sandbox_runtime::sandboxed;

const SLOW_MS: u64 = 3_000;

#[sandboxed(timeout_ms = 2_000, breaker(slow_call_ms = SLOW_MS))]
async fn search() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker(slow_call_ms = 40_000))]
async fn beside_the_default() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = (search(), beside_the_default());
}
