#![deny(warnings)]

use sandbox_runtime::sandboxed;

#[sandboxed]
async fn never_used(unused: u32, mut not_mutated: u32) -> Result<u32, String> {
    Ok(not_mutated)
}

fn main() {}
