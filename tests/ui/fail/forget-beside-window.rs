use sandbox_runtime::sandboxed;

#[sandboxed(breaker(window = 20, failure_rate = 0.5, forget_ms = 60_000))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
