use sandbox_runtime::sandboxed;

const TIMEOUT: &str = "5s";

#[sandboxed(timeout_ms = TIMEOUT, max_retries = 2u8)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
