//! A rate whose scope is the fleet is that of the process until somebody sets its share: then the share is obeyed at once, whoever waits has
//! more as soon as there is more, and what is needed is known.

#![cfg(feature = "fleet")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use sandbox_runtime::fleet::{self, Demand, SharedRate};
use sandbox_runtime::{Overrides, Policy, RateScope, SandboxError, ToolHandle, sandboxed, testing, tool};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

#[sandboxed(rate(calls = 3, per_ms = 1_000, scope = fleet), queue_ms = 2_000)]
async fn ask() -> Result<u32, SandboxError> {
    Ok(1)
}

#[sandboxed(rate(calls = 3, per_ms = 1_000, scope = process))]
async fn ask_alone() -> Result<u32, SandboxError> {
    Ok(1)
}

#[sandboxed(policy = Policy::new().rate(5, SECOND).rate_scope(RateScope::Fleet))]
async fn ask_by_a_policy() -> Result<u32, SandboxError> {
    Ok(1)
}

fn rate(tool: ToolHandle) -> SharedRate {
    fleet::shared_rate(tool).unwrap()
}

#[test]
fn tools_tell_which_rates_are_shared() {
    let of = |name| fleet::shared_rate(tool(name).unwrap()).map(|rate| (rate.calls(), rate.per()));
    assert_eq!(of("ask"), Some((3, SECOND)));
    assert_eq!(of("ask_alone"), None);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_the_process_has_no_share() {
    testing::isolated(async {
        fleet::set_share(tool("ask_alone").unwrap(), Some(0));
        assert_eq!(ask_alone().await, Ok(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_process_alone_has_all_of_it() {
    testing::isolated(async {
        let tool = tool("ask").unwrap();
        for _ in 0..3 {
            assert_eq!(ask().await, Ok(1));
        }
        let start = Instant::now();
        assert_eq!(ask().await, Ok(1));
        assert_eq!(start.elapsed(), SECOND, "the fourth waits");
        assert_eq!(fleet::share(tool), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_share_is_obeyed_and_more_is_had_at_once() {
    testing::isolated(async {
        let tool = tool("ask").unwrap();
        fleet::set_share(tool, Some(1));
        assert_eq!(ask().await, Ok(1));
        let (mut second, mut third) = (pin!(ask()), pin!(ask()));
        assert!(
            poll!(&mut second).is_pending() && poll!(&mut third).is_pending(),
            "one of three"
        );
        assert!(fleet::is_share_wanted(tool));
        let demand = fleet::demand(tool, rate(tool));
        assert_eq!(demand, Demand { used: 1, wanted: 3 }, "two wait");
        assert!(fleet::is_share_wanted(tool), "as long as they wait");
        fleet::set_share(tool, Some(2));
        assert_eq!(second.await, Ok(1), "it has waited for a share and not for time");
        assert!(poll!(&mut third).is_pending());
        advance(SECOND).await;
        assert_eq!(third.await, Ok(1), "the first one is longer ago than a second");
        assert_eq!(fleet::demand(tool, rate(tool)).used, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_share_calls_wait_as_long_as_they_may() {
    testing::isolated(async {
        let tool = tool("ask").unwrap();
        fleet::set_share(tool, Some(0));
        let start = Instant::now();
        let refused = ask().await.unwrap_err();
        assert_eq!(start.elapsed(), 2 * SECOND, "the longest that it waits");
        assert!(
            matches!(
                refused,
                SandboxError::RateLimited {
                    retry_after_ms: Some(1_000),
                    by_dependency: false,
                    ..
                }
            ),
            "{refused:?}"
        );
        let demand = fleet::demand(tool, rate(tool));
        assert_eq!(demand, Demand { used: 0, wanted: 1 }, "what was refused was wanted");
        assert_eq!(fleet::demand(tool, rate(tool)).wanted, 0, "once");
        assert!(!fleet::is_share_wanted(tool), "nobody waits");
        fleet::set_share(tool, None);
        assert_eq!(ask().await, Ok(1));
    })
    .await;
}

/// Whoever makes it lower does not mean that each process has it.
#[tokio::test(start_paused = true)]
async fn an_operator_changes_the_rate_and_not_its_scope() {
    testing::isolated(async {
        let tool = tool("ask").unwrap();
        let set = |text: &str| toml::from_str::<Overrides>(text).unwrap().apply();
        set("version = 1\ntool.ask.rate = { calls = 1, per_ms = 500 }").unwrap();
        assert_eq!((rate(tool).calls(), rate(tool).per()), (1, SECOND / 2));
        set("version = 1\ntool.ask.rate = { calls = 1, per_ms = 500, scope = \"process\" }").unwrap();
        assert_eq!(fleet::shared_rate(tool), None);
        let error = set("version = 1\ntool.ask.rate = { calls = 1, per_ms = 500, scope = \"all\" }").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`scope` of `rate` is \"all\"; it takes \"process\" or \"fleet\""),
            "{error}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_a_policy_is_known_once_there_was_a_call() {
    testing::isolated(async {
        let tool = tool("ask_by_a_policy").unwrap();
        assert_eq!(fleet::shared_rate(tool), None);
        let changed = fleet::changed();
        assert_eq!(ask_by_a_policy().await, Ok(1));
        changed.await;
        assert_eq!(rate(tool).calls(), 5);
    })
    .await;
}

#[test]
fn data_keeps_the_scope() {
    let policy = Policy::new().rate(5, SECOND).rate_scope(RateScope::Fleet);
    let text = serde_json::to_string(&policy).unwrap();
    assert!(
        text.contains(r#""rate":{"calls":5,"per_ms":1000,"scope":"fleet"}"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    assert!(
        !serde_json::to_string(&Policy::new().rate(5, SECOND))
            .unwrap()
            .contains("scope")
    );
}
