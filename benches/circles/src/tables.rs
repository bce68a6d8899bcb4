//! Which settings are compared, in which trouble?

use crate::agent::Temper;
use crate::dependency::Trouble;
use crate::figures::{Column, DONE, FUTILE, LOST, MOST_FUTILE, REQUESTS};
use crate::measure;
use crate::server::{Guard, Setup};

/// What the rows are called, and what is around the tool in each.
const SETUPS: [(&str, Setup); 6] = [
    ("rmcp alone", setup(Guard::Nothing, false, false)),
    (
        "**defaults**: `timeout_ms = 5_000`",
        setup(Guard::Defaults, false, false),
    ),
    ("+ withdrawn, repeats refused", setup(Guard::Defaults, true, true)),
    (
        "**attempts**: `timeout_ms = 5_000`, `breaker(threshold = 3, count = attempts)`",
        setup(Guard::CountsAttempts, false, false),
    ),
    ("+ withdrawn", setup(Guard::CountsAttempts, true, false)),
    ("+ withdrawn, repeats refused", setup(Guard::CountsAttempts, true, true)),
];

const fn setup(guard: Guard, withdraws: bool, refuses: bool) -> Setup {
    Setup {
        guard,
        withdraws,
        refuses,
    }
}

/// All tables. Their first lines differ.
pub(crate) fn all(seed: u64) -> [String; 5] {
    [
        ("dead: it hangs", Trouble::Hangs),
        ("dead: it refuses", Trouble::Refuses),
        ("flapping", Trouble::Flaps),
        ("half dead", Trouble::FailsByHalf),
        ("well, and asked for what it does not have", Trouble::HasNothing),
    ]
    .map(|(title, trouble)| table(title, trouble, seed))
}

fn table(title: &str, trouble: Trouble, seed: u64) -> String {
    let mut columns: Vec<Column> = vec![FUTILE, MOST_FUTILE, LOST, REQUESTS];
    if matches!(trouble, Trouble::Flaps | Trouble::FailsByHalf) {
        columns.insert(0, DONE);
    }
    let titles = |of: &str| {
        let (first, others) = columns.split_first().expect("there are columns");
        let others = others.iter().map(|(title, _)| (*title).to_owned());
        let titles = std::iter::once(format!("{of}: {}", first.0)).chain(others);
        titles.collect::<Vec<_>>().join(" | ")
    };
    let head = format!(
        "| {title} | {} | {} |\n",
        titles("it heeds words"),
        titles("it insists")
    );
    let rule = format!("|---|{}\n", "--:|".repeat(2 * columns.len()));
    // No breaker opens for what is the caller's fault, so that none of their rows would differ.
    let rows = match trouble {
        Trouble::HasNothing => vec![SETUPS[0], SETUPS[3], SETUPS[5]],
        _ => SETUPS.to_vec(),
    };
    let lines = rows.into_iter().map(|(label, setup)| {
        let cells = [Temper::Heeds, Temper::Insists].map(|temper| {
            let figures = measure(setup, trouble, temper, seed);
            let cells = columns.iter().map(|(_, cell)| cell(&figures));
            cells.collect::<Vec<_>>().join(" | ")
        });
        format!("| {label} | {} |\n", cells.join(" | "))
    });
    head + &rule + &lines.collect::<String>()
}
