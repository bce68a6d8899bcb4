use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = 0)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
