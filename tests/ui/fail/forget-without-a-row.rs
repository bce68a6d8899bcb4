use sandbox_runtime::sandboxed;

#[sandboxed(breaker(threshold = 1, forget_ms = 60_000))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
