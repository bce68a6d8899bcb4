use sandbox_runtime::sandboxed;

#[sandboxed(max_retries = 0, jitter = full)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
