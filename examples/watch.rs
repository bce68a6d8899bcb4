//! See what runs: a log, a table and traces of tools that are healthy, flaky, hanging or called with mistakes.
//!
//! Four agents call four tools for four seconds:
//!
//! - `weather`: every fifth request is answered with 503. The call is retried, and nearly always succeeds.
//! - `report`: after the first second, the service hangs. The breaker opens, and further calls are refused.
//! - `search` and `find_order`: are healthy, but the agents ask for an order that does not exist.
//!
//! ```text
//! cargo run -p sandbox-examples --features tracing --example watch
//! cargo run -p sandbox-examples --features tracing --example watch 2>log    # the tables and stories alone
//! ```
//!
//! Watch how short the log is: what was retried and succeeded, was refused, or was the caller's mistake is not in it. Watch the
//! breakers and the last failures in the table. At the end, three calls are looked up in the traces, and their stories told.
//! The program panics if one of them is missing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sandbox_runtime::observe::{observe, tracing::Spans};
use sandbox_runtime::{ErrorVerdict, SandboxError, sandboxed, tool, tools};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, debug, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, fmt::time::uptime, layer::Context, prelude::*};

// ---- The tools ------------------------------------------------------------------------------------------------------

static WEATHER_REQUESTS: AtomicU32 = AtomicU32::new(0);
static REPORTS_HANG: AtomicBool = AtomicBool::new(false);

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum ToolError {
    #[error("there is no order {0}")]
    #[verdict(ignore)]
    NoOrder(u32),
    #[error("the service is overloaded")]
    Overloaded,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

#[sandboxed(timeout_ms = 1_000, max_retries = 2, backoff_base_ms = 30)]
async fn weather(city: &str) -> Result<String, ToolError> {
    sleep(Duration::from_millis(15)).await;
    if WEATHER_REQUESTS.fetch_add(1, Relaxed) % 5 == 4 {
        debug!(city, "the service answers 503");
        return Err(ToolError::Overloaded);
    }
    Ok(format!("21 degrees in {city}"))
}

#[sandboxed(timeout_ms = 250, max_retries = 1, breaker(threshold = 3, cooldown_ms = 2_000))]
async fn report(month: &str) -> Result<String, ToolError> {
    sleep(Duration::from_millis(10)).await;
    if REPORTS_HANG.load(Relaxed) {
        std::future::pending::<()>().await;
    }
    Ok(format!("1024 visitors in {month}"))
}

#[sandboxed(timeout_ms = 1_000)]
async fn search(query: &str) -> Result<String, ToolError> {
    sleep(Duration::from_millis(5)).await;
    Ok(format!("a page about {query}"))
}

#[sandboxed(timeout_ms = 1_000)]
async fn find_order(number: u32) -> Result<String, ToolError> {
    sleep(Duration::from_millis(5)).await;
    Err(ToolError::NoOrder(number))
}

/// A model would read how the calls end. Here only those who watch do.
async fn agent(end: Instant) {
    while Instant::now() < end {
        let _ = weather("Lisbon").await;
        let _ = report("March").await;
        let _ = search("tides").await;
        let _ = find_order(7).await;
    }
}

// ---- The traces -----------------------------------------------------------------------------------------------------

/// The spans that have ended, by `gen_ai.tool.call.id`: here in memory, in production at a service that collects traces.
static TRACES: Mutex<BTreeMap<String, Trace>> = Mutex::new(BTreeMap::new());

struct Trace {
    began: Instant,
    fields: BTreeMap<&'static str, String>,
    events: Vec<String>,
}

impl Visit for Trace {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

struct KeepTraces;

impl Layer<Registry> for KeepTraces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Registry>) {
        let (began, fields, events) = (Instant::now(), BTreeMap::new(), Vec::new());
        let mut trace = Trace { began, fields, events };
        attributes.record(&mut trace);
        context.span(id).unwrap().extensions_mut().insert(trace);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, Registry>) {
        let span = context.span(id).unwrap();
        record.record(span.extensions_mut().get_mut::<Trace>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, Registry>) {
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let trace: &mut Trace = extensions.get_mut().unwrap();
        let mut line = format!("{:4} ms", trace.began.elapsed().as_millis());
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| match field.name() {
            "message" => line += &format!("  {value:?}"),
            name => line += &format!("  {name}={value:?}"),
        });
        trace.events.push(line);
    }

    fn on_close(&self, id: Id, context: Context<'_, Registry>) {
        let trace: Trace = context.span(&id).unwrap().extensions_mut().remove().unwrap();
        if let Some(call_id) = trace.fields.get("gen_ai.tool.call.id") {
            TRACES.lock().unwrap().insert(call_id.clone(), trace);
        }
    }
}

fn tell(title: &str, call: Option<&Trace>) {
    println!("{title}:");
    let call = call.expect("there is no such call in the traces");
    for (name, value) in &call.fields {
        println!("  {name} = {value}");
    }
    println!("  {}\n", call.events.join("\n  "));
}

// ---- The program ----------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() {
    let log = tracing_subscriber::fmt::layer().compact().with_timer(uptime());
    let log = log.with_writer(std::io::stderr).with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(KeepTraces).with(log).init();
    observe(Spans::new()).forever();

    // Before the first call, because the first table begins the counts.
    println!("{}", tools());
    let end = Instant::now() + Duration::from_secs(4);
    let agents: Vec<_> = (0..4).map(|_| tokio::spawn(agent(end))).collect();
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        println!("{}", tools());
        REPORTS_HANG.store(true, Relaxed);
    }
    for agent in agents {
        agent.await.expect("an agent has panicked");
    }
    println!("{}", tools());

    let traces = TRACES.lock().unwrap();
    let last_call = |tool: &str, messages: &[&str]| {
        let has_event = |call: &Trace, message| call.events.iter().any(|event| event.contains(message));
        let calls = traces.values().filter(|call| call.fields["gen_ai.tool.name"] == tool);
        let calls = calls.filter(|call| messages.iter().all(|message| has_event(call, message)));
        calls.max_by_key(|call| call.began)
    };
    let retried = last_call("weather", &["attempt is retried", "attempt succeeded"]);
    tell("The last call of `weather` that was retried and succeeded", retried);
    let refused = last_call("report", &["call refused"]);
    tell("The last call of `report` that was refused", refused);

    let report = tool("report").unwrap().status();
    let change = report.breaker.unwrap().last_change.expect("no breaker has changed");
    println!("The last change of its breaker:\n  {change}\n");
    let failure = report.last_failure.expect("no call has failed");
    let failed = traces.get(&failure.call_id.to_string());
    tell("The last call of `report` that failed", failed);
}
