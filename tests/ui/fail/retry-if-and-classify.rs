use sandbox_runtime::sandboxed;

#[sandboxed(retry_if = |_| true, classify = |_| sandbox_runtime::Verdict::Success)]
async fn search() -> Result<(), String> {
    Ok(())
}

#[sandboxed(ignore_if = |_| true, classify = |_| sandbox_runtime::Verdict::Success)]
async fn find() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
    let _ = find();
}
