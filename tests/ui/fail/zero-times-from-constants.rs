use sandbox_runtime::sandboxed;

const NONE_MS: u64 = 0;

#[sandboxed(breaker(slow_call_ms = NONE_MS))]
async fn never_quick() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker(forget_ms = NONE_MS))]
async fn forgetful() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = (never_quick(), forgetful());
}
