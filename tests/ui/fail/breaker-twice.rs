use sandbox_runtime::sandboxed;

#[sandboxed(breaker = off, breaker(threshold = 5))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
