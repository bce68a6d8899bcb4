#[sandboxed(timeout_ms = 5_000, max_retries = 2, backoff_base_ms = 100)]
pub async fn search(query: String, limit: usize) -> Result<Vec<Hit>, SearchError> {
    index().find(&query, limit).await
}
