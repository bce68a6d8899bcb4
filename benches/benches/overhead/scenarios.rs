//! The scenarios of one call after the other, on one thread.

use std::sync::Arc;

use sandbox_benches::contestants::{self, CallError, Settings};
use sandbox_benches::measure::{Effort, Expect, Row, Scenario};
use sandbox_benches::minimal::Counter;
use sandbox_benches::{awaited_in_a_loop, ours, tools};
use sandbox_runtime::{CircuitBreaker, sandboxed};
use tokio::time::timeout;

ours!(ready, tools::ready, Settings::STANDARD);
ours!(pending, tools::pending_once, Settings::STANDARD);
// Apart from those above, so that each is polled at one place only, as most tools of a program are.
ours!(ready_in_a_loop, tools::ready_opaque, Settings::STANDARD);
ours!(pending_in_a_loop, tools::pending_once_opaque, Settings::STANDARD);
ours!(failing, tools::failing, Settings::ONCE);
ours!(refused, tools::counted, Settings::AT_ONCE);
ours!(retried, tools::flaky, Settings::AT_ONCE);

/// The contestants of one scenario that take the policy at run time, after the bare call and ours.
fn peers<A>(scenario: &mut Scenario, tool: impl Fn(u64) -> A + Copy + Send + Sync + 'static, policy: Settings)
where
    A: Future<Output = Result<u64, String>> + Send + 'static,
{
    scenario.add("minimal engine", || {
        contestants::minimal(tool, policy, Arc::new(Counter::new(policy.threshold)))
    });
    scenario.add("backon + timeout + recloser", || {
        contestants::backon_recloser(tool, policy, contestants::recloser_breaker(policy))
    });
    scenario.add("backon + timeout + failsafe", || {
        contestants::backon_failsafe(tool, policy, contestants::failsafe_breaker(policy))
    });
    scenario.add("seatbelt", || contestants::seatbelt(tool, policy));
    scenario.add("tower-resilience", || {
        contestants::tower_one(contestants::tower_service(tool, policy))
    });
}

pub(crate) fn ready_at_once(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Value);
    scenario.add_bare(|| tools::ready);
    scenario.add("tokio timeout alone", || {
        contestants::timeout_alone(tools::ready, Settings::STANDARD)
    });
    scenario.add("ours, by attribute", || ready::by_attribute);
    scenario.add("ours, by hand", || ready::by_hand);
    scenario.add("ours, window of 20", || windowed_inline);
    scenario.add("ours, window of 20, shared static", || windowed);
    peers(&mut scenario, tools::ready, Settings::STANDARD);
    let rows = scenario.run();
    assert_window_of_successes();
    rows
}

pub(crate) fn pending_once(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Value);
    let tool = tools::pending_once;
    scenario.add_bare(|| tool);
    scenario.add("tokio timeout alone", || {
        contestants::timeout_alone(tool, Settings::STANDARD)
    });
    scenario.add("ours, by attribute", || pending::by_attribute);
    scenario.add("ours, by hand", || pending::by_hand);
    peers(&mut scenario, tool, Settings::STANDARD);
    scenario.run()
}

/// The contestants of one scenario that awaits its calls in a loop: the tool's module of [`ours!`], and how often a call is pending.
macro_rules! in_a_loop {
    ($effort:expr, $tool:path, $ours:ident, pending: $pending:literal) => {{
        let mut scenario = Scenario::new($effort, Expect::Value);
        let bare = awaited_in_a_loop!(|argument| $tool(argument));
        scenario.add_loop("bare call", $pending, bare);
        let timeout_alone = awaited_in_a_loop!(|argument| timeout(Settings::STANDARD.timeout, $tool(argument)));
        scenario.add_loop("tokio timeout alone", $pending, timeout_alone);
        let by_attribute = awaited_in_a_loop!(|argument| $ours::by_attribute(argument));
        scenario.add_loop("ours, by attribute", $pending, by_attribute);
        let by_hand = awaited_in_a_loop!(|argument| $ours::by_hand(argument));
        scenario.add_loop("ours, by hand", $pending, by_hand);
        scenario.run()
    }};
}

pub(crate) fn ready_in_a_loop(effort: Effort) -> Vec<Row> {
    in_a_loop!(effort, tools::ready_opaque, ready_in_a_loop, pending: 0)
}

pub(crate) fn pending_in_a_loop(effort: Effort) -> Vec<Row> {
    in_a_loop!(effort, tools::pending_once_opaque, pending_in_a_loop, pending: 1)
}

pub(crate) fn failing_without_retry(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Failure);
    scenario.add_bare(|| tools::failing);
    scenario.add("tokio timeout alone", || {
        contestants::timeout_alone(tools::failing, Settings::ONCE)
    });
    scenario.add("ours, by attribute", || failing::by_attribute);
    scenario.add("ours, by hand", || failing::by_hand);
    peers(&mut scenario, tools::failing, Settings::ONCE);
    scenario.run()
}

pub(crate) fn refused_by_an_open_breaker(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Refusal);
    scenario.add_bare(|| tools::counted);
    scenario.add("ours, by attribute", || refused::by_attribute);
    scenario.add("ours, by attribute, typed error", || refused::typed);
    scenario.add("ours, forced open, typed error", || {
        FORCED.force_open();
        forced_open
    });
    scenario.add("ours, by hand", || refused::by_hand);
    peers(&mut scenario, tools::counted, Settings::AT_ONCE);
    scenario.run()
}

pub(crate) fn retried_once(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::SecondValue);
    scenario.add_bare(|| {
        async |argument| match tools::flaky(argument).await {
            Ok(value) => Ok(value),
            Err(_) => tools::flaky(argument).await,
        }
    });
    scenario.add("ours, by attribute", || retried::by_attribute);
    scenario.add("ours, by hand", || retried::by_hand);
    peers(&mut scenario, tools::flaky, Settings::AT_ONCE);
    scenario.run()
}

/// The breaker without the engine: one admission and one result.
pub(crate) fn breaker_alone(effort: Effort) -> Vec<Row> {
    static CONSECUTIVE: CircuitBreaker = CircuitBreaker::new(5);
    static WINDOWED: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);
    static MIXED: CircuitBreaker = CircuitBreaker::windowed(64, 1.0);

    async fn success(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
        breaker.admit().map_err(|refusal| refusal.to_string())?.success();
        Ok(argument)
    }
    async fn mixed(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
        let permit = breaker.admit().map_err(|refusal| refusal.to_string())?;
        if argument.is_multiple_of(4) {
            permit.failure()
        } else {
            permit.success()
        }
        Ok(argument)
    }

    static FORCED: CircuitBreaker = CircuitBreaker::new(5);
    static OPEN: CircuitBreaker = CircuitBreaker::new(5).cooldown(contestants::COOLDOWN);
    FORCED.force_open();
    while !OPEN.is_open() {
        OPEN.record_failure();
    }

    async fn refused(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
        match breaker.admit() {
            Ok(_) => Err(String::new()),
            Err(_) => Ok(argument),
        }
    }

    let mut scenario = Scenario::new(effort, Expect::Value);
    scenario.add_bare(|| tools::ready);
    scenario.add("one reading of tokio's clock", || {
        async |argument| {
            std::hint::black_box(tokio::time::Instant::now());
            tools::ready(argument).await
        }
    });
    scenario.add("failures in a row: a success", || {
        async |argument| success(&CONSECUTIVE, argument).await
    });
    scenario.add("window of 20: a success", || {
        async |argument| success(&WINDOWED, argument).await
    });
    scenario.add("window of 64: every fourth a failure", || {
        async |argument| mixed(&MIXED, argument).await
    });
    scenario.add("a refusal", || async |argument| refused(&OPEN, argument).await);
    scenario.add("a refusal, forced open", || {
        async |argument| refused(&FORCED, argument).await
    });
    scenario.run()
}

static WINDOW: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);

#[sandboxed(breaker = &WINDOW)]
pub(crate) async fn windowed(argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

static FORCED: CircuitBreaker = CircuitBreaker::new(5);

#[sandboxed(breaker(window = 20, failure_rate = 0.5))]
async fn windowed_inline(argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

#[sandboxed(breaker = &FORCED)]
async fn forced_open(argument: u64) -> Result<u64, CallError> {
    tools::counted(argument).await.map_err(CallError::Tool)
}

/// Asserts that the calls so far were recorded in the window: it takes ten failures more to open the breaker.
pub(crate) fn assert_window_of_successes() {
    assert_eq!(WINDOW.failure_count(), 0);
    for failures in 1..10 {
        assert_eq!(WINDOW.record_failure(), failures);
        assert!(!WINDOW.is_open());
    }
    WINDOW.record_failure();
    assert!(
        WINDOW.is_open(),
        "the window is full of successes and takes ten failures to open"
    );
    WINDOW.reset();
}
