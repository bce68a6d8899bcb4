//! The tool's own errors come back as they are, and everyday error types need nothing written.

use sandbox_runtime::{SandboxError, sandboxed};

#[derive(Debug, PartialEq, thiserror::Error)]
enum SearchError {
    #[error("nothing found for {0}")]
    NotFound(String),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

type SearchResult<T> = Result<T, SearchError>;

#[sandboxed(timeout_ms = 50, backoff_base_ms = 0, breaker(threshold = 1_000))]
async fn search(query: String, hang: bool) -> SearchResult<()> {
    if hang {
        std::future::pending::<()>().await;
    }
    Err(SearchError::NotFound(query))
}

#[tokio::test(start_paused = true)]
async fn a_type_of_the_tools_own_behind_an_alias() {
    assert_eq!(search("a".into(), false).await, Err(SearchError::NotFound("a".into())));
    let timeout = SandboxError::Timeout {
        elapsed_ms: 50,
        limit_ms: 50,
    };
    assert_eq!(search("a".into(), true).await, Err(SearchError::Sandbox(timeout)));
}

macro_rules! hangs {
    ($name:ident, $error:ty) => {
        #[sandboxed(timeout_ms = 50, max_retries = 0)]
        async fn $name() -> Result<(), $error> {
            std::future::pending().await
        }
    };
}

hangs!(string, String);
hangs!(io, std::io::Error);
hangs!(any, anyhow::Error);
hangs!(boxed, Box<dyn std::error::Error>);
hangs!(boxed_send, Box<dyn std::error::Error + Send + Sync>);

#[tokio::test(start_paused = true)]
async fn everyday_error_types_work_as_they_are() {
    const TEXT: &str = "timed out: no answer within 50 ms";
    let for_a_model = string().await.unwrap_err();
    assert!(
        for_a_model.starts_with("`string` timed out after 50 ms. "),
        "{}",
        for_a_model
    );
    let error = io().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (std::io::ErrorKind::TimedOut, TEXT)
    );
    let error = any().await.unwrap_err();
    let inner = error.downcast_ref();
    assert!(inner.is_some_and(SandboxError::is_timeout), "{:?}", error);
    assert_eq!(boxed().await.unwrap_err().to_string(), TEXT);
    assert_eq!(boxed_send().await.unwrap_err().to_string(), TEXT);
}
