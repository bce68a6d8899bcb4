#[sandboxed(
    timeout_ms = config::TIMEOUT,
    max_retries = 3,
    backoff_base_ms = 100,
    backoff_max_ms = 2_000,
    deadline_ms = 20_000,
    jitter = equal,
    idempotent = false,
    classify = verdict,
    on_failure = |failure| Answer::from(failure),
    breaker = self.breakers.of(&host),
    name = "get",
    cancel = token,
    crate = crate::sandbox,
)]
async fn get(&self, host: String, token: CancellationToken) -> Answer {
    self.ask(host).await
}
