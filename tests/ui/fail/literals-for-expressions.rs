use sandbox_runtime::sandboxed;

#[sandboxed(breaker = 5, retry_if = true, cancel = "token")]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
