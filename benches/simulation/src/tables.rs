//! Which settings are compared, in which trouble?

use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Counting, Policy};

use crate::agent::{Guard, Pace};
use crate::columns::{
    BUSIEST_SECOND, BUSIEST_TENTH, Column, FAILED, HEALS, HEALS_AT_WORST, IN_OUTAGE, MEAN_WAIT, REFUSED, REQUESTS,
    RETRIES, RETRIES_AT_ONCE, SUCCEEDED, WORST_WAIT, line, table, table_of,
};
use crate::dependency::Trouble;
use crate::simulate;

/// Twice what 99 of 100 answers of the dependency take.
const TIMEOUT: &str = "timeout_ms = 2_000";
const COOLDOWN: Duration = Duration::from_secs(5);
const FULL_JITTER: &str = "jitter = \"full\"";
const EQUAL_JITTER: &str = "jitter = \"equal\"";
/// As many as the dependency works on.
const MAX_CONCURRENT: &str = "max_concurrent = 10";
const RATE: &str = "rate = { calls = 30, per_ms = 1_000 }";
const BUDGET: Option<u32> = Some(3);

/// What is around each call of a row; made for each simulation, because a breaker remembers.
type MakeGuard = Box<dyn Fn() -> Guard>;

type MakeBreaker = fn() -> CircuitBreaker;

/// These settings, as an operator writes them, and this breaker.
fn sandboxed(settings: &[&str], breaker: MakeBreaker, retries_of_a_run: Option<u32>) -> MakeGuard {
    let policy: Policy = toml::from_str(&settings.join("\n")).expect("the settings are those of a policy");
    Box::new(move || Guard::Sandboxed {
        policy,
        breaker: breaker(),
        retries_of_a_run,
    })
}

/// These settings beside the time limit.
fn without_breaker(settings: &[&str], retries_of_a_run: Option<u32>) -> MakeGuard {
    sandboxed(
        &[&[TIMEOUT], settings].concat(),
        CircuitBreaker::disabled,
        retries_of_a_run,
    )
}

fn with_breaker(settings: &[&str], retries_of_a_run: Option<u32>) -> MakeGuard {
    let breaker = || CircuitBreaker::new(5).cooldown(COOLDOWN);
    sandboxed(&[&[TIMEOUT], settings].concat(), breaker, retries_of_a_run)
}

/// All tables. Their first lines differ.
pub(crate) fn all(first_seed: u64) -> [String; 7] {
    [
        outage("for 30 s it answers with errors", Trouble::Fails, first_seed),
        outage("for 30 s it hangs", Trouble::Hangs, first_seed),
        in_step(first_seed),
        queues(first_seed),
        concurrency(first_seed),
        breakers(first_seed),
        cooldowns(first_seed),
    ]
}

fn outage(title: &str, trouble: Trouble, first_seed: u64) -> String {
    let columns = [
        REQUESTS,
        IN_OUTAGE,
        BUSIEST_SECOND,
        SUCCEEDED,
        FAILED,
        REFUSED,
        MEAN_WAIT,
        WORST_WAIT,
        HEALS,
        HEALS_AT_WORST,
    ];
    let rows = [without_engine(), unbroken(), broken()].into_iter().flatten();
    let mut rows: Vec<_> = rows.map(|(label, guard)| (label, trouble, guard)).collect();
    let mut most = trouble;
    if trouble == Trouble::Fails {
        most = Trouble::FailsWithRetryAfter;
        rows.push((
            "+ it answers with a Retry-After of 5 s".to_owned(),
            most,
            with_breaker(&[], None),
        ));
    }
    let all = with_breaker(&[FULL_JITTER, MAX_CONCURRENT, RATE], BUDGET);
    rows.push(("all of these".to_owned(), most, all));
    let rows = rows.into_iter().map(|(label, trouble, guard)| {
        let figures = simulate(guard, trouble, Pace::Thinking, first_seed);
        (label, figures)
    });
    table_of(title, &columns, rows)
}

fn without_engine() -> Vec<(String, MakeGuard)> {
    let plain = |attempts| -> MakeGuard { Box::new(move || Guard::Plain { attempts }) };
    vec![
        ("a time limit of 2 s, no retries".to_owned(), plain(1)),
        ("the same, 3 retries after 200 ms each".to_owned(), plain(4)),
        (
            "`#[sandboxed]`, all defaults".to_owned(),
            sandboxed(&[], CircuitBreaker::default, None),
        ),
    ]
}

fn unbroken() -> Vec<(String, MakeGuard)> {
    vec![
        (
            format!("**no breaker**: `{TIMEOUT}`, `breaker = off`"),
            without_breaker(&[], None),
        ),
        (also(FULL_JITTER), without_breaker(&[FULL_JITTER], None)),
        ("+ a budget of 3 retries a run".to_owned(), without_breaker(&[], BUDGET)),
    ]
}

fn broken() -> Vec<(String, MakeGuard)> {
    vec![
        (
            format!("**breaker**: `{TIMEOUT}`, `cooldown_ms = 5_000`"),
            with_breaker(&[], None),
        ),
        (also(FULL_JITTER), with_breaker(&[FULL_JITTER], None)),
        ("+ a budget of 3 retries a run".to_owned(), with_breaker(&[], BUDGET)),
        (also(MAX_CONCURRENT), with_breaker(&[MAX_CONCURRENT], None)),
        (also(RATE), with_breaker(&[RATE], None)),
    ]
}

fn also(setting: &str) -> String {
    format!("+ `{setting}`")
}

/// Agents that call at the same moment, and what spreads their retries.
fn in_step(first_seed: u64) -> String {
    let columns = [
        IN_OUTAGE,
        RETRIES,
        RETRIES_AT_ONCE,
        FAILED,
        REFUSED,
        MEAN_WAIT,
        WORST_WAIT,
    ];
    let rows = [
        ("`breaker = off`".to_owned(), without_breaker(&[], None)),
        (also(EQUAL_JITTER), without_breaker(&[EQUAL_JITTER], None)),
        (also(FULL_JITTER), without_breaker(&[FULL_JITTER], None)),
    ];
    let rows = rows.map(|(label, guard)| (label, simulate(guard, Trouble::Fails, Pace::InStep, first_seed)));
    table_of("agents in step, it answers with errors", &columns, rows)
}

/// How long calls wait until the time for which the dependency has asked is over.
fn queues(first_seed: u64) -> String {
    let columns = [
        IN_OUTAGE,
        BUSIEST_TENTH,
        SUCCEEDED,
        FAILED,
        REFUSED,
        MEAN_WAIT,
        WORST_WAIT,
        HEALS,
        HEALS_AT_WORST,
    ];
    let rows: [&[&str]; 4] = [
        &["queue_ms = 0"],
        &["queue_ms = 2_000"],
        &["queue_ms = 6_000"],
        &["queue_ms = 6_000", "rate = { calls = 3, per_ms = 100 }"],
    ];
    let rows = rows.map(|settings| {
        let guard = with_breaker(settings, None);
        let figures = simulate(guard, Trouble::FailsWithRetryAfter, Pace::Thinking, first_seed);
        (format!("`{}`", settings.join("`, `")), figures)
    });
    table_of("it answers with errors and a Retry-After of 5 s", &columns, rows)
}

/// How many calls at a time, where it hangs.
fn concurrency(first_seed: u64) -> String {
    let columns = [
        REQUESTS,
        BUSIEST_SECOND,
        SUCCEEDED,
        FAILED,
        REFUSED,
        HEALS,
        HEALS_AT_WORST,
    ];
    let rows = [2, 5, 10, 20, 50].map(|calls| {
        let guard = with_breaker(&[&format!("max_concurrent = {calls}")], None);
        let figures = simulate(guard, Trouble::Hangs, Pace::Thinking, first_seed);
        (calls.to_string(), figures)
    });
    table_of("where it hangs: `max_concurrent`", &columns, rows)
}

/// When a breaker opens: where every fifth request fails all the time, where every second one does for 30 s, and where all do.
fn breakers(first_seed: u64) -> String {
    let titles = [
        "one in five fails, always: failed",
        "refused",
        "half fail for 30 s: failed",
        "refused",
        "all fail for 30 s: requests in it",
        "failed",
        "refused",
    ];
    const SOME: &[Column] = &[FAILED, REFUSED];
    const WHOLE: &[Column] = &[IN_OUTAGE, FAILED, REFUSED];
    let rows: [(&str, MakeBreaker); 8] = [
        ("`off`", CircuitBreaker::disabled),
        ("`threshold = 2`", || fitting(CircuitBreaker::new(2))),
        ("`threshold = 5`", || fitting(CircuitBreaker::new(5))),
        ("`threshold = 20`", || fitting(CircuitBreaker::new(20))),
        ("`threshold = 5, count = attempts`", || {
            counting_attempts(CircuitBreaker::new(5))
        }),
        ("`window = 20, failure_rate = 0.1`", || {
            fitting(CircuitBreaker::windowed(20, 0.1))
        }),
        ("`window = 20, failure_rate = 0.5`", || {
            fitting(CircuitBreaker::windowed(20, 0.5))
        }),
        ("`window = 20, failure_rate = 0.5, count = attempts`", || {
            counting_attempts(CircuitBreaker::windowed(20, 0.5))
        }),
    ];
    let lines = rows.map(|(label, breaker)| {
        let guard = sandboxed(&[TIMEOUT], breaker, None);
        let troubles = [Trouble::Flaky, Trouble::FailsByHalf, Trouble::Fails];
        let [flaky, half, whole] = troubles.map(|trouble| simulate(&guard, trouble, Pace::Thinking, first_seed));
        line(label, &[(SOME, &flaky), (SOME, &half), (WHOLE, &whole)])
    });
    table("breaker", &titles, lines)
}

fn fitting(breaker: CircuitBreaker) -> CircuitBreaker {
    breaker.cooldown(COOLDOWN)
}

fn counting_attempts(breaker: CircuitBreaker) -> CircuitBreaker {
    fitting(breaker).counting(Counting::Attempts)
}

fn cooldowns(first_seed: u64) -> String {
    let columns = [IN_OUTAGE, FAILED, REFUSED, HEALS, HEALS_AT_WORST];
    const fn cooling(seconds: u64) -> CircuitBreaker {
        CircuitBreaker::new(5).cooldown(Duration::from_secs(seconds))
    }
    let rows: [(&str, MakeBreaker); 5] = [
        ("`cooldown_ms = 1_000`", || cooling(1)),
        ("`cooldown_ms = 5_000`", || cooling(5)),
        ("`cooldown_ms = 20_000`", || cooling(20)),
        ("`cooldown_ms = 30_000`, the default", || cooling(30)),
        ("`cooldown_ms = 1_000, cooldown_max_ms = 8_000`", || {
            cooling(1).cooldown_max(Duration::from_secs(8))
        }),
    ];
    let rows = rows.map(|(label, breaker)| {
        let guard = sandboxed(&[TIMEOUT], breaker, None);
        (
            label.to_owned(),
            simulate(guard, Trouble::Fails, Pace::Thinking, first_seed),
        )
    });
    table_of("cooldown", &columns, rows)
}
