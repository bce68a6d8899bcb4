use sandbox_runtime::sandboxed;

#[sandboxed(breaker(threshold = 5, window = 20, failure_rate = 0.5))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
