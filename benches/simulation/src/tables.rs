//! Which settings are compared, in which trouble?

use std::fmt::Write as _;
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Counting, Policy};

use crate::agent::{Guard, Pace};
use crate::dependency::{RETRY_AFTER, Trouble};
use crate::figures::Figures;
use crate::simulate;

/// What fits this dependency: twice what 99 of 100 of its answers take, and a probe soon.
const FITTING: &str = "timeout_ms = 2_000";
const COOLDOWN: Duration = Duration::from_secs(5);
const JITTER: &str = "jitter = \"full\"";
const EQUAL_JITTER: &str = "jitter = \"equal\"";
const MAX_CONCURRENT: &str = "max_concurrent = 10";
const RATE: &str = "rate = { calls = 30, per_ms = 1_000 }";
const RETRIES_OF_A_RUN: u32 = 3;

/// A policy, as an operator writes it.
fn policy(settings: &[&str]) -> Policy {
    toml::from_str(&settings.join("\n")).expect("the settings are those of a policy")
}

fn sandboxed(settings: &[&str], breaker: CircuitBreaker, retries_of_a_run: Option<u32>) -> Guard {
    Guard::Sandboxed {
        policy: policy(settings),
        breaker,
        retries_of_a_run,
    }
}

fn by_default() -> Guard {
    sandboxed(&[], CircuitBreaker::new(5), None)
}

fn unbroken(settings: &[&str], retries_of_a_run: Option<u32>) -> Guard {
    sandboxed(settings, CircuitBreaker::disabled(), retries_of_a_run)
}

fn broken(settings: &[&str], retries_of_a_run: Option<u32>) -> Guard {
    sandboxed(settings, CircuitBreaker::new(5).cooldown(COOLDOWN), retries_of_a_run)
}

/// All tables, in the order of the page. Their first lines differ.
pub(crate) fn all(first_seed: u64) -> Vec<String> {
    vec![
        outage("it answers with errors", Trouble::Fails, first_seed),
        outage("it hangs", Trouble::Hangs, first_seed),
        in_step(first_seed),
        queues(first_seed),
        concurrency(first_seed),
        breakers(first_seed),
        cooldowns(first_seed),
    ]
}

/// A row: what the dependency does, and what is around each call.
type Row = (String, Trouble, fn() -> Guard);

/// The rows of both kinds of outage.
fn rows(trouble: Trouble) -> Vec<Row> {
    let also = |text: &str| format!("+ `{text}`");
    let budget = || format!("+ a budget of {RETRIES_OF_A_RUN} retries a run");
    let mut rows: Vec<Row> = vec![
        ("a time limit of 2 s, no retries".to_owned(), trouble, || Guard::Plain {
            attempts: 1,
        }),
        ("the same, 3 retries after 200 ms each".to_owned(), trouble, || {
            Guard::Plain { attempts: 4 }
        }),
        ("`#[sandboxed]`, all defaults".to_owned(), trouble, by_default),
        (format!("**no breaker**: `{FITTING}`, `breaker = off`"), trouble, || {
            unbroken(&[FITTING], None)
        }),
        (also(JITTER), trouble, || unbroken(&[FITTING, JITTER], None)),
        (budget(), trouble, || unbroken(&[FITTING], Some(RETRIES_OF_A_RUN))),
        (
            format!("**breaker**: `{FITTING}`, `cooldown_ms = 5_000`"),
            trouble,
            || broken(&[FITTING], None),
        ),
        (also(JITTER), trouble, || broken(&[FITTING, JITTER], None)),
        (budget(), trouble, || broken(&[FITTING], Some(RETRIES_OF_A_RUN))),
        (also(MAX_CONCURRENT), trouble, || {
            broken(&[FITTING, MAX_CONCURRENT], None)
        }),
        (also(RATE), trouble, || broken(&[FITTING, RATE], None)),
    ];
    let mut most = trouble;
    if trouble == Trouble::Fails {
        most = Trouble::FailsWithRetryAfter;
        let text = format!("+ it answers with a Retry-After of {} s", RETRY_AFTER.as_secs());
        rows.push((text, most, || broken(&[FITTING], None)));
    }
    rows.push(("all of these".to_owned(), most, || {
        broken(&[FITTING, JITTER, MAX_CONCURRENT, RATE], Some(RETRIES_OF_A_RUN))
    }));
    rows
}

fn outage(title: &str, trouble: Trouble, first_seed: u64) -> String {
    let mut text = format!(
        "| for 30 s {title} | requests | in the outage | busiest second after it | succeeded | failed | refused | wait in the outage: \
         mean, s | worst, s | heals after: mean, s | worst, s |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for (label, trouble, guard) in rows(trouble) {
        let figures = simulate(guard, trouble, Pace::Thinking, first_seed);
        let _ = writeln!(
            text,
            "| {label} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            figures.requests,
            figures.requests_in_outage,
            figures.busiest_second,
            figures.succeeded,
            figures.failed,
            figures.refused,
            seconds(figures.mean_wait),
            seconds(figures.worst_wait),
            healing(&figures),
        );
    }
    text
}

/// Agents that call at the same moment, and what spreads their retries.
fn in_step(first_seed: u64) -> String {
    let mut text = String::from(
        "| agents in step, it answers with errors | requests in the outage | retries | most of them in 100 ms | failed | refused | \
         wait in the outage: mean, s | worst, s |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let rows: [(String, fn() -> Guard); 3] = [
        ("`breaker = off`".to_owned(), || unbroken(&[FITTING], None)),
        (format!("+ `{EQUAL_JITTER}`"), || {
            unbroken(&[FITTING, EQUAL_JITTER], None)
        }),
        (format!("+ `{JITTER}`"), || unbroken(&[FITTING, JITTER], None)),
    ];
    for (label, guard) in rows {
        let figures = simulate(guard, Trouble::Fails, Pace::InStep, first_seed);
        let _ = writeln!(
            text,
            "| {label} | {} | {} | {} | {} | {} | {} | {} |",
            figures.requests_in_outage,
            figures.retries,
            figures.retries_at_once,
            figures.failed,
            figures.refused,
            seconds(figures.mean_wait),
            seconds(figures.worst_wait),
        );
    }
    text
}

/// How long calls wait until the time for which the dependency has asked is over.
fn queues(first_seed: u64) -> String {
    let mut text = format!(
        "| it answers with errors and a Retry-After of {} s | requests in the outage | busiest 100 ms after it | succeeded | failed | \
         refused | wait in the outage: mean, s | worst, s | heals after: mean, s | worst, s |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        RETRY_AFTER.as_secs()
    );
    let rows: [&[&str]; 4] = [
        &["queue_ms = 0"],
        &["queue_ms = 2_000"],
        &["queue_ms = 6_000"],
        &["queue_ms = 6_000", "rate = { calls = 3, per_ms = 100 }"],
    ];
    for settings in rows {
        let guard = || broken(&[&[FITTING], settings].concat(), None);
        let figures = simulate(guard, Trouble::FailsWithRetryAfter, Pace::Thinking, first_seed);
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} | {} | {} |",
            settings.join("`, `"),
            figures.requests_in_outage,
            figures.busiest_tenth,
            figures.succeeded,
            figures.failed,
            figures.refused,
            seconds(figures.mean_wait),
            seconds(figures.worst_wait),
            healing(&figures),
        );
    }
    text
}

/// How many calls at a time, where it hangs.
fn concurrency(first_seed: u64) -> String {
    let mut text = String::from(
        "| where it hangs: `max_concurrent` | requests | busiest second after it | succeeded | failed | refused | heals after: mean, s | worst, s \
         |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for calls in [2, 5, 10, 20, 50] {
        let figures = simulate(
            || broken(&[FITTING, &format!("max_concurrent = {calls}")], None),
            Trouble::Hangs,
            Pace::Thinking,
            first_seed,
        );
        let _ = writeln!(
            text,
            "| {calls} | {} | {} | {} | {} | {} | {} |",
            figures.requests,
            figures.busiest_second,
            figures.succeeded,
            figures.failed,
            figures.refused,
            healing(&figures),
        );
    }
    text
}

/// When a breaker opens: where every fifth request fails all the time, where every second one does for 30 s, and where all do.
fn breakers(first_seed: u64) -> String {
    let mut text = String::from(
        "| breaker | one in five fails, always: failed | refused | half fail for 30 s: failed | refused | all fail for 30 s: \
         requests in it | failed | refused |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let rows: [(&str, fn() -> CircuitBreaker); 8] = [
        ("`off`", || CircuitBreaker::disabled()),
        ("`threshold = 2`", || CircuitBreaker::new(2)),
        ("`threshold = 5`", || CircuitBreaker::new(5)),
        ("`threshold = 20`", || CircuitBreaker::new(20)),
        ("`threshold = 5, count = attempts`", || {
            CircuitBreaker::new(5).counting(Counting::Attempts)
        }),
        ("`window = 20, failure_rate = 0.1`", || {
            CircuitBreaker::windowed(20, 0.1)
        }),
        ("`window = 20, failure_rate = 0.5`", || {
            CircuitBreaker::windowed(20, 0.5)
        }),
        ("`window = 20, failure_rate = 0.5, count = attempts`", || {
            CircuitBreaker::windowed(20, 0.5).counting(Counting::Attempts)
        }),
    ];
    for (label, breaker) in rows {
        let with = |trouble| {
            let guard = || sandboxed(&[FITTING], breaker().cooldown(COOLDOWN), None);
            simulate(guard, trouble, Pace::Thinking, first_seed)
        };
        let [flaky, half, whole] = [Trouble::Flaky, Trouble::FailsByHalf, Trouble::Fails].map(with);
        let _ = writeln!(
            text,
            "| {label} | {} | {} | {} | {} | {} | {} | {} |",
            flaky.failed,
            flaky.refused,
            half.failed,
            half.refused,
            whole.requests_in_outage,
            whole.failed,
            whole.refused,
        );
    }
    text
}

fn cooldowns(first_seed: u64) -> String {
    let mut text = String::from(
        "| cooldown | requests in the outage | failed | refused | heals after: mean, s | worst, s |\n|---|--:|--:|--:|--:|--:|\n",
    );
    const SECOND: Duration = Duration::from_secs(1);
    let rows: [(&str, fn() -> CircuitBreaker); 5] = [
        ("`cooldown_ms = 1_000`", || CircuitBreaker::new(5).cooldown(SECOND)),
        ("`cooldown_ms = 5_000`", || CircuitBreaker::new(5).cooldown(SECOND * 5)),
        ("`cooldown_ms = 20_000`", || {
            CircuitBreaker::new(5).cooldown(SECOND * 20)
        }),
        ("`cooldown_ms = 30_000`, the default", || CircuitBreaker::new(5)),
        ("`cooldown_ms = 1_000, cooldown_max_ms = 8_000`", || {
            CircuitBreaker::new(5).cooldown(SECOND).cooldown_max(SECOND * 8)
        }),
    ];
    for (label, breaker) in rows {
        let guard = || sandboxed(&[FITTING], breaker(), None);
        let figures = simulate(guard, Trouble::Fails, Pace::Thinking, first_seed);
        let _ = writeln!(
            text,
            "| {label} | {} | {} | {} | {} |",
            figures.requests_in_outage,
            figures.failed,
            figures.refused,
            healing(&figures),
        );
    }
    text
}

/// Seconds with one decimal, rounded.
fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The mean, and the worst of all seeds, as two cells.
fn healing(figures: &Figures) -> String {
    let cell = |time: Option<Duration>| time.map_or_else(|| "not seen".to_owned(), seconds);
    format!("{} | {}", cell(figures.heals_after), cell(figures.heals_at_worst_after))
}
