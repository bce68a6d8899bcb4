use sandbox_runtime::{Verdict, sandboxed};

#[sandboxed(is_error = retry)]
async fn text(query: String) -> Result<String, String> {
    Ok(query)
}

#[sandboxed(is_error = retry, classify = |_| Verdict::Success)]
async fn both(query: String) -> Result<String, String> {
    Ok(query)
}

#[sandboxed(is_error = true)]
async fn neither(query: String) -> Result<String, String> {
    Ok(query)
}

#[sandboxed(is_error)]
async fn bare(query: String) -> Result<String, String> {
    Ok(query)
}

fn main() {}
