//! The program knows all its annotated functions, wherever they stand and whether they were called or not.

#![allow(dead_code, reason = "tools are listed also if nobody calls them")]

use std::collections::BTreeMap;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, sandboxed, tool, tools};
use serde_json::{Value, json};

mod shop {
    pub(crate) mod index {
        use sandbox_runtime::sandboxed;

        #[sandboxed(timeout_ms = 1_234, max_retries = 4)]
        pub(crate) async fn listed_search(query: String) -> Result<String, String> {
            Ok(query)
        }

        #[sandboxed]
        pub(crate) async fn listed_twice() -> Result<(), String> {
            Ok(())
        }
    }

    #[sandboxed(max_retries = 0, breaker(threshold = 1))]
    pub(crate) async fn listed_twice() -> Result<(), String> {
        Err("down".into())
    }

    use sandbox_runtime::sandboxed;
}

/// Never called with any type.
#[sandboxed(breaker = off)]
async fn listed_generic<T: Default + Clone>(value: T) -> Result<T, String> {
    Ok(value)
}

fn around_others() {
    #[sandboxed(name = "listed inner")]
    async fn inner() -> Result<(), String> {
        Ok(())
    }
}

trait Finds {
    const NAME: &'static str;

    #[sandboxed(name = Self::NAME)]
    async fn listed_find(&self) -> Result<(), String> {
        Ok(())
    }
}

struct Shelf {
    breaker: CircuitBreaker,
}

impl Finds for Shelf {
    const NAME: &'static str = "shelf";
}

impl Shelf {
    #[sandboxed(breaker = &self.breaker, policy = Policy::new())]
    async fn listed_method(&self) -> Result<(), String> {
        Ok(())
    }
}

fn path(name: &str) -> String {
    let tools = tools();
    let found: Vec<_> = tools.iter().filter(|tool| tool.name() == name).collect();
    assert_eq!(found.len(), 1, "`{name}` among {tools}");
    format!("{}::{}", found[0].module(), found[0].name())
}

#[test]
fn wherever_they_stand() {
    let here = module_path!();
    for (name, module) in [
        ("listed_search", "::shop::index"),
        ("listed_generic", ""),
        ("listed inner", ""),
        ("listed_find", ""),
        ("listed_method", ""),
    ] {
        assert_eq!(path(name), format!("{here}{module}::{name}"));
    }
}

#[test]
fn two_of_one_name_by_their_modules() {
    let here = module_path!();
    assert!(tool("listed_twice").is_none(), "the name is that of two");
    let outer = tool(&format!("{here}::shop::listed_twice")).expect("the path is that of one");
    let inner = tool(&format!("{here}::shop::index::listed_twice")).expect("the path is that of one");
    assert_eq!(
        (outer.status().policy, inner.status().policy),
        (Policy::new().max_retries(0), Policy::new())
    );
    assert!(tool("listed_nowhere").is_none());
    assert!(tool("").is_none());
    assert!(tool("::listed_search").is_none());
}

#[sandboxed(name = "shop::listed_by_hand")]
async fn listed_with_a_path_for_a_name() -> Result<(), String> {
    Ok(())
}

#[test]
fn by_names_that_look_like_paths() {
    let by_name = tool("shop::listed_by_hand").expect("it is its name");
    let path = concat!(module_path!(), "::shop::listed_by_hand");
    let by_path = tool(path).expect("it is its path");
    assert_eq!(by_name.location(), by_path.location());
}

#[test]
fn in_an_order_that_stays() {
    let paths = || -> Vec<_> {
        let tools = tools().into_iter();
        tools.map(|tool| (tool.module(), tool.name())).collect()
    };
    let mut sorted = paths();
    sorted.sort_unstable();
    assert_eq!(paths(), sorted);
}

/// State, failures, threshold, and the rest of the cooldown.
fn state_of(status: &Value) -> Value {
    let breaker = &status["breaker"];
    let keys = ["state", "failures", "threshold", "retry_after_ms"];
    keys.iter().map(|key| breaker[*key].clone()).collect()
}

#[test]
fn with_what_was_compiled() {
    let search = tool("listed_search").expect("it is there");
    assert!(search.location().file().ends_with("tools_are_listed.rs"));
    assert_eq!(
        search.policy(),
        Policy::new()
            .timeout(std::time::Duration::from_millis(1_234))
            .max_retries(4)
    );
    let status = serde_json::to_value(search.status()).unwrap();
    assert_eq!(status["name"], "listed_search");
    assert_eq!(status["line"], search.location().line());
    assert_eq!(status["policy"]["max_retries"], 4);
    assert_eq!(state_of(&status), json!(["closed", 0, 5, null]));
    assert_eq!(
        tool("listed_generic").unwrap().breaker().map(CircuitBreaker::state),
        None
    );
    assert!(tool("listed_method").unwrap().breaker().is_none(), "its owner has it");
}

#[tokio::test(start_paused = true)]
async fn with_the_breaker_that_the_attribute_has_made() {
    let tool = tool(concat!(module_path!(), "::shop::listed_twice")).unwrap();
    let breaker = tool.breaker().unwrap();
    shop::listed_twice().await.unwrap_err();
    assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    let status = serde_json::to_value(tool.status()).unwrap();
    assert_eq!(state_of(&status), json!(["open", 1, 1, 30_000]));
    assert!(
        tool.status().to_string().contains("open for 30000 ms"),
        "{}",
        tool.status()
    );
    breaker.reset();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn as_a_table_and_as_data() {
    let tools = tools();
    let table = tools.to_string();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), tools.len() + 1, "a line for each, and the header");
    let column = lines[0].find("breaker").unwrap();
    for line in &lines[1..] {
        assert_eq!(
            line.as_bytes()[column - 1],
            b' ',
            "the columns stand below each other:\n{table}"
        );
    }
    let data = serde_json::to_value(&tools).unwrap();
    let by_name: BTreeMap<_, _> = data
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap(), tool))
        .collect();
    assert_eq!(by_name["listed_search"]["policy"]["timeout_ms"], 1_234);
}
