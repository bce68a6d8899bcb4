#[sandboxed(max_retries = 1, breaker = off)]
async fn append(&mut self, entry: String) -> Result<(), String> {
    self.log.write(entry).await
}
