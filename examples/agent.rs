//! An agent's tools, made safe by one line each.
//!
//! An agent calls three tools, which use real sockets and real files. The example itself starts the HTTP service that they
//! need, on a free port of this machine. The service fails by script:
//!
//! - `weather`: the service answers 503 twice, then works. The call is retried and succeeds.
//! - `read_page`: reads a file or a web page. If the file is missing, the agent gets the tool's own error, unchanged.
//! - `report`: the service hangs. The call times out and the breaker opens; further calls are refused at once, without a
//!   request. After the cooldown, one attempt passes as a probe. It succeeds, and the breaker closes.
//!
//! ```text
//! cargo run -p sandbox-examples --example agent
//! cargo run -p sandbox-examples --example agent -- http://127.0.0.1:8000/    # a page of your own, with `read_page`
//! ```
//!
//! Watch the number of attempts, which the tools count themselves, the time that a refused call takes, and the breakers. The
//! last lines are what the agent passes to its model. The exit code is 1 if a call did not end as scripted, or if your page
//! could not be read.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::{StatusCode, Uri, body::Bytes, http::uri::InvalidUri};
use hyper_util::client::legacy::{self, Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use sandbox_runtime::{BreakerState, CircuitBreaker, ErrorVerdict, SandboxError, ToolExecutionResult, sandboxed};
use serde_json::Value;
use thiserror::Error;

// ---- The tools ------------------------------------------------------------------------------------------------------

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

struct Tools {
    client: Client<HttpConnector, Empty<Bytes>>,
    service: SocketAddr,
    /// The attempts of the call under way: this agent makes one call at a time.
    attempts: AtomicU32,
}

/// A missing page stays missing, and does not mean that the disk or a server is unhealthy.
#[derive(Debug, Error, ErrorVerdict)]
enum ToolError {
    #[error("cannot read the file `{0}`: {1}")]
    #[verdict(source = 1)]
    File(String, std::io::Error),
    #[error("not a URL: {0}")]
    #[verdict(ignore)]
    Url(#[from] InvalidUri),
    #[error("no TLS in this example: give an http:// URL, or build its client with a connector such as hyper-rustls")]
    #[verdict(ignore)]
    Tls,
    #[error("no answer: {}", root_cause(.0))]
    NoAnswer(#[from] legacy::Error),
    #[error("the service answered {0}")]
    #[verdict(status = 0)]
    Status(StatusCode),
    #[error("the answer broke off: {}", root_cause(.0))]
    Incomplete(#[from] hyper::Error),
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("there is no tool `{0}`")]
    NoTool(String),
    /// Holds a failure of the engine: the only variant that a sandboxed tool needs.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Tools {
    #[sandboxed(timeout_ms = 3_000, max_retries = 2, backoff_base_ms = 50, breaker = &WEATHER)]
    async fn weather(&self, city: &str) -> Result<Value, ToolError> {
        self.count_attempt();
        self.ask(&format!("/weather/{city}")).await
    }

    #[sandboxed(timeout_ms = 3_000, max_retries = 2, backoff_base_ms = 50, breaker = &PAGES)]
    async fn read_page(&self, name: &str) -> Result<String, ToolError> {
        self.count_attempt();
        let page = if name.contains("://") {
            self.get(name).await?
        } else {
            let read = tokio::fs::read(format!("{FOLDER}/{name}")).await;
            read.map_err(|error| ToolError::File(name.to_owned(), error))?
        };
        // A model's context is small.
        Ok(String::from_utf8_lossy(&page).chars().take(120).collect())
    }

    #[sandboxed(timeout_ms = 300, max_retries = 1, breaker = &REPORTS)]
    async fn report(&self, month: &str) -> Result<Value, ToolError> {
        self.count_attempt();
        self.ask(&format!("/reports/{month}")).await
    }

    /// The tools count for themselves, so that the output does not depend on the engine. `ToolExecutionResult::of` reports the
    /// count of the engine.
    fn count_attempt(&self) {
        self.attempts.fetch_add(1, Relaxed);
    }

    async fn ask(&self, path: &str) -> Result<Value, ToolError> {
        let answer = self.get(&format!("http://{}{path}", self.service)).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, ToolError> {
        let url: Uri = url.parse()?;
        if url.scheme_str() == Some("https") {
            return Err(ToolError::Tls);
        }
        let response = self.client.get(url).await?;
        if !response.status().is_success() {
            return Err(ToolError::Status(response.status()));
        }
        Ok(response.into_body().collect().await?.to_bytes().into())
    }
}

// Without `breaker = ..`, every tool has a breaker inside it. These stand outside, so that the agent can show their state.
static WEATHER: CircuitBreaker = CircuitBreaker::new(5);
static PAGES: CircuitBreaker = CircuitBreaker::new(5);
static REPORTS: CircuitBreaker = CircuitBreaker::new(2).cooldown(Duration::from_millis(1_000));

/// The HTTP client's errors have their cause at the end of their chain.
fn root_cause(error: &dyn Error) -> &dyn Error {
    error.source().map_or(error, root_cause)
}

// ---- The agent ------------------------------------------------------------------------------------------------------

struct Agent {
    tools: Tools,
    /// What the model gets.
    results: Vec<ToolExecutionResult>,
    failed: bool,
}

#[derive(Debug, PartialEq)]
enum Ending {
    Answered,
    FileError,
    OtherError,
    TimedOut,
    Refused,
}

impl Agent {
    /// Calls a tool by its name, as a model asks for it, and prints how the call ended.
    async fn call(&mut self, tool: &str, argument: &str) -> Result<Value, ToolError> {
        let tools = &self.tools;
        tools.attempts.store(0, Relaxed);
        let started = Instant::now();
        let result = match tool {
            "weather" => tools.weather(argument).await,
            "read_page" => tools.read_page(argument).await.map(Value::from),
            "report" => tools.report(argument).await,
            _ => Err(ToolError::NoTool(tool.to_owned())),
        };
        let elapsed = format!("{} ms", started.elapsed().as_millis());
        let attempts = tools.attempts.load(Relaxed);
        let breaker = match tool {
            "weather" => WEATHER.state().to_string(),
            "read_page" => PAGES.state().to_string(),
            _ => REPORTS.state().to_string(),
        };
        let error = result.as_ref().err().map(ToString::to_string);
        let outcome = error.as_deref().unwrap_or("answered");
        print_row([tool, &attempts.to_string(), &elapsed, &breaker, argument, outcome]);
        self.results.push(ToolExecutionResult {
            success: result.is_ok(),
            attempts,
            output: result.as_ref().ok().cloned(),
            error,
        });
        result
    }

    /// Makes a call and checks that it ends as scripted.
    async fn play(&mut self, tool: &str, argument: &str, attempts: u32, ending: Ending) {
        let result = self.call(tool, argument).await;
        let ended = match &result {
            Ok(_) => Ending::Answered,
            Err(ToolError::File(..)) => Ending::FileError,
            Err(ToolError::Sandbox(SandboxError::Timeout { .. })) => Ending::TimedOut,
            Err(ToolError::Sandbox(SandboxError::CircuitBreakerOpen { .. })) => Ending::Refused,
            Err(_) => Ending::OtherError,
        };
        let made = self.tools.attempts.load(Relaxed);
        let script = format!("`{tool}` {ending:?} (attempts: {attempts}), got: {ended:?} (attempts: {made})");
        self.check(ended == ending && made == attempts, &script);
    }

    fn check(&mut self, as_scripted: bool, script: &str) {
        if !as_scripted {
            eprintln!("NOT AS SCRIPTED, expected: {script}");
            self.failed = true;
        }
    }

    async fn play_all(&mut self) {
        println!("\nThe weather service answers 503 twice, then works: the call is retried and succeeds.");
        self.play("weather", "Lisbon", 3, Ending::Answered).await;

        println!("\nA page is read from disk. A missing one is the tool's own error.");
        self.play("read_page", "agent.rs", 1, Ending::Answered).await;
        self.play("read_page", "missing.md", 1, Ending::FileError).await;

        println!("\nThe report service hangs: both attempts time out, and the breaker opens.");
        self.play("report", "march", 2, Ending::TimedOut).await;

        println!(
            "\nThe open breaker refuses at once, without an attempt or a delay. Its error states when to try again."
        );
        self.play("report", "march", 0, Ending::Refused).await;
        self.play("report", "march", 0, Ending::Refused).await;

        service::REPORTS_WORK.store(true, Relaxed);
        if let BreakerState::Open { retry_after } = REPORTS.state() {
            tokio::time::sleep(retry_after).await;
        }
        let state = REPORTS.state();
        println!("\nThe service works again, and after the cooldown the breaker is {state}: a probe closes it.");
        self.play("report", "march", 1, Ending::Answered).await;
        let closed = REPORTS.state() == BreakerState::Closed;
        self.check(closed, "a closed breaker for `report`");
    }
}

fn print_row([tool, attempts, elapsed, breaker, argument, outcome]: [&str; 6]) {
    println!("  {tool:<10} {attempts:<9} {elapsed:<8} {breaker:<15} {argument:<11} {outcome}");
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut agent = Agent {
        tools: Tools {
            client: Client::builder(TokioExecutor::new()).build_http(),
            service: service::start().await?,
            attempts: AtomicU32::new(0),
        },
        results: Vec::new(),
        failed: false,
    };
    print_row(["tool", "attempts", "elapsed", "breaker", "argument", "outcome"]);
    match std::env::args().nth(1) {
        Some(page) => agent.failed = agent.call("read_page", &page).await.is_err(),
        None => agent.play_all().await,
    }
    println!("\nWhat the model gets:");
    for result in &agent.results {
        println!("  {}", serde_json::to_string(result)?);
    }
    Ok(ExitCode::from(u8::from(agent.failed)))
}

// ---- The service, with its faults -----------------------------------------------------------------------------------

mod service {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

    use axum::extract::Path;
    use axum::{Router, http::StatusCode, routing::get};
    use serde_json::json;
    use tokio::net::TcpListener;

    static WEATHER_REQUESTS: AtomicU32 = AtomicU32::new(0);
    pub(super) static REPORTS_WORK: AtomicBool = AtomicBool::new(false);

    pub(super) async fn start() -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/weather/{city}", get(weather))
            .route("/reports/{month}", get(report));
        tokio::spawn(async { axum::serve(listener, routes).await });
        Ok(address)
    }

    async fn weather(Path(city): Path<String>) -> Result<String, StatusCode> {
        if WEATHER_REQUESTS.fetch_add(1, Relaxed) < 2 {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(json!({ "city": city, "celsius": 21 }).to_string())
    }

    async fn report(Path(month): Path<String>) -> String {
        if !REPORTS_WORK.load(Relaxed) {
            std::future::pending::<()>().await;
        }
        json!({ "month": month, "visitors": 1_024 }).to_string()
    }
}
