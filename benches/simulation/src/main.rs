//! `cargo run -p sandbox-simulation`: fifty agents and a dependency that fails for 30 s, as Markdown tables.
//!
//! The figures of `docs/operating.md` come from here. Nothing takes real time: the clock is tokio's, and goes on when everybody
//! waits. With the same seed, every figure is the same; another one can be given: `cargo run -p sandbox-simulation -- 8`.

#![allow(clippy::expect_used, reason = "a simulation that cannot go on stops")]

mod agent;
mod columns;
mod dependency;
mod figures;
mod random;
mod tables;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::agent::{Guard, Pace, World, agent};
use crate::dependency::{Dependency, Trouble};
use crate::figures::Figures;

/// The first of those of the page.
const SEED: u64 = 1;
/// How many simulations a row is the mean of: when an outage finds a breaker's cooldown over is a matter of luck.
const SEEDS: u64 = 5;
const AGENTS: u64 = 50;
const LASTS: Duration = Duration::from_secs(150);

/// Lets the agents call the dependency in this trouble, once for each seed, and tells how that went.
fn simulate(guard: impl Fn() -> Guard, trouble: Trouble, pace: Pace, first_seed: u64) -> Figures {
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SEEDS)
            .map(|number| (guard(), first_seed.wrapping_add(number)))
            .map(|(guard, seed)| scope.spawn(move || simulate_once(guard, trouble, pace, seed)))
            .collect();
        let all = threads.into_iter().map(|thread| thread.join().expect("it has figures"));
        all.collect::<Vec<_>>()
    });
    Figures::mean(&all)
}

fn simulate_once(guard: Guard, trouble: Trouble, pace: Pace, seed: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("it needs nothing of the system").block_on(async {
        let world = Arc::new(World {
            began: Instant::now(),
            dependency: Dependency::new(trouble, seed),
            pace,
            guard,
            calls: Mutex::default(),
        });
        let mut agents: JoinSet<()> = (1..=AGENTS)
            .map(|number| agent(Arc::clone(&world), seed.wrapping_mul(1_000).wrapping_add(number)))
            .collect();
        sleep(LASTS).await;
        agents.shutdown().await;
        let calls = world.calls.lock().unwrap_or_else(PoisonError::into_inner);
        Figures::of(&world.dependency.requests(), &calls, LASTS)
    })
}

fn main() -> ExitCode {
    let first_seed = match std::env::args().nth(1).map(|seed| seed.parse()) {
        None => SEED,
        Some(Ok(seed)) => seed,
        Some(Err(_)) => {
            eprintln!("the seed is a whole number");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", tables::all(first_seed).join("\n"));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");

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
                "docs/operating.md has old figures; run this test with BLESS=1"
            );
        }
    }
}
