//! `cargo bench -p sandbox-benches`: every scenario, as Markdown on standard output and in `docs/`. Without cargo's
//! `--bench`, as in `cargo test --benches`, it runs everything once, in short, and writes nothing.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

mod contended;
mod document;
mod observing;
mod scenarios;
mod targets;

use std::process::Command;
use std::time::Duration;

use sandbox_benches::measure::{Effort, Row};
use sandbox_benches::{flight, report, spread, svg};

use observing::Observing;

/// How many calls are in flight at a time, and how many breakers calls are spread over.
const FLIGHTS: [u64; 3] = [1, 1_000, 100_000];
const BREAKERS: [u64; 3] = [1, 100, 10_000];

/// All that is measured. The first row of each scenario is the bare call.
struct Measured {
    ready: Vec<Row>,
    pending: Vec<Row>,
    ready_in_a_loop: Vec<Row>,
    pending_in_a_loop: Vec<Row>,
    failing: Vec<Row>,
    refused: Vec<Row>,
    retried: Vec<Row>,
    alone: Vec<Row>,
    contended: Vec<(String, Row, Row)>,
    flights: [Vec<Row>; 3],
    flight_bytes: String,
    spread: [Vec<Row>; 3],
    breaker_bytes: String,
    observing: Observing,
}

fn measure(effort: Effort) -> Measured {
    let fewer = |times| Effort {
        rounds: effort.rounds.div_ceil(times),
        ..effort
    };
    Measured {
        ready: scenarios::ready_at_once(effort),
        pending: scenarios::pending_once(effort),
        ready_in_a_loop: scenarios::ready_in_a_loop(effort),
        pending_in_a_loop: scenarios::pending_in_a_loop(effort),
        failing: scenarios::failing_without_retry(effort),
        refused: scenarios::refused_by_an_open_breaker(effort),
        retried: scenarios::retried_once(fewer(3)),
        alone: scenarios::breaker_alone(effort),
        contended: contended::two_threads(effort),
        flights: [
            flight::times(effort, FLIGHTS[0]),
            flight::times(fewer(3), FLIGHTS[1]),
            flight::times(fewer(8), FLIGHTS[2]),
        ],
        flight_bytes: bytes("calls", FLIGHTS),
        spread: BREAKERS.map(|count| spread::times(fewer(3), count)),
        breaker_bytes: bytes("breakers", BREAKERS),
        observing: observing::measure(effort),
    }
}

/// What the program `bytes` prints of so many calls or breakers.
fn bytes(what: &str, counts: [u64; 3]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bytes"))
        .arg(what)
        .args(counts.map(|count| count.to_string()))
        .output()
        .expect("cargo has built it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn plot(header: &str, measured: &Measured) -> String {
    let panels = [
        ("Ready at once", &measured.ready[..]),
        ("Pending once", &measured.pending[..]),
        ("Ready at once, awaited in a loop", &measured.ready_in_a_loop[..]),
        ("Pending once, awaited in a loop", &measured.pending_in_a_loop[..]),
        ("Failing, no retry", &measured.failing[..]),
        ("Refused by an open breaker", &measured.refused[..]),
        ("Retried once, no delay", &measured.retried[..]),
    ];
    svg::plot(header, &panels)
}

fn main() {
    let writes = std::env::args().any(|argument| argument == "--bench");
    let (rounds, millis) = if writes { (60, 4) } else { (1, 1) };
    let measured = measure(Effort {
        rounds,
        turn: Duration::from_millis(millis),
    });
    let header = report::header();
    let text = document::text(&header, &measured, rounds);
    println!("{text}");
    let plot = plot(&header, &measured);
    if writes {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
        std::fs::create_dir_all(docs).expect("the folder can be made");
        std::fs::write(format!("{docs}/performance-table.md"), text).expect("the table can be written");
        std::fs::write(format!("{docs}/overhead.svg"), plot).expect("the plot can be written");
    }
}
