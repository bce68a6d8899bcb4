//! The programs of `docs/by-hand.md`: settings from a file, and a tool in a struct.

mod file {
    use std::path::Path;

    use sandbox_runtime::{Policy, sandboxed};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Settings {
        index: String,
        #[serde(default)] // without the table, the defaults
        search: Policy,
    }

    struct Search {
        settings: Settings,
    }

    impl Search {
        fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
            let settings: Settings = toml::from_str(&std::fs::read_to_string(path)?)?;
            settings.search.validate()?; // such as a deadline that is not longer than the time limit
            Ok(Search { settings })
        }

        #[sandboxed(policy = self.settings.search)]
        async fn find(&self, words: String) -> Result<String, std::io::Error> {
            Ok(format!("{words} in {}", self.settings.index))
        }
    }

    mod tests {
        use std::error::Error;

        use sandbox_runtime::Policy;

        use super::Search;
        use crate::support::{fences, read};

        /// What a program makes of a file with this text.
        fn search(name: &str, text: &str) -> Result<Search, Box<dyn Error>> {
            let path = std::env::temp_dir().join(format!("sandbox-readme-{}-{name}.toml", std::process::id()));
            std::fs::write(&path, text).unwrap();
            let search = Search::read(&path);
            std::fs::remove_file(&path).unwrap();
            search
        }

        #[tokio::test]
        async fn the_file_of_the_page_has_every_key() {
            let page = read("docs/by-hand.md");
            let files = fences(&page, "toml");
            let file = files.iter().find(|fence| fence.text.contains("[search]")).unwrap();
            let search = search("page", &file.text).unwrap();
            let policy = serde_json::to_value(search.settings.search).unwrap();
            let schema: serde_json::Value = serde_json::from_str(&read("docs/overrides.schema.json")).unwrap();
            for key in schema["$defs"]["settings"]["properties"].as_object().unwrap().keys() {
                assert!(policy.get(key).is_some(), "the file does not set `{key}`");
            }
            assert_eq!(policy["rate"], serde_json::json!({ "calls": 30, "per_ms": 1_000 }));
            assert_eq!(
                search.find("cats".into()).await.unwrap(),
                "cats in http://127.0.0.1:7700"
            );
        }

        #[test]
        fn mistakes_are_told_where_the_program_begins() {
            let told = |name, settings: &str| {
                search(name, &format!("index = \"i\"\n{settings}"))
                    .err()
                    .unwrap()
                    .to_string()
            };
            let unknown = told("unknown", "[search]\nretries = 2\n");
            assert!(unknown.contains("did you mean `max_retries`?"), "{unknown}");
            assert!(told("rule", "[search]\ntimeout_ms = 5\ndeadline_ms = 5\n").contains("`deadline_ms`"));
            let search = search("none", "index = \"i\"\n").unwrap();
            assert_eq!(search.settings.search, Policy::new(), "without the table");
        }
    }
}

mod kept {
    use std::borrow::Cow;

    use sandbox_runtime::tool::{Tool, TypedHandler};
    use sandbox_runtime::{CircuitBreaker, Policy, execute_with_controls};

    /// A tool with its settings and a breaker of its own.
    struct Guarded<F> {
        policy: Policy,
        breaker: CircuitBreaker,
        tool: Tool<F, TypedHandler>,
    }

    impl<F, A> Guarded<F>
    where
        F: FnMut() -> A + Clone,
        A: Future<Output = Result<String, String>>,
    {
        fn new(name: impl Into<Cow<'static, str>>, policy: Policy, function: F) -> Self {
            Guarded {
                policy,
                breaker: CircuitBreaker::new(5),
                tool: Tool::new(name, function),
            }
        }

        async fn call(&self) -> Result<String, String> {
            execute_with_controls(self.policy, &self.breaker, self.tool.clone()).await
        }
    }

    mod tests {
        use sandbox_runtime::{BreakerState, Policy};

        use super::Guarded;

        #[tokio::test(start_paused = true)]
        async fn each_has_its_breaker() {
            let hangs = Guarded::new("hangs", Policy::new().max_retries(4), std::future::pending);
            let works = Guarded::new(format!("{}.works", "local"), Policy::new(), || async {
                Ok("done".to_owned())
            });
            let told = hangs.call().await.unwrap_err();
            assert!(
                told.starts_with("`hangs` timed out after 30 s, in the last of 5 attempts."),
                "{told}"
            );
            assert!(matches!(hangs.breaker.state(), BreakerState::Open { .. }));
            assert_eq!(works.call().await.as_deref(), Ok("done"));
        }
    }
}
