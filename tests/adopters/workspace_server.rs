//! An MCP server for a workspace: files, notes, issues, pull requests, a calendar, mail, search, metrics. It has forty
//! tools of many shapes, in one block that one attribute guards, and is started in `Sandboxed`.

mod shapes;
mod tools;

use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Client, HANGS, Weather, World};
use shapes::{Number, Store};
use tools::{Guarded, Plain};

/// What the guard can do for a tool.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// It reports errors, and may be run again.
    Retried,
    /// The same, but an error that it returns as a result is its last word.
    LastWord,
    /// Its hints say that it is not to be run twice.
    Once,
    /// It may be run again, but its return type does not show an error.
    Silent,
    /// It is not async, and so is not guarded.
    Immediate,
}

use Kind::{Immediate, LastWord, Once, Retried, Silent};

/// A tool, and arguments that fit.
#[derive(Debug)]
struct Call {
    tool: &'static str,
    kind: Kind,
    arguments: Value,
}

fn calls() -> Vec<Call> {
    let monday = || json!({ "startsAt": "monday", "endsAt": "tuesday" });
    let replaced = json!({ "kind": "replace", "old": "one", "new": "two" });
    let inserted = json!({ "kind": "insert", "line": 7, "text": "a line" });
    let having = json!([{ "type": "label", "value": "bug" }, { "type": "assigned-to", "value": "Ada" }]);
    let guests = json!(["Ada", { "team": "core" }]);
    let calls = [
        ("list_files", Retried, json!({ "path": "src", "per_page": 30 })),
        ("read_file", Retried, json!({ "path": "main.rs" })),
        (
            "write_file",
            Retried,
            json!({ "path": "a.rs", "text": "fn a", "mode": "overwrite" }),
        ),
        (
            "edit_file",
            Once,
            json!({ "path": "a.rs", "edits": [replaced, inserted] }),
        ),
        ("files.move", Once, json!({ "from": "a.rs", "to": "b.rs" })),
        ("delete_file", Retried, json!({ "path": "b.rs" })),
        ("watch_file", Retried, json!({ "path": "main.rs" })),
        ("create_note", Once, json!({ "title": "milk", "body": "two" })),
        ("get_note", Retried, json!({ "title": "milk" })),
        ("append_to_note", Once, json!({ "title": "milk", "body": "three" })),
        (
            "tag_note",
            LastWord,
            json!({ "title": "milk", "addTags": ["shop", "food"] }),
        ),
        ("render_note", Immediate, json!({ "text": "milk" })),
        ("pin_note", Silent, json!({ "title": "milk" })),
        (
            "list_issues",
            Retried,
            json!({ "state": "OPEN", "having": having, "page": 3 }),
        ),
        ("get_issue", Retried, json!({ "number": 12 })),
        ("create_issue", Once, json!({ "title": "crash", "labels": ["bug"] })),
        (
            "update_issue",
            Retried,
            json!({ "number": 12, "fields": { "size": 3, "team": ["core"] } }),
        ),
        ("close_issue", Retried, json!({ "number": 12 })),
        ("issues.comment", Once, json!({ "number": 12, "body": "me too" })),
        ("issue_templates", Immediate, json!({})),
        (
            "list_pull_requests",
            Retried,
            json!({ "state": "CLOSED", "page": 2, "per_page": 50 }),
        ),
        ("get_diff", Retried, json!({ "number": 34 })),
        (
            "review_pull_request",
            Once,
            json!({ "number": 34, "event": "REQUEST_CHANGES", "reason": "tests" }),
        ),
        ("merge_pull_request", Once, json!({ "number": 34 })),
        (
            "request_reviewers",
            Retried,
            json!({ "number": 34, "reviewers": guests }),
        ),
        (
            "list_events",
            Retried,
            json!({ "startsAt": "monday", "endsAt": "friday", "page": 2 }),
        ),
        (
            "create_event",
            Once,
            json!({ "title": "lunch", "startsAt": "12", "endsAt": "13", "guests": guests }),
        ),
        (
            "move_event",
            Retried,
            json!({ "title": "lunch", "startsAt": "13", "endsAt": "14" }),
        ),
        ("find_free_time", Retried, monday()),
        ("format_time", Immediate, monday()),
        ("search_mail", Retried, json!({ "text": "invoice", "page": 2 })),
        ("send_mail", Once, json!({ "to": { "team": "core" }, "re": "lunch" })),
        ("mark_read", Silent, json!({ "number": 56 })),
        ("draft_reply", Silent, json!({ "to": "Ada", "re": "lunch" })),
        (
            "search_all",
            Retried,
            json!({ "text": "lunch", "in": ["mail", "notes"] }),
        ),
        ("suggest", Silent, json!({ "text": "lun" })),
        ("reindex", Retried, json!({})),
        (
            "query_metrics",
            Retried,
            json!({ "name": "latency", "by": { "Percentile": 95 } }),
        ),
        ("record_metric", Once, json!({ "name": "latency", "value": 1.5 })),
        ("version", Immediate, json!({})),
    ];
    let call = |(tool, kind, arguments)| Call { tool, kind, arguments };
    calls.into_iter().map(call).collect()
}

fn guarded_calls() -> impl Iterator<Item = Call> {
    calls().into_iter().filter(|call| call.kind != Immediate)
}

/// What a call has come to.
#[derive(Debug, PartialEq)]
struct End {
    answer: Value,
    /// What the store was asked.
    journal: Vec<String>,
}

impl End {
    fn is_error(&self) -> bool {
        self.answer["isError"] == true
    }

    /// The same, or an error of the protocol, as which `ErrorData` of the tool's own is answered.
    fn has_failed(&self) -> bool {
        self.is_error() || self.answer["code"].is_number()
    }

    /// Whether a text that the client gets has this in it.
    fn says(&self, text: &str) -> bool {
        let contents = self.answer["content"].as_array().into_iter().flatten();
        let texts = contents.map(|content| &content["text"]);
        let mut texts = texts.chain([&self.answer["message"]]).filter_map(Value::as_str);
        texts.any(|all| all.contains(text))
    }

    fn failure(&self) -> &Value {
        &self.answer["_meta"]["sandboxed/failure"]
    }
}

impl Call {
    /// Calls the tool of the server as it was written, with a store that works.
    async fn of_plain(&self) -> End {
        let store = Store::on(World::default());
        let client = Client::of(Plain { store: store.clone() }).await;
        self.of_client(&client, &store).await
    }

    /// Calls the guarded tool, with a store that follows this script.
    async fn of_guarded(&self, script: &[Weather]) -> End {
        let store = Store::on(World::with(script));
        let client = Client::of_reporting(Guarded { store: store.clone() }).await;
        self.of_client(&client, &store).await
    }

    async fn of_client(&self, client: &Client, store: &Store) -> End {
        End {
            answer: client.answer(self.tool, self.arguments.clone()).await,
            journal: store.journal(),
        }
    }

    /// How long it may take when the store hangs.
    fn limit(&self) -> Duration {
        Duration::from_millis(match (self.tool, self.kind) {
            (_, Immediate) => 0,
            // Their own attributes: one attempt, and two with a delay between them.
            ("merge_pull_request", _) => 40_000,
            ("find_free_time", _) => 5_000 + 500 + 5_000,
            (_, Once) => 25_000,
            // What the request may take: less than three attempts.
            (_, Retried | LastWord | Silent) => 55_000,
        })
    }
}

/// The texts and numbers in a value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::String(text) => vec![letters(text)],
        other => vec![letters(&other.to_string())],
    }
}

/// What is left of a text however it is written: `assigned-to` and `AssignedTo` are the same.
fn letters(text: &str) -> String {
    let letters = text.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn server() -> Guarded {
    let store = Store::on(World::default());
    Guarded { store }
}

fn plain() -> Plain {
    let store = Store::on(World::default());
    Plain { store }
}

#[tokio::test(start_paused = true)]
async fn its_forty_tools_are_listed_as_they_were() {
    let listed = Client::of_reporting(server()).await.list().await;
    assert_eq!(listed.len(), 40);
    let before = Client::of(plain()).await.list().await;
    for (tool, before) in listed.iter().zip(&before) {
        assert_eq!(tool, before, "{} has changed", before["name"]);
    }
    assert_eq!(listed.len(), before.len());
}

#[tokio::test(start_paused = true)]
async fn the_table_has_every_tool_as_its_hints_have_it() {
    let listed = Client::of_reporting(server()).await.list().await;
    let mut calls = calls();
    calls.sort_by_key(|call| call.tool);
    let names: Vec<_> = calls.iter().map(|call| call.tool).collect();
    let listed_names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, listed_names);
    for (call, tool) in calls.iter().zip(&listed) {
        let hint = |name: &str| tool["annotations"][name].as_bool();
        let hints = [hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint")];
        let is_idempotent = hints[0] == Some(true) || hints[2] == Some(true);
        let is_once = hints != [None; 3] && !is_idempotent;
        assert_eq!(call.kind == Once, is_once, "{}: {hints:?}", call.tool);
    }
}

#[tokio::test(start_paused = true)]
async fn every_tool_answers_as_it_did() {
    for call in calls() {
        let end = call.of_guarded(&[]).await;
        assert_eq!(end, call.of_plain().await, "{}", call.tool);
        assert!(!end.is_error(), "{}: {end:?}", call.tool);
        let requests = if call.kind == Immediate { 0 } else { 1 };
        assert_eq!(end.journal.len(), requests, "{}: {end:?}", call.tool);
        let seen = letters(&format!("{end:?}"));
        for leaf in leaves(&call.arguments) {
            assert!(seen.contains(&leaf), "{} has not got {leaf}: {end:?}", call.tool);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_once_is_asked_again_in_the_same_words() {
    for call in calls() {
        let fine = call.of_plain().await;
        let end = call.of_guarded(&[Weather::Failing]).await;
        match call.kind {
            Retried => {
                let twice = [fine.journal.clone(), fine.journal].concat();
                assert_eq!(end.journal, twice, "{}", call.tool);
                assert_eq!(end.answer, fine.answer, "{}", call.tool);
            }
            LastWord | Once => {
                assert_eq!(end.journal, fine.journal, "{}", call.tool);
                assert!(end.has_failed(), "{}: {end:?}", call.tool);
                assert!(end.says("connection reset"), "{}: {end:?}", call.tool);
            }
            // Nobody can see that it has failed.
            Silent => {
                assert_eq!(end.journal, fine.journal, "{}", call.tool);
                assert!(!end.is_error(), "{}: {end:?}", call.tool);
            }
            Immediate => assert_eq!(end, fine, "{}", call.tool),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_once_is_asked_again_unless_hints_forbid_it() {
    for call in guarded_calls() {
        let fine = call.of_plain().await;
        let end = call.of_guarded(&[Weather::Hanging]).await;
        if call.kind == Once {
            assert_eq!(end.journal, fine.journal, "{}", call.tool);
            assert_eq!(end.failure()["kind"], "timeout", "{}: {end:?}", call.tool);
            let advice = "It may have taken effect: check before you call it again.";
            assert!(end.says(advice), "{}: {end:?}", call.tool);
        } else {
            let twice = [fine.journal.clone(), fine.journal].concat();
            assert_eq!(end.journal, twice, "{}", call.tool);
            assert_eq!(end.answer, fine.answer, "{}", call.tool);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_reported_in_time() {
    for call in calls() {
        let begin = Instant::now();
        let end = call.of_guarded(HANGS).await;
        assert_eq!(begin.elapsed(), call.limit(), "{}: {end:?}", call.tool);
        assert_eq!(end.is_error(), call.kind != Immediate, "{}: {end:?}", call.tool);
        if call.kind != Immediate {
            let kind = match call.limit().as_secs() {
                55 => "deadline_exceeded",
                _ => "timeout",
            };
            assert_eq!(end.failure()["kind"], kind, "{}: {end:?}", call.tool);
            assert_eq!(end.failure()["attempts"], end.journal.len(), "{}: {end:?}", call.tool);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_and_the_next_call_too() {
    for call in guarded_calls() {
        let store = Store::on(World::with(&[Weather::Panicking]));
        let client = Client::of_reporting(Guarded { store: store.clone() }).await;
        let end = call.of_client(&client, &store).await;
        assert!(end.is_error(), "{}: {end:?}", call.tool);
        assert_eq!(end.failure()["kind"], "panicked", "{}: {end:?}", call.tool);
        assert_eq!(end.journal.len(), 1, "{}: {end:?}", call.tool);
        let next = call.of_client(&client, &store).await;
        assert!(!next.is_error(), "{}: {next:?}", call.tool);
        assert_eq!(next.journal.len(), 2, "{}: {next:?}", call.tool);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_tool_is_left_alone() {
    let prompts = |router: Vec<_>| serde_json::to_value(router).unwrap();
    let listed = prompts(Guarded::prompt_router().list_all());
    assert_eq!(listed, prompts(Plain::prompt_router().list_all()));
    assert_eq!(listed[0]["name"], "summarize");

    let store = Store::on(World::with(&[Weather::Failing]));
    let server = Guarded { store: store.clone() };
    let error = server.summarize(Parameters(Number { number: 7 })).await.unwrap_err();
    assert_eq!(error.message, "connection reset");
    assert_eq!(store.journal(), ["issue 7"]);
}
