#[sandboxed(breaker(threshold = 3, cooldown_ms = 1_000))]
async fn fetch(&self) -> std::io::Result<Page> {
    self.client.get().await?.parse()
}
