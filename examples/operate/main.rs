//! A service whose tools are seen and switched while it runs: by a page, by HTTP, and by a settings file.
//!
//! Six agents call four tools all the time. What the tools depend on is played by the program, and has outages by a seed:
//!
//! - `search`: its index is down for some seconds every some seconds, and answers 503. The breaker opens after five calls that
//!   failed, and closes when a probe finds the index well again.
//! - `fetch`: the site hangs in its outages. Calls time out, and the breaker opens when half of the last 20 failed. Some of the
//!   pages do not exist: that is the caller's fault, and no failure of the tool.
//! - `summarise`: one request in six finds the model busy. The call is retried, and nearly always succeeds.
//! - `keep_note`: works, and is not run again when that could keep a note twice.
//!
//! ```text
//! cargo run -p sandbox-examples --features operate --example operate -- --port 4000 --seed 7 --settings settings.toml
//! ```
//!
//! All arguments may be left out; without a port, or with port 0, the system chooses a free one. The first two lines are the
//! address of the page and the token that switching needs, which is another one at each start. Everybody on this machine can
//! read, whoever has the token can switch, and nobody else can do anything:
//!
//! ```text
//! AUTH="authorization: Bearer $TOKEN"
//! curl localhost:4000/tools
//! curl localhost:4000/metrics
//! curl localhost:4000/tools/search/disable -H "$AUTH" -d '{"reason": "the index moves", "for_ms": 60000}'
//! curl localhost:4000/tools/search/enable -H "$AUTH" -X POST    # also `open`, `reset`, `shadow`, `unshadow`
//! ```
//!
//! Watch the page while breakers open and close, switch a tool off, and change a limit in the settings file:
//!
//! ```toml
//! version = 1
//!
//! [tool.search]
//! timeout_ms = 200
//! ```

mod http;
mod settings;

use std::env;
use std::error::Error;
use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use fastrand::Rng;
use metrics_exporter_prometheus::PrometheusBuilder;
use sandbox_runtime::observe::{metrics::metrics, observe};
use sandbox_runtime::{ErrorVerdict, SandboxError, sandboxed};
use tokio::time::{interval, sleep};

// ---- The tools ------------------------------------------------------------------------------------------------------

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum ToolError {
    #[error("there is no page {0}")]
    #[verdict(ignore)]
    NoPage(u32),
    #[error("the index answered {0}")]
    #[verdict(status = 0)]
    Status(u16),
    #[error("the model is busy")]
    #[verdict(retry, safe)]
    Busy,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

#[sandboxed(
    timeout_ms = 400,
    max_retries = 1,
    backoff_base_ms = 50,
    breaker(threshold = 5, cooldown_ms = 1_500)
)]
async fn search(words: &str) -> Result<Vec<u32>, ToolError> {
    sleep(Duration::from_millis(15)).await;
    if INDEX.is_down.load(Relaxed) {
        return Err(ToolError::Status(503));
    }
    let first = u32::try_from(words.len()).unwrap_or(u32::MAX);
    Ok(vec![first, first / 2])
}

#[sandboxed(
    timeout_ms = 300,
    max_retries = 1,
    breaker(window = 20, failure_rate = 0.5, cooldown_ms = 2_000)
)]
async fn fetch(page: u32) -> Result<String, ToolError> {
    sleep(Duration::from_millis(25)).await;
    if SITE.is_down.load(Relaxed) {
        pending::<()>().await;
    }
    if page.is_multiple_of(9) {
        return Err(ToolError::NoPage(page));
    }
    Ok(format!("what page {page} says"))
}

#[sandboxed(timeout_ms = 500, max_retries = 3, backoff_base_ms = 30, jitter = full)]
async fn summarise(text: &str) -> Result<String, ToolError> {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    sleep(Duration::from_millis(40)).await;
    if REQUESTS.fetch_add(1, Relaxed) % 6 == 5 {
        return Err(ToolError::Busy);
    }
    Ok(format!("in short: {text}"))
}

#[sandboxed(timeout_ms = 1_000, idempotent = false)]
async fn keep_note(notes: &mut Vec<String>, note: String) -> Result<usize, ToolError> {
    sleep(Duration::from_millis(5)).await;
    notes.push(note);
    Ok(notes.len())
}

// ---- What they depend on --------------------------------------------------------------------------------------------

static INDEX: Dependency = Dependency::new();
static SITE: Dependency = Dependency::new();

struct Dependency {
    is_down: AtomicBool,
}

impl Dependency {
    const fn new() -> Dependency {
        let is_down = AtomicBool::new(false);
        Dependency { is_down }
    }

    async fn have_outages(&self, mut rng: Rng) {
        loop {
            sleep(Duration::from_millis(rng.u64(4_000..9_000))).await;
            self.is_down.store(true, Relaxed);
            sleep(Duration::from_millis(rng.u64(1_500..3_500))).await;
            self.is_down.store(false, Relaxed);
        }
    }
}

// ---- The load -------------------------------------------------------------------------------------------------------

/// Goes on without what it does not get. A model would read why.
async fn agent(mut rng: Rng) {
    loop {
        let mut notes = Vec::new();
        let known = vec![rng.u32(0..20)];
        for page in search("the tides of Lisbon").await.unwrap_or(known) {
            let Ok(text) = fetch(page + rng.u32(0..8)).await else {
                continue;
            };
            if let Ok(note) = summarise(&text).await {
                let _ = keep_note(&mut notes, note).await;
            }
        }
        sleep(Duration::from_millis(rng.u64(50..250))).await;
    }
}

fn begin_load(seed: u64) {
    let mut seeds = Rng::with_seed(seed);
    tokio::spawn(INDEX.have_outages(seeds.fork()));
    tokio::spawn(SITE.have_outages(seeds.fork()));
    for _ in 0..6 {
        tokio::spawn(agent(seeds.fork()));
    }
}

// ---- The program ----------------------------------------------------------------------------------------------------

/// Of the histograms, in seconds: those that OpenTelemetry's conventions have for the calls of tools.
const BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

#[derive(Default)]
struct Arguments {
    port: u16,
    seed: u64,
    settings: Option<PathBuf>,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments = Arguments::default();
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_default();
            let wrong = || format!("`{name}` does not take `{value}`; give a number");
            match name.as_str() {
                "--port" => arguments.port = value.parse().map_err(|_| wrong())?,
                "--seed" => arguments.seed = value.parse().map_err(|_| wrong())?,
                "--settings" => arguments.settings = Some(value.into()),
                _ => {
                    return Err(format!(
                        "unknown argument `{name}`; there are `--port`, `--seed` and `--settings`"
                    ));
                }
            }
        }
        Ok(arguments)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read(env::args().skip(1))?;

    // Before the first call, so that all are counted and measured.
    let exporter = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    observe(metrics()).forever();
    begin_load(arguments.seed);
    if let Some(file) = arguments.settings {
        tokio::spawn(settings::watch(file));
    }

    let kept = exporter.clone();
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            // What was measured would otherwise be kept one by one until somebody asks for the metrics.
            kept.run_upkeep();
        }
    });
    http::serve(arguments.port, exporter).await?;
    Ok(())
}
