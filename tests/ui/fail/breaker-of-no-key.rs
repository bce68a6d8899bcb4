use sandbox_runtime::{CircuitBreaker, KeyedBreakers, sandboxed};

static HOSTS: KeyedBreakers<String> = KeyedBreakers::new(100, CircuitBreaker::new(5));

#[sandboxed(breaker = HOSTS)]
async fn fetch(host: String) -> Result<String, String> {
    Ok(host)
}

#[sandboxed(breaker = &HOSTS)]
async fn fetch_by_reference(host: String) -> Result<String, String> {
    Ok(host)
}

fn main() {
    let _ = (fetch(String::new()), fetch_by_reference(String::new()));
}
