//! The messages in `docs/messages.md` are those that a call and the compiler produce, and every kind of failure is among them.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};
use std::time::Duration;

use sandbox_runtime::{Budget, Failure, SandboxError, Verdict, sandboxed, testing, tool};
use tokio::runtime::Builder;

use crate::support::{Page, fences, files_within, read};

/// What the tools here return: failures of the engine as they are.
#[derive(Debug)]
enum Told {
    Failure(Failure),
    Busy,
}

fn told(failure: Failure) -> Result<(), Told> {
    Err(Told::Failure(failure))
}

/// The dependency of one tool here asks to wait.
fn wait_27_s(result: &Result<(), Told>) -> Verdict {
    match result {
        Ok(()) => Verdict::Success,
        Err(_) => Verdict::Retry {
            after: Some(Duration::from_secs(27)),
        },
    }
}

/// A token that is cancelled.
#[derive(Clone)]
struct Cancelled;

impl Cancelled {
    async fn cancelled(&self) {}
}

mod hanging {
    use super::{Told, pending, sandboxed, told};

    #[sandboxed(timeout_ms = 5_000, on_failure = told)]
    pub(super) async fn search() -> Result<(), Told> {
        pending().await
    }

    #[sandboxed(timeout_ms = 2_000, idempotent = false, on_failure = told)]
    pub(super) async fn send_email() -> Result<(), Told> {
        pending().await
    }
}

mod limited {
    use super::{Told, pending, sandboxed, told, wait_27_s};

    #[sandboxed(max_concurrent = 1, queue_ms = 0, on_failure = told)]
    pub(super) async fn search() -> Result<(), Told> {
        pending().await
    }

    #[sandboxed(rate(calls = 1, per_ms = 60_000), queue_ms = 0, on_failure = told)]
    pub(super) async fn look_up() -> Result<(), Told> {
        Ok(())
    }

    #[sandboxed(max_retries = 0, queue_ms = 0, classify = wait_27_s, on_failure = told)]
    pub(super) async fn translate() -> Result<(), Told> {
        Err(Told::Busy)
    }
}

mod switched {
    use super::{Told, sandboxed, told};

    #[sandboxed(on_failure = told)]
    pub(super) async fn search() -> Result<(), Told> {
        Ok(())
    }
}

mod ended {
    use super::{Cancelled, Told, pending, sandboxed, told};

    #[sandboxed(timeout_ms = 5_000, deadline_ms = 6_000, on_failure = told)]
    pub(super) async fn search() -> Result<(), Told> {
        pending().await
    }

    #[sandboxed(on_failure = told)]
    pub(super) async fn parse() -> Result<(), Told> {
        panic!("index out of bounds")
    }

    #[sandboxed(cancel = token, on_failure = told)]
    pub(super) async fn read(token: Cancelled) -> Result<(), Told> {
        let _ = token;
        Ok(())
    }
}

/// The failure that a call returned.
fn failure(result: Result<(), Told>) -> Failure {
    match result {
        Err(Told::Failure(failure)) => failure,
        other => panic!("no failure of the engine: {other:?}"),
    }
}

/// The failures of calls that time out, and of those that the breaker refuses after them.
async fn of_a_dead_tool() -> Vec<Failure> {
    let mut failures = vec![failure(hanging::send_email().await)];
    // Three attempts and two: the fifth opens the breaker.
    for _ in 0..2 {
        failures.push(failure(hanging::search().await));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    failures.push(failure(hanging::search().await));
    tokio::time::sleep(Duration::from_secs(30)).await;
    tokio::select! {
        biased;
        _ = hanging::search() => panic!("the probe hangs"),
        beside = hanging::search() => failures.push(failure(beside)),
    }
    tool("documents::messages::hanging::search").unwrap().force_open();
    failures.push(failure(hanging::search().await));
    failures
}

/// The failures of calls that are not made, because there are too many of them.
async fn of_limits() -> Vec<Failure> {
    let mut failures = Vec::new();
    tokio::select! {
        biased;
        _ = limited::search() => panic!("it hangs"),
        beside = limited::search() => failures.push(failure(beside)),
    }
    limited::look_up().await.unwrap();
    failures.push(failure(limited::look_up().await));
    assert!(matches!(limited::translate().await, Err(Told::Busy)));
    failures.push(failure(limited::translate().await));
    failures
}

/// The failures of calls of a tool that is off, and of runs that are over.
async fn of_operators_and_runs() -> Vec<Failure> {
    let mut failures = Vec::new();
    let search = tool("documents::messages::switched::search").unwrap();
    for until in [Some(Duration::from_secs(600)), None] {
        search.disable("the index is being moved", until);
        failures.push(failure(switched::search().await));
    }
    search.enable();
    let run = async {
        switched::search().await.unwrap();
        [failure(switched::search().await), failure(switched::search().await)]
    };
    failures.extend(Budget::new().calls(1).scope(run).await);
    let run = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        failure(switched::search().await)
    };
    failures.push(Budget::new().deadline(Duration::from_secs(1)).scope(run).await);
    failures
}

/// The failures of calls that end while their tool runs.
async fn of_ended_calls() -> Vec<Failure> {
    vec![
        failure(ended::search().await),
        failure(ended::parse().await),
        failure(ended::read(Cancelled).await),
    ]
}

/// The lines that a model, and those that a program reads, by the kind of the failure.
#[derive(Default)]
struct Lines {
    model: Vec<String>,
    program: Vec<String>,
}

async fn lines_of_every_kind() -> BTreeMap<String, Lines> {
    let failures = testing::isolated(async {
        let mut failures = of_a_dead_tool().await;
        failures.extend(of_limits().await);
        failures.extend(of_operators_and_runs().await);
        failures.extend(of_ended_calls().await);
        failures
    });
    let failures = failures.await;
    let mut lines: BTreeMap<String, Lines> = BTreeMap::new();
    for failure in failures {
        let of_kind = lines.entry(failure.kind.as_str().to_owned()).or_default();
        of_kind.model.push(failure.for_model());
        of_kind
            .program
            .extend([failure.to_string(), SandboxError::from(failure).to_string()]);
    }
    lines
}

/// The names of all kinds, as the engine lists them.
fn kinds() -> Vec<String> {
    let source = read("sandbox-runtime/src/failure.rs");
    let arms = source
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("FailureKind::"));
    let names = arms.filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
    names.map(str::to_owned).collect()
}

/// The lines of a section's two blocks.
fn quoted(page: &Page, kind: &str) -> [Vec<String>; 2] {
    let section = page.section(&format!("### `{kind}`"));
    let blocks: [_; 2] = fences(section, "text")
        .try_into()
        .unwrap_or_else(|_| panic!("`{kind}` has two blocks"));
    blocks.map(|block| block.text.lines().map(str::to_owned).collect())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines.dedup();
    lines
}

#[tokio::test(start_paused = true)]
async fn of_failures_are_those_that_calls_produce() {
    let page = Page::new("docs/messages.md");
    for (kind, lines) in lines_of_every_kind().await {
        let [model, program] = quoted(&page, &kind);
        assert_eq!(sorted(model), sorted(lines.model), "what a model reads of `{kind}`");
        assert_eq!(
            sorted(program),
            sorted(lines.program),
            "what a program reads of `{kind}`"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_every_kind_are_there() {
    let page = Page::new("docs/messages.md");
    let kinds = kinds();
    assert!(kinds.len() >= 10, "{kinds:?}");
    let headings = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    assert_eq!(sorted(headings.map(str::to_owned).collect()), sorted(kinds.clone()));
    let produced = lines_of_every_kind().await;
    // Only a build with faults has it.
    let missing: Vec<_> = kinds.iter().filter(|kind| !produced.contains_key(*kind)).collect();
    assert_eq!(missing, ["execution_failed"], "no call here produces it");
    let faults = read("sandbox-runtime/src/faults.rs");
    let reason = faults
        .lines()
        .find_map(|line| line.split_once("REASON: &str = \"")?.1.strip_suffix("\";"))
        .unwrap();
    let [model, program] = quoted(&page, "execution_failed");
    let [model, program] = [model.concat(), program.concat()];
    assert!(model.starts_with(&format!("`search` failed: {reason}. ")), "{model}");
    assert!(
        program.contains(&format!("failed after 3 attempts: {reason}")),
        "{program}"
    );
}

/// What a call of a tool that hangs panics with.
fn panic_of_a_call() -> String {
    let mut call = Box::pin(hanging::search());
    let mut context = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)));
    let payload = polled.expect_err("there is no timer to wait by");
    *payload.downcast::<String>().expect("the message of a panic")
}

#[test]
fn of_a_missing_runtime_are_those_of_tokio() {
    let outside = panic_of_a_call();
    let without_time = Builder::new_current_thread().build().unwrap();
    let _guard = without_time.enter();
    let inside = panic_of_a_call();
    let page = Page::new("docs/messages.md");
    let quoted = fences(page.section("## When there is no runtime"), "text");
    assert_eq!(quoted[0].text.lines().collect::<Vec<_>>(), [outside, inside]);
}

#[test]
fn of_the_compiler_are_in_its_cases() {
    let page = Page::new("docs/messages.md");
    let quoted = fences(page.section("## When it does not compile"), "text");
    let cases: Vec<_> = files_within("tests/ui/fail", "stderr")
        .iter()
        .map(|path| read(path))
        .collect();
    let errors = quoted
        .iter()
        .flat_map(|fence| fence.text.lines())
        .filter(|line| line.starts_with("error"));
    let errors: Vec<_> = errors.collect();
    assert!(errors.len() >= 10, "messages were found: {}", errors.len());
    for error in errors {
        let is_there = |case: &String| case.lines().any(|line| line == error);
        assert!(cases.iter().any(is_there), "no case of `tests/ui/fail` has it: {error}");
    }
}
