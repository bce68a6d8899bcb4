//! Tests that cross both crates.

#[sandbox_runtime::sandboxed]
#[expect(dead_code, reason = "it is listed all the same")]
async fn listed_in_a_library() -> Result<(), String> {
    Ok(())
}
