//! A tool within a durable step of Restate. Retries belong to one of the two: here to Restate, whose retries outlive the process, so the
//! attribute has `max_retries = 0`. It keeps the time limit of an attempt, and the breaker: while that is open, a step that is tried
//! again is refused at once, and asks nothing of the dependency.
//!
//! ```sh
//! cargo run -p sandbox-examples --features durable --example durable
//! restate deployments register http://localhost:9080 # beside a server of Restate
//! ```

#![allow(missing_docs, reason = "Restate's attribute makes public functions without")]

use std::time::Duration;

use restate_sdk::prelude::*;
use sandbox_runtime::{ErrorVerdict, SandboxError, sandboxed};

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum ChargeError {
    #[error("{0:?} is not an order")]
    #[verdict(ignore)] // the caller's fault: no mark on the breaker
    NoOrder(String),
    #[error("the bank does not answer")]
    BankDown,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl ChargeError {
    /// What Restate makes of it: the caller's fault ends the invocation, and everything else is tried again later, also a refusal.
    fn of_step(self) -> HandlerError {
        match self {
            ChargeError::NoOrder(_) => TerminalError::new_with_code(400, self.to_string()).into(),
            ChargeError::BankDown | ChargeError::Sandbox(_) => self.into(),
        }
    }
}

/// Charges by a bank that answers for every second order only.
#[sandboxed(timeout_ms = 5_000, max_retries = 0)]
async fn charge(order: &str) -> Result<String, ChargeError> {
    let number: u32 = order.parse().map_err(|_| ChargeError::NoOrder(order.to_owned()))?;
    match number % 2 {
        0 => Ok(format!("receipt of order {number}")),
        _ => Err(ChargeError::BankDown),
    }
}

struct Shop;

#[service]
impl Shop {
    #[handler]
    async fn buy(&self, context: Context<'_>, order: String) -> Result<String, HandlerError> {
        // From seconds on, not from milliseconds: what is refused by an open breaker is so for its cooldown.
        let patient = RunRetryPolicy::new()
            .initial_delay(Duration::from_secs(1))
            .exponentiation_factor(2.0)
            .max_delay(Duration::from_secs(60));
        let step = context.run(|| async move { charge(&order).await.map_err(ChargeError::of_step) });
        Ok(step.name("charge").retry_policy(patient).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), std::net::AddrParseError> {
    let endpoint = Endpoint::builder().bind(Shop).build();
    HttpServer::new(endpoint)
        .listen_and_serve("127.0.0.1:9080".parse()?)
        .await;
    Ok(())
}
