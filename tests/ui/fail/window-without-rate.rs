use sandbox_runtime::sandboxed;

#[sandboxed(breaker(window = 20))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
