//! The contestants, with what they tell about calls switched on.

use sandbox_benches::contestants::{self, Answer, CallError, Settings};
use sandbox_benches::measure::{Tally, at_once, clocked, repeat, runtime};
use sandbox_benches::{ours, tools};
use sandbox_runtime::observe::metrics::metrics;
use sandbox_runtime::observe::opentelemetry::instruments;
use sandbox_runtime::observe::tracing::Spans;
use sandbox_runtime::observe::{Event, ObservedTool, Observer, observe};
use sandbox_runtime::{Overrides, sandboxed};
use seatbelt::ResilienceContext;
use tracing::Level;

use crate::listeners;

/// Makes so many calls and says how many nanoseconds they took together.
pub(crate) type Turn = Box<dyn FnMut(u64) -> f64>;

ours!(ready, tools::ready, Settings::STANDARD);
ours!(other, tools::ready, Settings::STANDARD);

#[sandboxed(max_concurrent = 8)]
async fn among_eight(argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

/// More than can be made.
#[sandboxed(rate(calls = 1_000_000_000, per_ms = 10_000))]
async fn at_a_rate(argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

#[sandboxed]
async fn lent(argument: &mut u64) -> Result<u64, String> {
    tools::ready(*argument).await
}

#[sandboxed(max_concurrent = 8)]
async fn lent_among_eight(argument: &mut u64) -> Result<u64, String> {
    tools::ready(*argument).await
}

/// Settings of an operator for a tool.
fn set(tool: &str, settings: &str) {
    let tool = format!("observed::contestants::{tool}");
    let overrides = format!(r#"{{ "version": 1, "tool": {{ "{tool}": {settings} }} }}"#);
    let overrides: Overrides = serde_json::from_str(&overrides).expect("these are settings");
    overrides.apply().expect("they make sense");
}

/// Wants to know of no tool.
struct Uninterested;

impl Observer for Uninterested {
    fn wants(&self, _: &ObservedTool) -> bool {
        false
    }

    fn on_event(&self, _: &Event<'_>) {
        listeners::tell();
    }
}

pub(crate) fn ours(attached: &str) -> Turn {
    match attached {
        "nothing" => {}
        "recorded" => return recorded(1, ready_turn()),
        "an observer that wants no tool" => observe(Uninterested).forever(),
        "`Spans`, no subscriber" => observe(Spans::new()).forever(),
        "`Spans`, a subscriber that drops" => {
            listeners::subscribe(Level::INFO);
            observe(Spans::new()).forever();
        }
        "`metrics()`, no recorder" => observe(metrics()).forever(),
        "`metrics()`, a recorder that drops" => {
            listeners::install_recorder();
            observe(metrics()).forever();
        }
        "`instruments()`, the no-op meter" => observe(instruments(&listeners::no_meter())).forever(),
        "`instruments()`, a meter that drops" => observe(instruments(&listeners::meter())).forever(),
        "settings of an operator for another tool" => set("other::by_attribute", r#"{ "timeout_ms": 20000 }"#),
        "settings of an operator" => set("ready::by_attribute", r#"{ "timeout_ms": 20000 }"#),
        "eight at a time, by an operator" => set("ready::by_attribute", r#"{ "max_concurrent": 8 }"#),
        "eight at a time, by the attribute" => return turn(|| among_eight),
        "a rate, by an operator" => set(
            "ready::by_attribute",
            r#"{ "rate": { "calls": 1000000000, "per_ms": 10000 } }"#,
        ),
        "a rate, by the attribute" => return turn(|| at_a_rate),
        _ => panic!("ours has no {attached}"),
    }
    ready_turn()
}

/// The same where attempts borrow what they work with.
pub(crate) fn ours_lent(attached: &str) -> Turn {
    match attached {
        "nothing, arguments lent" => {}
        "eight at a time, by an operator, arguments lent" => set("lent", r#"{ "max_concurrent": 8 }"#),
        "eight at a time, by the attribute, arguments lent" => {
            return turn(|| async |mut argument| lent_among_eight(&mut argument).await);
        }
        _ => panic!("ours has no {attached}"),
    }
    turn(|| async |mut argument| lent(&mut argument).await)
}

/// One for all that may be attached, so that the code of the calls is the same.
fn ready_turn() -> Turn {
    turn(|| ready::by_attribute)
}

/// Calls of one recorded tool, by so many threads at once.
pub(crate) fn recorded_by(threads: &str) -> Turn {
    let threads = threads.parse().expect("it is a number");
    let turn = move |calls| at_once("recorded", threads, calls, &|| ready::by_attribute);
    recorded(threads as u64, Box::new(turn))
}

/// Lets the program record, and asserts that it does.
fn recorded(threads: u64, mut turn: Turn) -> Turn {
    let counted = || {
        let tool = sandbox_runtime::tool("observed::contestants::ready::by_attribute");
        tool.expect("it is annotated").status().counters.calls
    };
    Box::new(move |calls| {
        let before = counted();
        let nanos = turn(calls);
        assert_eq!(counted() - before, threads * calls);
        nanos
    })
}

pub(crate) fn seatbelt(attached: &str) -> Turn {
    let context: fn() -> SeatbeltContext = match attached {
        "nothing, built with metrics and logs" => || ResilienceContext::new(tick::Clock::new_tokio()),
        "metrics and logs, a meter and a subscriber that drop" => {
            listeners::subscribe(Level::INFO);
            assert_seatbelt_tells_of_retries();
            seatbelt_that_tells
        }
        _ => panic!("seatbelt has no {attached}"),
    };
    turn(move || contestants::seatbelt_in(context(), tools::ready, Settings::STANDARD))
}

type SeatbeltContext = ResilienceContext<u64, Result<u64, CallError>>;

fn seatbelt_that_tells() -> SeatbeltContext {
    let context = ResilienceContext::new(tick::Clock::new_tokio());
    context.use_metrics(&listeners::Meters).use_logs()
}

/// It tells nothing of the calls that are measured, and would not if nothing were attached.
fn assert_seatbelt_tells_of_retries() {
    let runtime = runtime();
    let call = {
        let _inside = runtime.enter();
        contestants::seatbelt_in(seatbelt_that_tells(), tools::failing, Settings::AT_ONCE)
    };
    let before = listeners::told();
    assert!(runtime.block_on(call(0)).is_err());
    // Each attempt, once to each of the two.
    assert_eq!(listeners::told() - before, 6);
}

pub(crate) fn tower(attached: &str) -> Turn {
    match attached {
        "nothing, built with metrics and tracing" => {}
        "metrics, a recorder that drops" => listeners::install_recorder(),
        "tracing, a subscriber that drops, at INFO" => listeners::subscribe(Level::INFO),
        "tracing, a subscriber that drops, at DEBUG" => listeners::subscribe(Level::DEBUG),
        _ => panic!("tower-resilience has no {attached}"),
    }
    turn(|| contestants::tower_one(contestants::tower_service(tools::ready, Settings::STANDARD)))
}

/// Calls one after the other, of what `make` makes in a runtime.
fn turn<F, R>(make: impl FnOnce() -> F) -> Turn
where
    F: AsyncFnMut(u64) -> R + 'static,
    R: Answer,
{
    let runtime = runtime();
    let mut call = {
        let _inside = runtime.enter();
        make()
    };
    Box::new(move |calls| {
        let (nanos, tally) = runtime.block_on(clocked(repeat(&mut call, calls)));
        assert_eq!(tally, Tally::all(calls));
        nanos
    })
}
