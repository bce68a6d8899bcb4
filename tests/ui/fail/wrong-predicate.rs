use sandbox_runtime::sandboxed;

fn is_transient(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::Interrupted
}

#[sandboxed(retry_if = is_transient)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
