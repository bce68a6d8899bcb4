use sandbox_runtime::sandboxed;

#[sandboxed(cancel = token)]
async fn search(token: u32) -> Result<u32, String> {
    Ok(token)
}

fn main() {
    let _ = search(1);
}
