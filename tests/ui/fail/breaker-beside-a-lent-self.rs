use sandbox_runtime::{CircuitBreaker, sandboxed};

struct Log {
    lines: Vec<String>,
    breaker: CircuitBreaker,
}

impl Log {
    fn push(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    #[sandboxed(breaker = &self.breaker)]
    async fn add(&mut self, line: &str) -> Result<(), String> {
        self.push(line);
        Ok(())
    }
}

fn main() {}
