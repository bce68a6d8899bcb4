#![deny(warnings, missing_docs, unused, future_incompatible, nonstandard_style)]
#![deny(clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]
//! A crate under strict lints.

use sandbox_runtime::sandboxed;

/// Finds.
///
/// # Errors
///
/// Never.
#[sandboxed(timeout_ms = 5_000, max_retries = 1, backoff_base_ms = 10, breaker(threshold = 3, cooldown_ms = 500))]
pub async fn search(mut query: String, _limit: u32, (from, _): (u32, u32)) -> Result<String, String> {
    query.push_str(&from.to_string());
    Ok(query)
}

fn main() {
    drop(search(String::new(), 1, (2, 3)));
}
