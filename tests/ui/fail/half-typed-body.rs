use sandbox_runtime::sandboxed;

#[sandboxed]
async fn search(query: String) -> Result<String, String> {
    let length = query.
    Ok(query)
}

fn main() {
    let _ = search(String::new());
}
