use sandbox_runtime::sandboxed;

#[tokio::main]
#[sandboxed]
async fn main() -> Result<(), String> {
    Ok(())
}
