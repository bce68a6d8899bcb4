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
