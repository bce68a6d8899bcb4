//! The generated crates.

use std::fmt::Write as _;

/// A crate of tools by attribute, and the same tools by hand.
pub(crate) const BY_ATTRIBUTE: &str = "by-attribute";
pub(crate) const BY_HAND: &str = "by-hand";
/// The same functions without an engine.
pub(crate) const PLAIN: &str = "plain";
/// A crate that depends on ours, and one that depends on the largest of what ours depends on.
pub(crate) const WITH: &str = "with-sandbox";
pub(crate) const WITHOUT: &str = "without-sandbox";
/// The same with thiserror, which comes with ours as well.
pub(crate) const THISERROR: &str = "without-sandbox-with-thiserror";

/// How many tools a crate of them has.
pub(crate) const TOOLS: usize = 300;

/// All files, by their paths in the workspace; `runtime` is where `sandbox-runtime` is.
pub(crate) fn files(runtime: &str) -> Vec<(String, String)> {
    let ours = format!("sandbox-runtime = {{ path = \"{runtime}\" }}\n");
    let tokio = "tokio = { version = \"1\", features = [\"time\", \"rt\"] }\n";
    let serde = "serde = { version = \"1\", features = [\"derive\"] }\nserde_json = \"1\"\n";
    // As macros have it, for the machine that compiles: a build script's dependency is built with the same settings.
    let syn = "[build-dependencies]\nsyn = { version = \"3\", default-features = false, \
               features = [\"full\", \"parsing\", \"printing\", \"proc-macro\", \"clone-impls\"] }\n";
    let mut files = vec![
        (
            String::from("Cargo.toml"),
            format!(
                "[workspace]\nresolver = \"3\"\nmembers = [\"{BY_ATTRIBUTE}\", \"{BY_HAND}\", \"{PLAIN}\", \"{WITH}\", \"{WITHOUT}\", \
                 \"{THISERROR}\"]\n\n[profile.release]\nstrip = true\n"
            ),
        ),
        (format!("{WITHOUT}/build.rs"), String::from("fn main() {}\n")),
        (format!("{THISERROR}/build.rs"), String::from("fn main() {}\n")),
    ];
    for (package, dependencies, source) in [
        (BY_ATTRIBUTE, format!("{ours}{tokio}"), tools(BY_ATTRIBUTE)),
        (BY_HAND, format!("{ours}{tokio}"), tools(BY_HAND)),
        (PLAIN, format!("{ours}{tokio}"), tools(PLAIN)),
        (WITH, ours.clone(), String::new()),
        (WITHOUT, format!("{tokio}{serde}{syn}"), String::new()),
        (
            THISERROR,
            format!("{tokio}{serde}thiserror = \"2\"\n{syn}"),
            String::new(),
        ),
    ] {
        let manifest = format!(
            "[package]\nname = \"{package}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}"
        );
        files.push((format!("{package}/Cargo.toml"), manifest));
        files.push((format!("{package}/src/lib.rs"), source));
        if [BY_ATTRIBUTE, BY_HAND, PLAIN].contains(&package) {
            files.push((format!("{package}/src/main.rs"), program(package)));
        }
    }
    files
}

/// The source of one of the two crates of tools: three kinds in turns, with the same bodies in both.
pub(crate) fn tools(package: &str) -> String {
    let kinds = match package {
        BY_ATTRIBUTE | PLAIN => [ATTRIBUTE_NUMBER, ATTRIBUTE_PAGE, ATTRIBUTE_SEARCH],
        _ => [HAND_NUMBER, HAND_PAGE, HAND_SEARCH],
    };
    let mut source = String::from(PRELUDE);
    for (number, kind) in (0..TOOLS).zip(kinds.iter().cycle()) {
        // Without its attribute, a tool is a plain function.
        let kind = match (package, kind.trim_start().split_once('\n')) {
            (PLAIN, Some((_, function))) => function,
            _ => kind,
        };
        let _ = write!(source, "{}", kind.replace("NUMBER", &number.to_string()));
    }
    source
}

/// A program that calls every tool of a crate, each in a future of its own.
fn program(package: &str) -> String {
    let library = package.replace('-', "_");
    let calls: String = (0..TOOLS)
        .zip(["1", "String::new()", "&[], String::new(), 1"].iter().cycle())
        .map(|(number, arguments)| format!("    call(async {{ drop({library}::tool{number}({arguments}).await) }});\n"))
        .collect();
    format!(
        "fn call(call: impl Future<Output = ()> + 'static) {{\n    \
             let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();\n    \
             runtime.block_on(Box::pin(call) as std::pin::Pin<Box<dyn Future<Output = ()>>>);\n}}\n\n\
         fn main() {{\n{calls}}}\n"
    )
}

const PRELUDE: &str = r#"
#![allow(unused_imports)]
use sandbox_runtime::{CircuitBreaker, Policy, SandboxError, Tool, execute_with_controls, sandboxed};
use std::time::Duration;

#[derive(Debug)]
pub enum SearchError {
    Empty,
    Sandbox(SandboxError),
}

impl From<SandboxError> for SearchError {
    fn from(error: SandboxError) -> Self {
        SearchError::Sandbox(error)
    }
}
"#;

const ATTRIBUTE_NUMBER: &str = r#"
#[sandboxed]
pub async fn toolNUMBER(id: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    id.checked_add(NUMBER).ok_or_else(|| format!("{id} is too large"))
}
"#;

const HAND_NUMBER: &str = r#"
const POLICYNUMBER: Policy = Policy::new();
static BREAKERNUMBER: CircuitBreaker = CircuitBreaker::new(5);

pub async fn toolNUMBER(id: u64) -> Result<u64, String> {
    let tool = Tool::new("toolNUMBER", || async move {
        tokio::task::yield_now().await;
        id.checked_add(NUMBER).ok_or_else(|| format!("{id} is too large"))
    });
    execute_with_controls(&POLICYNUMBER, &BREAKERNUMBER, tool).await
}
"#;

const ATTRIBUTE_PAGE: &str = r#"
#[sandboxed(timeout_ms = 5_000, max_retries = 2, backoff_base_ms = 100)]
pub async fn toolNUMBER(path: String) -> Result<String, std::io::Error> {
    tokio::task::yield_now().await;
    let page = std::fs::read_to_string(path)?;
    Ok(page)
}
"#;

const HAND_PAGE: &str = r#"
const POLICYNUMBER: Policy = Policy::new()
    .timeout(Duration::from_secs(5))
    .max_retries(2)
    .backoff_base(Duration::from_millis(100));
static BREAKERNUMBER: CircuitBreaker = CircuitBreaker::new(5);

pub async fn toolNUMBER(path: String) -> Result<String, std::io::Error> {
    let tool = Tool::new("toolNUMBER", || {
        let path = path.clone();
        async move {
            tokio::task::yield_now().await;
            let page = std::fs::read_to_string(path)?;
            Ok(page)
        }
    });
    execute_with_controls(&POLICYNUMBER, &BREAKERNUMBER, tool).await
}
"#;

const ATTRIBUTE_SEARCH: &str = r#"
#[sandboxed(timeout_ms = 2_000, breaker(threshold = 3, cooldown_ms = 10_000))]
pub async fn toolNUMBER(words: &[String], query: String, limit: usize) -> Result<Vec<String>, SearchError> {
    if query.is_empty() {
        return Err(SearchError::Empty);
    }
    tokio::task::yield_now().await;
    Ok(words.iter().filter(|word| word.contains(&query)).take(limit).cloned().collect())
}
"#;

const HAND_SEARCH: &str = r#"
const POLICYNUMBER: Policy = Policy::new().timeout(Duration::from_secs(2));
static BREAKERNUMBER: CircuitBreaker = CircuitBreaker::new(3).cooldown(Duration::from_secs(10));

pub async fn toolNUMBER(words: &[String], query: String, limit: usize) -> Result<Vec<String>, SearchError> {
    let tool = Tool::new("toolNUMBER", || {
        let query = query.clone();
        async move {
            if query.is_empty() {
                return Err(SearchError::Empty);
            }
            tokio::task::yield_now().await;
            Ok(words.iter().filter(|word| word.contains(&query)).take(limit).cloned().collect())
        }
    });
    execute_with_controls(&POLICYNUMBER, &BREAKERNUMBER, tool).await
}
"#;
