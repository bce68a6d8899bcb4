//! `cargo run -p sandbox-circles`: a scripted agent and tools that do not work, over a client and a server of rmcp, as Markdown.
//!
//! The figures of `docs/agents.md` come from here. Nothing takes real time: the clock is tokio's, and goes on when everybody
//! waits. With the same seed, every figure is the same; another one can be given: `cargo run -p sandbox-circles -- 8`.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on stops")]

mod agent;
mod client;
mod dependency;
mod figures;
mod server;
mod tables;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use sandbox_runtime::tools;

use crate::agent::{Agent, Temper};
use crate::client::Client;
use crate::dependency::{Dependency, Trouble};
use crate::figures::Figures;
use crate::server::Setup;

/// That of the page.
const SEED: u64 = 1;

/// Lets an agent do its jobs with a server, one after another, over one connection.
fn measure(setup: Setup, trouble: Trouble, temper: Temper, seed: u64) -> Figures {
    // The breakers of the tools are those of the process: one after another.
    static BREAKERS: Mutex<()> = Mutex::new(());
    let _breakers = BREAKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("it needs nothing of the system").block_on(async {
        tools().reset();
        let dependency = Arc::new(Dependency::new(trouble, seed));
        let client = Client::of(setup, Arc::clone(&dependency)).await;
        let jobs = Agent::new(client, temper, seed).work().await;
        Figures::of(&jobs, dependency.requests())
    })
}

fn main() -> ExitCode {
    let seed = match std::env::args().nth(1).map(|seed| seed.parse()) {
        None => SEED,
        Some(Ok(seed)) => seed,
        Some(Err(_)) => {
            eprintln!("the seed is a whole number");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", tables::all(seed).join("\n"));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Guard;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/agents.md");

    const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

    /// With a breaker that one call can open, and a list from which the tool is withdrawn.
    #[test]
    fn a_dead_tool_costs_a_job_one_futile_round_at_most() {
        let setup = |withdraws, refuses| Setup {
            guard: Guard::CountsAttempts,
            withdraws,
            refuses,
        };
        for trouble in [Trouble::Hangs, Trouble::Refuses] {
            for temper in [Temper::Heeds, Temper::Insists] {
                for seed in SEEDS {
                    for refuses in [false, true] {
                        let figures = measure(setup(true, refuses), trouble, temper, seed);
                        let case = format!("{trouble:?}, {temper:?}, repeats refused: {refuses}, seed {seed}");
                        assert_eq!(figures.most_futile, 1, "{case}: {figures:?}");
                    }
                }
            }
        }
        let listed = measure(setup(false, true), Trouble::Refuses, Temper::Insists, SEED);
        assert_eq!(
            listed.most_futile,
            agent::ROUNDS,
            "as long as it is listed it is called"
        );
    }

    /// The page with a table in place of the one that has the same first line.
    fn with_table(page: &str, table: &str) -> String {
        let title = table.lines().next().expect("a table has lines");
        let (before, rest) = page
            .split_once(title)
            .unwrap_or_else(|| panic!("the page has no table {title}"));
        let (_, after) = rest.split_once("\n\n").expect("text follows the table");
        format!("{before}{table}\n{after}")
    }

    #[test]
    fn the_page_has_what_is_printed() {
        let tables = tables::all(SEED);
        let page = std::fs::read_to_string(PATH).expect("the page is there");
        let expected = tables.iter().fold(page.clone(), |page, table| with_table(&page, table));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(PATH, &expected).expect("the page can be written");
        } else {
            assert_eq!(
                page, expected,
                "docs/agents.md has old figures; run this test with BLESS=1"
            );
        }
    }
}
