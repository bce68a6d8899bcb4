use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = 18446744073709551616, max_retries = 4294967296)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
