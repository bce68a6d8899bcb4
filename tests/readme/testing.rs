//! The tests that `docs/testing.md` and the skill show, run.

mod isolated {
    use sandbox_runtime::{sandboxed, testing, tool};

    #[sandboxed(max_retries = 0, breaker(threshold = 2))]
    async fn fetch_page(url: &str) -> Result<String, String> {
        Err(format!("no route to {url}"))
    }

    #[tokio::test]
    async fn a_page_is_given_up_after_two_failures() {
        testing::isolated(async {
            for _ in 0..3 {
                assert!(fetch_page("http://example.com").await.is_err());
            }
            let counters = tool("fetch_page").map(|tool| tool.status().counters);
            let ends = counters.map(|counters| (counters.failed(), counters.refused()));
            assert_eq!(ends, Some((2, 1)));
        })
        .await;
    }
}

mod paused {
    use sandbox_runtime::sandboxed;

    #[sandboxed(timeout_ms = 2_000, max_retries = 1, backoff_base_ms = 100)]
    async fn ask(_question: &str) -> Result<String, String> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn two_attempts_and_a_delay() {
        let begun = tokio::time::Instant::now();
        assert!(ask("is anybody there?").await.is_err());
        assert_eq!(begun.elapsed().as_millis(), 2_000 + 100 + 2_000);
    }
}

mod faults {
    use sandbox_runtime::faults::{Fault, Faults};
    use sandbox_runtime::{sandboxed, testing};

    #[sandboxed(timeout_ms = 2_000, max_retries = 2)]
    async fn search(words: &str) -> Result<String, String> {
        Ok(format!("pages about {words}"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_hangs_twice_is_answered() {
        let hangs_twice = Faults::seeded(7).on("search", Fault::Hang.first(2));
        let answer = testing::isolated(hangs_twice.scope(search("owls"))).await;
        assert_eq!(answer.as_deref(), Ok("pages about owls"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_always_hangs_is_told() {
        let hangs = Faults::seeded(7).on("search", Fault::Hang);
        let error = testing::isolated(hangs.scope(search("owls"))).await.unwrap_err();
        assert!(
            error.starts_with("`search` timed out after 2 s, in the last of 3 attempts."),
            "{error}"
        );
    }
}

mod of_the_skill {
    use sandbox_runtime::{sandboxed, testing};

    #[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker(threshold = 1))]
    async fn lookup(_word: &str) -> Result<String, String> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_lookup_is_switched_off() {
        testing::isolated(async {
            assert!(lookup("a").await.unwrap_err().contains("timed out after 1 s"));
            assert!(lookup("b").await.unwrap_err().contains("was not called"));
        })
        .await;
    }
}
