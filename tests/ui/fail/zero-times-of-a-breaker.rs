use sandbox_runtime::sandboxed;

#[sandboxed(breaker(slow_call_ms = 0, forget_ms = 0))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
