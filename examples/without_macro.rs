//! The engine without the attribute: a tool with most settings of a policy and of a breaker.
//!
//! ```text
//! cargo run -p sandbox-examples --example without_macro
//! ```
//!
//! Watch how the delay that the dependency asks for replaces the backoff, how the caller's mistake leaves no mark on the
//! breaker, and what is known about a call that times out. The exit code is 1 if a call did not end as it should.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sandbox_runtime::{CircuitBreaker, Failure, Jitter, Policy, Tool, Verdict, execute_with_controls};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(200))
    .max_retries(3)
    .backoff_base(Duration::from_millis(20))
    .backoff_max(Duration::from_millis(150))
    .jitter(Jitter::Equal)
    .deadline(Duration::from_secs(2));

static PRICES: CircuitBreaker = CircuitBreaker::windowed(10, 0.5)
    .cooldown(Duration::from_secs(5))
    .cooldown_max(Duration::from_secs(60));

#[derive(Debug)]
enum PriceError {
    UnknownSymbol(String),
    Busy { retry_after: Duration },
    Sandbox(Failure),
}

/// What the service's answers mean for the call and for the breaker.
fn verdict(answer: &Result<f64, PriceError>) -> Verdict {
    match answer {
        Ok(_) => Verdict::Success,
        Err(PriceError::Busy { retry_after }) => Verdict::Retry {
            after: Some(*retry_after),
        },
        // The caller's mistake: the service is healthy, and another attempt would end the same.
        Err(PriceError::UnknownSymbol(_)) => Verdict::Ignore,
        Err(PriceError::Sandbox(_)) => Verdict::Fail,
    }
}

/// The tool. The engine does not have to clone anything: each attempt borrows what it needs.
async fn price(symbol: &str, exchange: &Exchange) -> Result<f64, PriceError> {
    let tool = Tool::new("price", || exchange.ask(symbol))
        .classify(verdict)
        .on_failure(|failure| Err(PriceError::Sandbox(failure)));
    execute_with_controls(&POLICY, &PRICES, tool).await
}

/// Stands for a service with a rate limit.
struct Exchange {
    busy: Cell<u32>,
}

impl Exchange {
    async fn ask(&self, symbol: &str) -> Result<f64, PriceError> {
        match symbol {
            "RUST" if self.busy.get() > 0 => {
                self.busy.set(self.busy.get() - 1);
                Err(PriceError::Busy {
                    retry_after: Duration::from_millis(100),
                })
            }
            "RUST" => Ok(1.95),
            "SLOW" => std::future::pending().await,
            unknown => Err(PriceError::UnknownSymbol(unknown.to_owned())),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let exchange = Exchange { busy: Cell::new(2) };
    let mut as_it_should = true;
    for symbol in ["RUST", "COBOL", "SLOW"] {
        let start = Instant::now();
        let answer = price(symbol, &exchange).await;
        let elapsed = start.elapsed().as_millis();
        println!(
            "{symbol:6} {elapsed:4} ms  breaker {}, {} failures  ",
            PRICES.state(),
            PRICES.failure_count()
        );
        as_it_should &= match (symbol, answer) {
            ("RUST", Ok(price)) => {
                println!("       {price}, after two waits of 100 ms that the exchange asked for");
                elapsed >= 200
            }
            ("COBOL", Err(PriceError::UnknownSymbol(symbol))) => {
                println!("       no such symbol: {symbol}; retries mended the errors before it");
                PRICES.failure_count() == 0
            }
            ("SLOW", Err(PriceError::Sandbox(failure))) => {
                println!("       {failure}");
                println!("       {}", serde_json::to_string(&failure).unwrap_or_default());
                failure.attempts == 4
            }
            (_, other) => {
                eprintln!("{symbol} ended with {other:?}");
                false
            }
        };
    }
    if as_it_should {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
