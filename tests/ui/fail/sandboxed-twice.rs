use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = 5_000)]
#[sandboxed(max_retries = 2)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
