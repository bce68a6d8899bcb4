use sandbox_runtime::sandboxed;

fn limits() -> (u64, u32) {
    (5_000, 2)
}

#[sandboxed(policy = limits())]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
