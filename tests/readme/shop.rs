//! What an operator writes, as `docs/operating.md` has it, is applied to the tools of a shop. The crate is called as the program of
//! that page.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbox_runtime::{Overrides, sandboxed, tool, tools};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/operating.md");
const SCHEMA: &str = include_str!("../../docs/overrides.schema.json");

mod index {
    #[sandbox_runtime::sandboxed]
    pub(crate) async fn search(words: String) -> Result<String, String> {
        Ok(words)
    }
}

mod mail {
    #[sandbox_runtime::sandboxed]
    pub(crate) async fn send(letter: String) -> Result<String, String> {
        Ok(letter)
    }
}

/// Another one with the name.
#[sandboxed]
async fn send(parcel: String) -> Result<String, String> {
    Ok(parcel)
}

/// Settings are those of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The page's only snippet in this language with these words.
fn snippet(language: &str, words: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let snippets = PAGE.split(&fence).skip(1);
    let mut snippets = snippets
        .map(|rest| rest.split("```").next().unwrap())
        .filter(|text| text.contains(words));
    let found = snippets.next().expect(words);
    assert_eq!(snippets.next(), None, "one snippet has `{words}`");
    found
}

fn in_force(name: &str) -> Value {
    let status = tool(name).expect(name).status();
    serde_json::to_value(status.policy_in_force).unwrap()
}

#[test]
fn the_settings_are_applied_and_the_same_in_both_formats() {
    let _alone = alone();
    let toml: Overrides = toml::from_str(snippet("toml", "version = 1")).unwrap();
    let json: Overrides = serde_json::from_str(snippet("json", "version")).unwrap();
    assert_eq!(toml, json);
    json.apply().unwrap();
    let search = json!({
        "timeout_ms": 2_000,
        "max_retries": 1,
        "backoff_base_ms": 200,
        "backoff_max_ms": 2_000,
        "deadline_ms": 8_000,
        "jitter": "full",
        "idempotent": true,
        "max_concurrent": 10,
        "queue_ms": 1_000,
        "rate": { "calls": 30, "per_ms": 1_000 },
    });
    assert_eq!(in_force("search"), search);
    let mail = in_force("shop::mail::send");
    assert_eq!(
        (&mail["timeout_ms"], &mail["max_retries"], &mail["idempotent"]),
        (&json!(10_000), &json!(2), &json!(false))
    );
    assert_eq!(
        in_force("shop::send")["idempotent"],
        json!(true),
        "another one with the name"
    );
    Overrides::clear();
}

#[test]
fn the_settings_have_every_key_of_the_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let settings = snippet("toml", "version = 1");
    for key in schema["$defs"]["settings"]["properties"].as_object().unwrap().keys() {
        assert!(
            settings.contains(&format!("\n{key} = ")),
            "the page does not show `{key}`"
        );
    }
}

#[test]
fn what_is_wrong_is_told_as_the_page_has_it() {
    let _alone = alone();
    let document = "version = 1\n[tool.\"serch\"]\ntimeout_ms = 5\n[tool.\"search\"]\nbreaker = \"off\"\n";
    let told = toml::from_str::<Overrides>(document)
        .unwrap()
        .apply()
        .unwrap_err()
        .to_string();
    let mut told: Vec<_> = told
        .lines()
        .map(|line| line.replace("overrides were not applied: ", ""))
        .collect();
    told.sort();
    let page = snippet("text", "were not applied").replace("overrides were not applied: ", "");
    let mut page: Vec<_> = page.lines().map(str::to_owned).collect();
    page.sort();
    assert_eq!(told, page);
}

fn reload(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let settings: Overrides = toml::from_str(&std::fs::read_to_string(path)?)?;
    settings.apply()?;
    Ok(())
}

fn move_the_index() {
    let ten_minutes = Some(Duration::from_secs(600));
    tools()
        .within("shop::index")
        .disable("the index is being moved", ten_minutes);
}

fn switch_off_search() {
    if let Some(search) = tool("search") {
        search.force_open();
    }
}

#[test]
fn the_functions_here_are_those_of_the_page() {
    let here = include_str!("shop.rs");
    for words in ["fn reload", "fn move_the_index"] {
        for function in snippet("rust", words)
            .split("\n\n")
            .filter(|part| part.starts_with("fn "))
        {
            assert!(here.contains(function.trim()), "not in this file:\n{function}");
        }
    }
}

#[test]
fn a_file_is_read_again() {
    let _alone = alone();
    let path = std::env::temp_dir().join(format!("sandbox-readme-{}.toml", std::process::id()));
    std::fs::write(&path, "version = 1\n[tool.\"search\"]\ntimeout_ms = 77\n").unwrap();
    let read = reload(&path);
    std::fs::write(&path, "version = 1\n[tool.\"search\"]\ntimeout_ms = 0\n").unwrap();
    let refused = reload(&path);
    std::fs::remove_file(&path).unwrap();
    read.unwrap();
    assert!(refused.is_err());
    assert_eq!(in_force("search")["timeout_ms"], 77, "what was in force still is");
    Overrides::clear();
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn models_read_what_the_page_has() {
    let _alone = alone();
    move_the_index();
    let told = index::search("cats".into()).await.unwrap_err();
    assert_eq!(format!("{told}\n"), snippet("text", "switched off by its operator"));
    assert!(mail::send("a letter".into()).await.is_ok() && send("a parcel".into()).await.is_ok());
    tools().enable();
    switch_off_search();
    assert!(index::search("cats".into()).await.is_err());
    tools().reset();
    assert!(index::search("cats".into()).await.is_ok());
}
