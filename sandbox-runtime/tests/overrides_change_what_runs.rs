//! Overrides change the settings of a running program: as a whole or not at all, under the rules of the attribute, for the calls that
//! begin afterwards; and what is wrong with them is told at once, with the tool, the key and the remedy.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, Observer, observe};
use sandbox_runtime::{Overrides, Policy, SandboxError, sandboxed, tool, tools};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Overrides are those of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Overrides::clear();
    guard
}

fn overrides(document: Value) -> Overrides {
    serde_json::from_value(document).expect("it has the shape of overrides")
}

#[track_caller]
fn apply(document: Value) {
    overrides(document).apply().expect("they make sense");
}

/// One line for each mistake.
#[track_caller]
fn mistakes(document: Value) -> Vec<String> {
    let error = overrides(document).apply().expect_err("they make no sense");
    error.mistakes().iter().map(ToString::to_string).collect()
}

async fn millis<T>(call: impl Future<Output = T>) -> u128 {
    let start = Instant::now();
    call.await;
    start.elapsed().as_millis()
}

mod shop {
    pub(crate) mod index {
        use super::super::*;

        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = off)]
        pub(crate) async fn searched() -> Result<(), SandboxError> {
            pending().await
        }

        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = off)]
        pub(crate) async fn listed() -> Result<(), SandboxError> {
            pending().await
        }
    }

    pub(crate) mod till {
        use super::super::*;

        #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = off)]
        pub(crate) async fn listed() -> Result<(), SandboxError> {
            pending().await
        }
    }
}

const HERE: &str = "overrides_change_what_runs";

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn the_most_specific_table_wins() {
    let _alone = alone();
    let group = format!("{HERE}::shop");
    let inner = format!("{HERE}::shop::index");
    let listed = format!("{HERE}::shop::index::listed");
    apply(json!({
        "version": 1,
        "defaults": { "timeout_ms": 100 },
        "group": { (group): { "timeout_ms": 200 }, (inner): { "timeout_ms": 300 } },
        "tool": { (listed): { "timeout_ms": 400 } },
    }));
    assert_eq!(
        millis(retried(&AtomicU32::new(0))).await,
        100 + 1 + 100 + 2 + 100,
        "of every tool"
    );
    assert_eq!(millis(shop::till::listed()).await, 200, "of the group");
    assert_eq!(millis(shop::index::searched()).await, 300, "of the group in the group");
    assert_eq!(millis(shop::index::listed()).await, 400, "of the tool");
    Overrides::clear();
    assert_eq!(millis(shop::index::listed()).await, 1_000, "of the attribute");
}

#[sandboxed(timeout_ms = 50_000, max_retries = 2, backoff_base_ms = 1, breaker = off)]
async fn retried(attempts: &AtomicU32) -> Result<(), SandboxError> {
    attempts.fetch_add(1, Ordering::Relaxed);
    pending().await
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn calls_under_way_keep_what_they_began_with() {
    let _alone = alone();
    apply(
        json!({ "version": 1, "tool": { "retried": { "timeout_ms": 1_000, "max_retries": 4, "backoff_base_ms": 0 } } }),
    );
    let attempts = AtomicU32::new(0);
    let (took, ()) = tokio::join!(millis(retried(&attempts)), async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        apply(json!({ "version": 1, "tool": { "retried": { "timeout_ms": 10, "max_retries": 0 } } }));
    });
    assert_eq!(
        (took, attempts.load(Ordering::Relaxed)),
        (5_000, 5),
        "five attempts of a second each"
    );
    assert_eq!(millis(retried(&attempts)).await, 10, "the next call");
}

/// Before it ever waits, an operator has changed its settings again.
#[sandboxed(timeout_ms = 50_000, max_retries = 0, breaker = off)]
async fn overtaken() -> Result<u32, SandboxError> {
    let limit = || {
        sandbox_runtime::Attempt::current()
            .unwrap()
            .time_left()
            .unwrap()
            .as_millis()
    };
    let before = limit();
    apply(json!({ "version": 1, "tool": { "overtaken": { "timeout_ms": 7 } } }));
    assert_eq!(
        (before, limit()),
        (1_000, 1_000),
        "what an attempt is told of its own limit"
    );
    pending().await
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_call_that_is_overtaken_in_its_first_poll_keeps_them_too() {
    let _alone = alone();
    apply(
        json!({ "version": 1, "tool": { "overtaken": { "timeout_ms": 1_000, "max_concurrent": 1, "queue_ms": 0 } } }),
    );
    let (took, other) = tokio::join!(millis(overtaken()), async {
        apply(json!({ "version": 1, "tool": { "overtaken": { "max_concurrent": 1, "queue_ms": 0 } } }));
        overtaken().await
    });
    assert_eq!(took, 1_000);
    assert!(other.unwrap_err().is_overloaded(), "it has kept its place, too");
}

#[sandboxed(policy = given, breaker = off)]
async fn given_each_time(given: Policy) -> Result<(), SandboxError> {
    pending().await
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_policy_that_is_given_has_them_on_top() {
    let _alone = alone();
    // From here on it is known what each call brings with it.
    let handle = tool("given_each_time").unwrap();
    let given = Policy::new()
        .timeout(Duration::from_secs(9))
        .max_retries(1)
        .backoff_base(Duration::from_secs(1));
    apply(json!({ "version": 1, "tool": { "given_each_time": { "timeout_ms": 5 } } }));
    assert_eq!(millis(given_each_time(given)).await, 5 + 1_000 + 5);
    let status = serde_json::to_value(handle.status()).unwrap();
    assert_eq!(status["policy_in_force"]["timeout_ms"], 5);
}

#[sandboxed(timeout_ms = 10, max_retries = 1, backoff_base_ms = 7, breaker = off)]
async fn lent(text: &mut String) -> Result<(), SandboxError> {
    text.push('.');
    pending().await
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn arguments_that_attempts_borrow_are_no_exception() {
    let _alone = alone();
    apply(json!({ "version": 1, "tool": { "lent": { "max_retries": 3, "backoff_base_ms": 0, "max_concurrent": 1 } } }));
    let mut text = String::new();
    assert_eq!(millis(lent(&mut text)).await, 40);
    assert_eq!(text, "....");
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn limits_come_and_go() {
    let _alone = alone();
    let two = || async { tokio::join!(shop::index::searched(), shop::index::searched()) };
    assert_eq!(millis(two()).await, 1_000);
    apply(json!({ "version": 1, "tool": { "searched": { "max_concurrent": 1, "queue_ms": 60_000 } } }));
    assert_eq!(millis(two()).await, 2_000, "one after the other");
    Overrides::clear();
    assert_eq!(millis(two()).await, 1_000);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn who_waits_has_the_places_that_are_added() {
    let _alone = alone();
    apply(json!({ "version": 1, "tool": { "searched": { "max_concurrent": 1, "queue_ms": 60_000 } } }));
    let three = async {
        tokio::join!(
            shop::index::searched(),
            shop::index::searched(),
            shop::index::searched()
        )
    };
    let (took, ()) = tokio::join!(millis(three), async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        apply(json!({ "version": 1, "tool": { "searched": { "max_concurrent": 3, "queue_ms": 60_000 } } }));
    });
    assert_eq!(took, 1_400, "the second and the third begin when there is room");
}

#[test]
fn every_mistake_is_told_at_once_and_nothing_changes() {
    let _alone = alone();
    apply(json!({ "version": 1, "tool": { "retried": { "timeout_ms": 77 } } }));
    let before = Overrides::current();
    let told = mistakes(json!({
        "version": 1,
        "defaults": { "timeout_ms": 0, "colour": "red" },
        "group": { "shop::indx": { "max_retries": -1 } },
        "tool": {
            "serched": { "timeout": 5, "max_retries": 1 },
            "listed": { "jitter": "some" },
            "searched": { "max_concurrent": 0, "rate": { "calls": 0, "per_ms": 5 }, "queue_ms": "1s", "breaker": "off" },
            "retried": { "deadline_ms": 1_000, "timeout_ms": 2_000 },
            "nul\u{0}": {},
            "lent": { "backoff_max_ms": 3 },
        },
    }));
    let keys = "`timeout_ms`, `max_retries`, `backoff_base_ms`, `backoff_max_ms`, `deadline_ms`, `jitter`, `idempotent`, \
                `max_concurrent`, `queue_ms`, `rate`, `jitter_seed`";
    let listed = |module| format!("`{HERE}::shop::{module}::listed`");
    let expected = [
        format!("[defaults]: unknown setting `colour`; there are {keys}"),
        "[defaults]: `timeout_ms` is 0, so that every attempt would time out; set at least 1".into(),
        format!("[group.\"shop::indx\"]: there is no tool in `shop::indx`; did you mean `{HERE}::shop::index`?"),
        "[group.\"shop::indx\"]: `max_retries` is -1; it takes a whole number of retries, from 0 to 4294967295".into(),
        "[tool.\"lent\"]: `backoff_max_ms` (3) is shorter than `backoff_base_ms` (7, in the attribute); raise it or lower the \
         base"
            .into(),
        format!(
            "[tool.\"listed\"]: several tools have this name; write the path of one: {} or {}",
            listed("index"),
            listed("till")
        ),
        "[tool.\"listed\"]: `jitter` is \"some\"; it takes one of `none`, `full`, `equal`".into(),
        "[tool.\"nul\\0\"]: there is no tool `nul\\0`; `tools()` lists those of the program".into(),
        "[tool.\"retried\"]: `deadline_ms` (1000) is not longer than `timeout_ms` (2000), which is for one attempt alone; raise it \
         or lower the timeout"
            .into(),
        "[tool.\"searched\"]: `breaker` is compiled in: only the attribute sets it".into(),
        "[tool.\"searched\"]: `max_concurrent` is 0, so that no call would ever be made; set at least 1".into(),
        "[tool.\"searched\"]: `queue_ms` is \"1s\"; it takes a whole number of milliseconds, at least 0".into(),
        "[tool.\"searched\"]: `calls` is 0, so that no attempt would ever be made; set at least 1".into(),
        "[tool.\"serched\"]: there is no tool `serched`; did you mean `searched`?".into(),
        format!("[tool.\"serched\"]: unknown setting `timeout`; did you mean `timeout_ms`? (there are {keys})"),
    ];
    assert_eq!(told, expected);
    assert_eq!(Overrides::current(), before, "what was in force still is");
}

#[test]
fn rules_between_tables_name_the_tool() {
    let _alone = alone();
    let told = mistakes(json!({ "version": 1, "defaults": { "deadline_ms": 50_000, "max_retries": 3 } }));
    let searched = format!(
        "[defaults], for `{HERE}::shop::index::searched`: `max_retries` cannot be raised: `searched` hands its arguments to its only \
         attempt, because its attribute has `max_retries = 0`; add `max_retries = 0` under \
         `[tool.\"{HERE}::shop::index::searched\"]`, or set at least 1 in the attribute"
    );
    assert!(told.contains(&searched), "{told:#?}");
    let retried = format!(
        "[defaults], for `{HERE}::retried`: `deadline_ms` (50000) is not longer than `timeout_ms` (50000, in the attribute), which is \
         for one attempt alone; raise it or lower the timeout"
    );
    assert!(told.contains(&retried), "{told:#?}");
}

#[test]
fn a_remedy_for_one_tool_leaves_the_others_their_retries() {
    let _alone = alone();
    let remedy = |document| {
        let told = mistakes(document);
        let about: Vec<_> = told.iter().filter(|line| line.contains("`overtaken` hands")).collect();
        assert_eq!(about.len(), 1, "about `overtaken`: {told:#?}");
        about[0].rsplit_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(
        remedy(
            json!({ "version": 1, "group": { (HERE): { "max_retries": 3 } }, "tool": { "overtaken": { "queue_ms": 5 } } })
        ),
        "add `max_retries = 0` under `[tool.\"overtaken\"]`, or set at least 1 in the attribute",
        "a second table for the tool would be refused"
    );
    assert_eq!(
        remedy(json!({ "version": 1, "tool": { "overtaken": { "max_retries": 3 } } })),
        "write 0 here, or set at least 1 there",
        "the table is that of the tool alone"
    );
    let none = |path: String| (path, json!({ "max_retries": 0 }));
    let tools = [
        "overtaken",
        "shop::index::searched",
        "shop::index::listed",
        "shop::till::listed",
    ];
    let tools: serde_json::Map<_, _> = tools.map(|tool| none(format!("{HERE}::{tool}"))).into_iter().collect();
    apply(json!({ "version": 1, "defaults": { "max_retries": 3 }, "tool": tools }));
}

/// Two methods of one name have one path.
mod dup {
    use super::*;

    pub(crate) struct Books;
    pub(crate) struct Pages;

    impl Books {
        #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
        pub(crate) async fn find() -> Result<(), SandboxError> {
            pending().await
        }
    }

    impl Pages {
        #[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 0, breaker = off)]
        pub(crate) async fn find() -> Result<(), SandboxError> {
            pending().await
        }
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn tools_of_one_path_are_told_apart_by_their_places() {
    let _alone = alone();
    let mut lines: Vec<_> = tools()
        .within(&format!("{HERE}::dup"))
        .iter()
        .map(|tool| tool.location().line())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "the tools in `dup`");
    let places = format!("{0}:{1}, {0}:{2}", file!(), lines[0], lines[1]);
    for name in [format!("{HERE}::dup::find"), "find".to_owned()] {
        let message = format!(
            "[tool.\"{name}\"]: several tools have the path `{HERE}::dup::find`: {places}; give each a `name = \"..\"` in its attribute"
        );
        assert_eq!(
            mistakes(json!({ "version": 1, "tool": { (&name): {} } })),
            [message],
            "a remedy that does not lead back here"
        );
    }
    let group = format!("{HERE}::dup");
    let told = mistakes(
        json!({ "version": 1, "group": { (&group): { "deadline_ms": 7, "backoff_base_ms": 9, "backoff_max_ms": 8 } } }),
    );
    assert_eq!(told.len(), 2, "a mistake is told once for both: {told:#?}");
    apply(json!({ "version": 1, "group": { (group): { "timeout_ms": 7 } } }));
    assert_eq!(
        (millis(dup::Books::find()).await, millis(dup::Pages::find()).await),
        (14, 14),
        "tables that are not for one tool reach both"
    );
}

#[test]
fn the_name_that_was_meant_is_one_that_can_be_written() {
    let _alone = alone();
    let shop = format!("{HERE}::shop");
    let (index, till) = (format!("`{shop}::index::listed`"), format!("`{shop}::till::listed`"));
    for (name, meant) in [
        ("index::listed", index.clone()),
        ("shop::index::listed", index.clone()),
        ("shop::indx::listed", index.clone()),
        ("listd", format!("{index} or {till}")),
        ("elsewhere::and::far::away::listed", format!("{index} or {till}")),
        ("elsewhere::and::far::away::retired", "`retried`".to_owned()),
    ] {
        assert_eq!(
            mistakes(json!({ "version": 1, "tool": { (name): {} } })),
            [format!(
                "[tool.\"{name}\"]: there is no tool `{name}`; did you mean {meant}?"
            )],
            "the hint for a tool"
        );
    }
    for (module, meant) in [
        ("index", "index"),
        ("shop::index", "index"),
        ("shop::tell", "till"),
        ("tills", "till"),
    ] {
        assert_eq!(
            mistakes(json!({ "version": 1, "group": { (module): {} } })),
            [format!(
                "[group.\"{module}\"]: there is no tool in `{module}`; did you mean `{shop}::{meant}`?"
            )],
            "the hint for a module"
        );
    }
}

#[sandboxed(timeout_ms = 30_000, deadline_ms = 60_000, breaker(slow_call_ms = 50))]
#[expect(dead_code, reason = "its settings are what matters")]
async fn slowed() -> Result<(), SandboxError> {
    pending().await
}

/// Its calls have their own time limits; its breaker does not.
#[sandboxed(policy = given, breaker(slow_call_ms = 50))]
#[expect(dead_code, reason = "its settings are what matters")]
async fn slowed_each_time(given: Policy) -> Result<(), SandboxError> {
    pending().await
}

#[test]
fn a_time_limit_leaves_room_for_slow_successes() {
    let _alone = alone();
    for tool in ["slowed", "slowed_each_time"] {
        apply(json!({ "version": 1, "tool": { (tool): { "timeout_ms": 51 } } }));
        apply(json!({ "version": 1, "tool": { (tool): { "timeout_ms": "off" } } }));
        apply(json!({ "version": 1, "tool": { (tool): { "queue_ms": 5 } } }));
        for timeout in [50, 40] {
            assert_eq!(
                mistakes(json!({ "version": 1, "tool": { (tool): { "timeout_ms": timeout } } })),
                [format!(
                    "[tool.\"{tool}\"]: `slow_call_ms` (50, in the attribute) is not shorter than `timeout_ms` ({timeout}), so that no \
                     success would be slow; lower it or raise the timeout"
                )],
                "the attribute refuses this pair, too"
            );
        }
    }
}

#[test]
fn numbers_that_are_not_in_the_document_are_marked() {
    let _alone = alone();
    let deadline = |settings: Value, numbers: [&str; 2]| {
        let told = mistakes(json!({ "version": 1, "tool": { "slowed": settings } }));
        let [deadline, timeout] = numbers;
        assert_eq!(
            told,
            [format!(
                "[tool.\"slowed\"]: `deadline_ms` ({deadline}) is not longer than `timeout_ms` ({timeout}), which is for one attempt \
                 alone; raise it or lower the timeout"
            )],
            "where each number is from"
        );
    };
    deadline(json!({ "timeout_ms": 70_000 }), ["60000, in the attribute", "70000"]);
    deadline(json!({ "deadline_ms": 9 }), ["9", "30000, the default"]);
    deadline(json!({ "deadline_ms": 9, "timeout_ms": 30_000 }), ["9", "30000"]);
}

#[test]
fn what_is_known_of_given_policies_is_checked() {
    let _alone = alone();
    let name = "given_each_time";
    apply(json!({ "version": 1, "tool": { (name): { "deadline_ms": 4, "backoff_max_ms": 1 } } }));
    apply(json!({ "version": 1, "tool": { (name): { "timeout_ms": 50_000, "max_retries": 9 } } }));
    let deadline = "`deadline_ms` (4) is not longer than `timeout_ms` (5), which is for one attempt alone; raise it or lower the timeout";
    let backoff = "`backoff_max_ms` (1) is shorter than `backoff_base_ms` (2); raise it or lower the base";
    assert_eq!(
        mistakes(json!({ "version": 1, "tool": { (name): {
            "timeout_ms": 5, "deadline_ms": 4, "backoff_max_ms": 1, "backoff_base_ms": 2,
        } } })),
        [backoff, deadline].map(|message| format!("[tool.\"{name}\"]: {message}")),
        "both halves of each pair are in one table"
    );
    let told =
        mistakes(json!({ "version": 1, "defaults": { "deadline_ms": 4 }, "tool": { (name): { "timeout_ms": 5 } } }));
    let line = format!("[defaults], for `{HERE}::{name}`: {deadline}");
    assert!(
        told.contains(&line),
        "both halves of a pair are in two tables: {told:#?}"
    );
}

#[test]
fn what_is_not_of_the_shape_is_not_even_read() {
    let known = "(there are `version`, `defaults`, `group`, `tool`, `$schema`)";
    for (document, fact) in [
        ("", "EOF while parsing"),
        ("{}", "missing field `version`; write `version = 1` at the top"),
        (r#"{"version": 2}"#, "`version` is 2, and this program reads version 1"),
        (
            r#"{"version": 5000000000}"#,
            "`version` is 5000000000, and this program",
        ),
        (
            r#"{"version": "1"}"#,
            r#"`version` is "1"; it takes a whole number: write `version = 1`"#,
        ),
        (r#"{"version": [1]}"#, "`version` is a list; it takes a whole number"),
        (
            r#"{"version": 1, "tools": {}}"#,
            &format!("unknown key `tools`; did you mean `tool`? {known}"),
        ),
        (
            r#"{"version": 1, "default": {}}"#,
            &format!("unknown key `default`; did you mean `defaults`? {known}"),
        ),
        (
            r#"{"version": 1, "timeout_ms": 5}"#,
            "unknown key `timeout_ms`; there are `version`, `defaults`, `group`, `tool`, `$schema`",
        ),
        (r#"{"version": 1, "tool": {"a": 5}}"#, "expected a table"),
        (r#"{"version": 1, "tool": {"a": [{}]}}"#, "expected a table"),
        (
            r#"[1, {}, {}, {"a": {"timeout_ms": 5}}]"#,
            "invalid type: sequence, expected a table with `version` and the tables `defaults`, `group` and `tool`",
        ),
        (
            r#"{"version": 1, "$schema": 5}"#,
            "`$schema` is 5; it takes a text, the address of the schema",
        ),
        (r#"{"version": 1, "defaults": {"timeout_ms": 5}"#, "EOF while parsing"),
    ] {
        let error = serde_json::from_str::<Overrides>(document)
            .expect_err(document)
            .to_string();
        assert!(error.contains(fact), "{document} is refused with another fact: {error}");
    }
}

#[test]
fn no_key_is_given_twice_anywhere() {
    for (document, key) in [
        (r#"{"version": 1, "version": 1}"#, "version"),
        (r#"{"version": 1, "$schema": "a", "$schema": "a"}"#, "$schema"),
        (r#"{"version": 1, "tool": {}, "tool": {}}"#, "tool"),
        (r#"{"version": 1, "tool": {"a": {}, "a": {}}}"#, "a"),
        (r#"{"version": 1, "tool": {"a": {"x": 1, "x": 1}}}"#, "x"),
        (
            r#"{"version": 1, "tool": {"a": {"rate": {"calls": 1, "calls": 9, "per_ms": 5}}}}"#,
            "calls",
        ),
        (r#"{"version": 1, "defaults": {"x": [{"y": 1, "y": 2}]}}"#, "y"),
    ] {
        let error = serde_json::from_str::<Overrides>(document)
            .expect_err(document)
            .to_string();
        let fact = format!("`{key}` is given twice; keep one of them");
        assert!(
            error.contains(&fact),
            "{document} is refused with another fact: {error}"
        );
    }
}

#[test]
fn an_editors_key_changes_nothing() {
    let document = |schema: Value| json!({ "$schema": schema, "version": 1, "defaults": { "timeout_ms": 5, "rate": { "calls": 1, "per_ms": 9 } } });
    let mut plain = document(Value::Null);
    plain.as_object_mut().unwrap().remove("$schema");
    let read = overrides(document(json!("./overrides.schema.json")));
    assert_eq!(read, overrides(plain.clone()), "`$schema` has changed what is read");
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        plain,
        "what is read is not what is written"
    );
    let properties = &Overrides::json_schema()["properties"];
    assert_eq!(
        properties["$schema"],
        json!({ "type": "string" }),
        "an editor marks its own key"
    );
}

#[test]
fn a_mistake_in_a_rate_is_named() {
    let _alone = alone();
    const CALLS: &str = "it takes a whole number of attempts, from 1 to 4294967295";
    const PER_MS: &str = "it takes a whole number of milliseconds, at least 1";
    for (rate, message) in [
        (
            json!({ "calls": 1 }),
            "`rate` has no `per_ms`; add `per_ms = 1_000`".to_owned(),
        ),
        (json!({ "per_ms": 1 }), "`rate` has no `calls`; add `calls = 10`".into()),
        (
            json!({}),
            "`rate` has no `calls`; add `calls = 10`. `rate` has no `per_ms`; add `per_ms = 1_000`".into(),
        ),
        (
            json!({ "calls": 1, "per_s": 1 }),
            "`rate` has no key `per_s`; did you mean `per_ms`?".into(),
        ),
        (
            json!({ "calls": 1, "per_ms": 1, "burst": 5 }),
            "`rate` has no key `burst`; it takes `calls`, `per_ms`, `scope`".into(),
        ),
        (
            json!({ "calls": -3, "per_ms": 1 }),
            format!("`calls` of `rate` is -3; {CALLS}"),
        ),
        (
            json!({ "calls": 4_294_967_296_u64, "per_ms": 1 }),
            format!("`calls` of `rate` is 4294967296; {CALLS}"),
        ),
        (
            json!({ "calls": 1, "per_ms": "1s" }),
            format!("`per_ms` of `rate` is \"1s\"; {PER_MS}"),
        ),
        (
            json!({ "calls": 0, "per_ms": 1 }),
            "`calls` is 0, so that no attempt would ever be made; set at least 1".into(),
        ),
        (
            json!([3, 100]),
            "`rate` is a list; it takes a table with both `calls` and `per_ms`, whole numbers that are at least 1"
                .into(),
        ),
    ] {
        let told = mistakes(json!({ "version": 1, "tool": { "retried": { "rate": rate } } }));
        assert_eq!(
            told,
            [format!("[tool.\"retried\"]: {message}")],
            "about `rate = {rate}`"
        );
    }
}

#[test]
fn the_same_document_in_toml() {
    let _alone = alone();
    let document = format!(
        "version = 1\n\
         [group.\"{HERE}::shop\"]\n\
         timeout_ms = \"off\"\n\
         deadline_ms = 5_000\n\
         [tool.\"retried\"]\n\
         rate = {{ calls = 10, per_ms = 1_000 }}\n\
         jitter = \"full\"\n"
    );
    let read: Overrides = toml::from_str(&document).unwrap();
    read.apply().unwrap();
    let written = toml::to_string(&Overrides::current()).unwrap();
    assert_eq!(toml::from_str::<Overrides>(&written).unwrap(), read, "{written}");
    let status = serde_json::to_value(tool("retried").unwrap().status()).unwrap();
    assert_eq!(
        status["policy_in_force"]["rate"],
        json!({ "calls": 10, "per_ms": 1_000 })
    );
    assert_eq!(status["policy"]["rate"], Value::Null, "as it was compiled");
}

#[derive(Clone, Default)]
struct Acts(Arc<Mutex<Vec<String>>>);

impl Observer for Acts {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event.happened {
            Happened::OperatorActed { action, .. } => format!("{} {}", event.tool.name, action.as_str()),
            Happened::OverridesRefused { error, .. } => {
                format!("{} refused: {}", event.tool.name, error.mistakes().len())
            }
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn observers_learn_what_has_changed() {
    let _alone = alone();
    let acts = Acts::default();
    let observing = observe(acts.clone());
    let document = || json!({ "version": 1, "tool": { "retried": { "max_retries": 1 } } });
    apply(document());
    apply(document());
    let _ = mistakes(json!({ "version": 1, "tool": { "retired": { "max_retrys": 1 } } }));
    Overrides::clear();
    drop(observing);
    assert_eq!(
        *acts.0.lock().unwrap(),
        ["retried overridden", "overrides refused: 2", "retried restored"]
    );
}

/// The schema that the repository hands out.
#[test]
fn the_schema_is_that_of_the_keys() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/overrides.schema.json");
    let expected = Overrides::json_schema();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, format!("{expected:#}\n")).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    // As data: whether keys keep their order is a feature of serde_json, which other crates may switch on.
    let written: Value = serde_json::from_str(&written).unwrap_or_default();
    assert_eq!(
        written, expected,
        "docs/overrides.schema.json is old; run this test with BLESS=1"
    );
}
