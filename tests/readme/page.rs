//! The README's first tool, and a model that asks it for files that are not there.

#![allow(clippy::unwrap_used, missing_docs)]

use sandbox_runtime::{ErrorVerdict, SandboxError, sandboxed};

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum PageError {
    #[error("{0:?} is not the name of a page")]
    #[verdict(ignore)] // the caller's fault: not retried, not counted by the breaker
    BadName(String),
    #[error("the page cannot be read: {0}")]
    File(#[from] std::io::Error), // means what the I/O error means: a missing file is the caller's fault, too
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

#[sandboxed(timeout_ms = 5_000, max_retries = 2, backoff_base_ms = 100)]
async fn read_page(path: String) -> Result<String, PageError> {
    if path.contains("..") {
        return Err(PageError::BadName(path));
    }
    let page = tokio::fs::read_to_string(path).await?; // ends the attempt, not the call
    Ok(page)
}

#[tokio::main]
async fn main() {
    println!("{:?}", read_page("Cargo.toml".to_owned()).await);
}

#[tokio::test]
async fn a_hundred_missing_pages_do_not_switch_it_off() {
    for number in 0..50 {
        let missing = read_page(format!("{}/{number}.md", env!("CARGO_MANIFEST_DIR"))).await;
        assert!(matches!(missing, Err(PageError::File(_))), "{missing:?}");
        let bad = read_page(format!("../{number}.md")).await;
        assert!(matches!(bad, Err(PageError::BadName(_))), "{bad:?}");
        let missing = read_page(format!("{number}")).await;
        assert!(matches!(missing, Err(PageError::File(_))), "{missing:?}");
    }
    let page = read_page(concat!(env!("CARGO_MANIFEST_DIR"), "/page.rs").into()).await;
    assert_eq!(page.unwrap(), include_str!("page.rs"));
}
