use sandbox_runtime::{CircuitBreaker, KeyedBreakers, sandboxed};

static HOSTS: KeyedBreakers<String> = KeyedBreakers::new(100, CircuitBreaker::new(5));

#[sandboxed(breaker = HOSTS.of(&port))]
async fn connect(port: u16) -> Result<u16, String> {
    Ok(port)
}

fn main() {
    let _ = connect(80);
}
