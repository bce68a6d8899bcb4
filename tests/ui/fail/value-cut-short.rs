use sandbox_runtime::sandboxed;

#[sandboxed(timeout_ms = 5 +)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
