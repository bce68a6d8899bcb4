use sandbox_runtime::{Policy, sandboxed};

#[sandboxed(policy = Policy::new(), timeout_ms = 5_000, jitter = full)]
async fn search() -> Result<(), String> {
    Ok(())
}

#[sandboxed(policy = 5)]
async fn literal() -> Result<(), String> {
    Ok(())
}

#[sandboxed(name = search)]
async fn named() -> Result<(), String> {
    Ok(())
}


fn main() {
    let _ = (search(), literal(), named());
}
