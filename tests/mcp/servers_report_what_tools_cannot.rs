//! A server in `Sandboxed` completes the answers that report a failure, and no others.

use std::time::Duration;

use rmcp::handler::server::wrapper::Json;
use rmcp::model::{ContentBlock, IntoContents};
use rmcp::{ErrorData, tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{Budget, SandboxError, ToolExecutionResult, sandboxed};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Client, error, text};

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
async fn search() -> Result<String, String> {
    std::future::pending().await
}

const SEARCH_TIMED_OUT: &str = "`search` timed out after 100 ms. Calling it again does no harm, but the same request is \
                                unlikely to be answered: ask for less, or go on without it.";

#[sandboxed(timeout_ms = 200, max_retries = 0, breaker = off)]
async fn list() -> Result<String, ErrorData> {
    std::future::pending().await
}

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
async fn fetch() -> anyhow::Result<String> {
    std::future::pending().await
}

/// Does not fail.
#[sandboxed(breaker = off)]
async fn log() -> Result<(), String> {
    Ok(())
}

#[sandboxed(cancel = token, breaker = off)]
async fn order(token: CancellationToken) -> Result<(), String> {
    std::future::pending().await
}

#[sandboxed(breaker = off)]
async fn render(template: &str) -> anyhow::Result<String> {
    panic!("{template}")
}

#[sandboxed(breaker = off)]
async fn hang() -> Result<(), String> {
    std::future::pending().await
}

/// Is cut once more often than the server remembers, each time after a millisecond more.
async fn cut_often() -> Vec<String> {
    let mut errors = Vec::new();
    for millis in 1..=17 {
        let run = Budget::new().deadline(Duration::from_millis(millis));
        errors.extend(run.scope(hang()).await.err());
    }
    errors
}

#[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
async fn draft(number: u32) -> Result<(), String> {
    match number {
        1 => std::future::pending().await,
        _ => Ok(()),
    }
}

/// Has a text of its own for a failure of the engine.
#[derive(Debug, thiserror::Error)]
#[error("no weather: {0}")]
struct NoWeather(#[from] SandboxError);

impl IntoContents for NoWeather {
    fn into_contents(self) -> Vec<ContentBlock> {
        self.to_string().into_contents()
    }
}

struct Server;

#[tool_router(server_handler)]
impl Server {
    #[tool]
    async fn goes_on_without(&self) -> String {
        search().await.unwrap_or_else(|_| "nothing found".to_owned())
    }

    #[tool]
    async fn quotes(&self) -> String {
        search()
            .await
            .unwrap_or_else(|error| format!("from the archive, because {error}"))
    }

    #[tool]
    async fn fails_by_itself(&self) -> Result<String, String> {
        let _ = search().await;
        Err("the index is locked".to_owned())
    }

    /// The name is that of a function that failed, and then worked.
    #[tool]
    async fn draft(&self) -> Result<String, String> {
        let _ = draft(1).await;
        draft(2).await?;
        Err("there is no paper".to_owned())
    }

    #[tool]
    async fn has_the_words_of_a_cancellation(&self) -> Result<String, String> {
        let token = CancellationToken::new();
        token.cancel();
        let _ = order(token).await;
        Err("order 7 was cancelled by the customer".to_owned())
    }

    #[tool]
    async fn has_the_words_of_a_panic(&self) -> Result<String, String> {
        let _ = render("").await;
        Err("the other server says: the tool panicked: out of memory".to_owned())
    }

    #[tool]
    async fn fails_as_the_protocol_does(&self) -> Result<String, ErrorData> {
        let _ = search().await;
        Err(ErrorData::internal_error("no index", None))
    }

    #[sandboxed(breaker = off)]
    #[tool]
    async fn has_another_way(&self) -> Result<String, String> {
        search().await.or_else(|_| Ok("from the archive".to_owned()))
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, on_failure = |_| "come back later".to_owned())]
    #[tool]
    async fn speaks_for_itself(&self) -> String {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, on_failure = |_| ())]
    #[tool]
    async fn is_silent(&self) {
        std::future::pending().await
    }

    #[tool]
    async fn hands_on(&self) -> Result<String, String> {
        search().await.map_err(|error| format!("no list: {error}"))
    }

    #[tool]
    async fn hands_on_later(&self) -> Result<String, String> {
        let found = search().await;
        log().await?;
        found
    }

    #[tool]
    async fn hands_on_the_first_of_two(&self) -> Result<String, ErrorData> {
        let (listed, found) = (list().await, search().await);
        Ok(listed? + &found.unwrap_or_default())
    }

    #[tool]
    async fn hands_on_by_anyhow(&self) -> Result<String, ErrorData> {
        let fetched = fetch().await;
        fetched.map_err(|error| ErrorData::internal_error(format!("no page: {error}"), None))
    }

    #[tool]
    async fn hands_on_a_panic(&self) -> Result<String, String> {
        render("no template").await.map_err(|error| format!("no page: {error}"))
    }

    #[tool]
    async fn hands_on_a_report(&self) -> Result<String, String> {
        let report = ToolExecutionResult::of(search()).await;
        report
            .map(|_| String::new())
            .map_err(|error| format!("no report: {error}"))
    }

    #[tool]
    async fn is_cut_and_hands_on_the_first(&self) -> Result<String, String> {
        Err(cut_often().await.swap_remove(0))
    }

    #[tool]
    async fn is_cut_and_hands_on_the_last(&self) -> Result<String, String> {
        Err(cut_often().await.swap_remove(16))
    }

    // Below `#[tool]`, which has taken the name away.
    #[tool(name = "named_for_clients")]
    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
    async fn named_for_us(&self) -> Result<Json<Vec<u32>>, NoWeather> {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off)]
    #[tool]
    async fn has_words_of_its_own(&self) -> Result<Json<Vec<u32>>, NoWeather> {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, on_failure = |_| Err("unavailable".to_owned()))]
    #[tool]
    async fn tells_nothing(&self) -> Result<String, String> {
        std::future::pending().await
    }

    #[sandboxed(
        timeout_ms = 100,
        max_retries = 0,
        breaker = off,
        on_failure = |failure| Err(ErrorData::internal_error(failure.to_string(), None))
    )]
    #[tool]
    async fn fails_with_the_text_for_logs(&self) -> Result<Json<Vec<u32>>, ErrorData> {
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 100, max_retries = 0, breaker = off, idempotent = false)]
    #[tool]
    async fn save(&self) {
        std::future::pending().await
    }

    #[tool]
    async fn does_not_know(&self) -> String {
        self.save().await;
        "saved".to_owned()
    }

    #[sandboxed(breaker = off)]
    #[tool]
    async fn does_not_know_twice(&self) -> Result<String, String> {
        self.save().await;
        self.save().await;
        Ok("saved".to_owned())
    }

    #[tool]
    async fn does_not_know_and_fails(&self) -> Result<String, ErrorData> {
        self.save().await;
        Err(ErrorData::internal_error("the disk is full", None))
    }

    #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = off)]
    #[tool]
    async fn does_not_know_and_hangs(&self) -> Result<String, ErrorData> {
        self.save().await;
        std::future::pending().await
    }

    #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker = off, idempotent = false)]
    #[tool]
    async fn saves_and_hangs(&self) {
        self.save().await;
        std::future::pending().await
    }
}

async fn call(tool: &'static str) -> Result<Value, ErrorData> {
    Client::of(|_| Sandboxed::new(Server)).await.call(tool, json!({})).await
}

/// Calls a tool whose answer has to be an error with these texts, and with data about this function.
async fn check(tool: &'static str, texts: &[&str], about: &str) {
    let answer = call(tool).await.unwrap();
    let content: Vec<_> = texts
        .iter()
        .map(|text| json!({ "type": "text", "text": text }))
        .collect();
    assert_eq!(answer["content"], json!(content), "{tool}");
    assert_eq!(answer["isError"], true, "{tool}");
    assert_eq!(answer["_meta"]["sandboxed/failure"]["tool"], about, "{tool}");
}

/// The text for the model about a tool that is idempotent.
fn timed_out(tool: &str, limit: &str) -> String {
    format!(
        "`{tool}` timed out after {limit}. Calling it again does no harm, but the same request is unlikely to be answered: \
         ask for less, or go on without it."
    )
}

/// The text for the model about a tool that is not idempotent.
fn may_be_done(tool: &str, limit: &str) -> String {
    format!("`{tool}` timed out after {limit}. It may have taken effect: check before you call it again.")
}

/// Tools without the attribute.
struct Unguarded;

#[tool_router(server_handler)]
impl Unguarded {
    #[tool]
    fn at_once(&self) -> String {
        panic!("a secret")
    }

    #[tool]
    async fn later(&self) -> String {
        tokio::task::yield_now().await;
        panic!("a secret")
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_nobody_guards_and_that_panics() {
    let client = Client::of(|_| Sandboxed::new(Unguarded)).await;
    for tool in ["at_once", "later"] {
        let text = format!("`{tool}` crashed. The same call is likely to crash again: change it, or go on without it.");
        assert_eq!(client.call(tool, json!({})).await, Ok(error(&text)), "{tool}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_report_no_failure_are_left_alone() {
    for (tool, answer) in [
        ("goes_on_without", text("nothing found")),
        ("quotes", text(&format!("from the archive, because {SEARCH_TIMED_OUT}"))),
        ("fails_by_itself", error("the index is locked")),
        ("draft", error("there is no paper")),
        (
            "has_the_words_of_a_cancellation",
            error("order 7 was cancelled by the customer"),
        ),
        (
            "has_the_words_of_a_panic",
            error("the other server says: the tool panicked: out of memory"),
        ),
        ("has_another_way", text("from the archive")),
        ("speaks_for_itself", text("come back later")),
        ("is_silent", json!({ "content": [], "isError": false })),
    ] {
        assert_eq!(call(tool).await, Ok(answer), "{tool}");
    }
    let answer = call("fails_as_the_protocol_does").await;
    assert_eq!(answer, Err(ErrorData::internal_error("no index", None)));
}

#[tokio::test(start_paused = true)]
async fn errors_that_quote_a_failure_get_its_data() {
    for (tool, words, about) in [
        ("hands_on", format!("no list: {SEARCH_TIMED_OUT}"), "search"),
        ("hands_on_later", SEARCH_TIMED_OUT.to_owned(), "search"),
        ("hands_on_the_first_of_two", timed_out("list", "200 ms"), "list"),
        (
            "hands_on_by_anyhow",
            "no page: timed out: no answer within 100 ms".to_owned(),
            "fetch",
        ),
        (
            "hands_on_a_panic",
            "no page: the tool panicked: no template".to_owned(),
            "render",
        ),
        (
            "hands_on_a_report",
            "no report: timed out: no answer within 100 ms".to_owned(),
            "search",
        ),
    ] {
        check(tool, &[&words], about).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_tools_own_error_lacks_stands_below_it() {
    for (tool, words) in [
        ("has_words_of_its_own", "no weather: timed out: no answer within 100 ms"),
        ("named_for_clients", "no weather: timed out: no answer within 100 ms"),
        ("tells_nothing", "unavailable"),
        (
            "fails_with_the_text_for_logs",
            "`fails_with_the_text_for_logs` timed out after 100 ms",
        ),
    ] {
        check(tool, &[words, &timed_out(tool, "100 ms")], tool).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_a_tool_could_not_return_stands_below_the_answer() {
    let saved = may_be_done("save", "100 ms");
    check("does_not_know", &["saved", &saved], "save").await;
    check("does_not_know_twice", &["saved", &saved], "save").await;
    check("does_not_know_and_fails", &["the disk is full", &saved], "save").await;
    let tool = "does_not_know_and_hangs";
    check(tool, &[&timed_out(tool, "1 s"), &saved], tool).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_that_return_nothing_the_outer_one_is_reported() {
    let tool = "saves_and_hangs";
    check(tool, &[&may_be_done(tool, "1 s")], tool).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(
    expected = "`save` timed out after 100 ms; a function that returns `()` can report it only when a client \
                           calls it as a tool, and the server is in `sandbox_runtime::mcp::Sandboxed`; return a \
                           `Result`"
)]
async fn and_elsewhere_it_panics() {
    Server.save().await;
}

#[tokio::test(start_paused = true)]
async fn the_latest_of_many_are_remembered() {
    let cut = |millis: u32| {
        format!("`hang` did not finish in the {millis} ms that it had. Ask for less, or go on without it.")
    };
    check("is_cut_and_hands_on_the_last", &[&cut(17)], "hang").await;
    assert_eq!(call("is_cut_and_hands_on_the_first").await, Ok(error(&cut(1))));
}
