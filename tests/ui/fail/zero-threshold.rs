use sandbox_runtime::sandboxed;

#[sandboxed(breaker(threshold = 0))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
