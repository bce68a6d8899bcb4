use sandbox_runtime::sandboxed;

#[sandboxed(backoff_max_ms = 100)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
