//! Tests that cross both crates.

#[sandbox_runtime::sandboxed]
async fn listed_in_a_library() -> Result<(), String> {
    Ok(())
}
