use sandbox_runtime::sandboxed;

const TIMEOUT: u64 = 0;

#[sandboxed(max_retries = 1, timeout_ms = TIMEOUT)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
