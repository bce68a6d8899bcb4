use sandbox_runtime::sandboxed;

const DEADLINE_MS: u64 = 20_000;

#[sandboxed(timeout_ms = 30_000, deadline_ms = DEADLINE_MS)]
async fn given() -> Result<(), String> {
    Ok(())
}

#[sandboxed(deadline_ms = 20_000)]
async fn by_default() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = (given(), by_default());
}
