//! Half-open, what the tool of a probe calls with the same breaker shares the probe's slot, and what runs beside it does not.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, SandboxError, execute_with_controls, sandboxed};
use serde_json::Value;

use crate::support::{Script, Step};

const ONCE: Policy = Policy::new().timeout(Duration::from_millis(100)).max_retries(0);
const COOLDOWN: Duration = Duration::from_secs(10);

/// Resolves to whether the tool succeeded, or to a refusal.
async fn call(breaker: &CircuitBreaker, tool: impl Future<Output = bool>) -> Result<bool, SandboxError> {
    let mut tool = Some(tool);
    let attempt = || {
        let tool = tool.take().unwrap();
        async move {
            match tool.await {
                true => Ok(Value::Null),
                false => Err("failed".to_owned()),
            }
        }
    };
    let result = execute_with_controls(&ONCE, breaker, attempt).await;
    result.map(|result| result.success)
}

async fn half_open(probes: u32) -> CircuitBreaker {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN).probes(probes);
    breaker.record_failure();
    tokio::time::advance(COOLDOWN).await;
    breaker
}

async fn well() -> bool {
    tokio::task::yield_now().await;
    true
}

#[tokio::test(start_paused = true)]
async fn the_outer_result_decides() {
    for (inner, outer, expected) in [
        (true, true, BreakerState::Closed),
        (false, true, BreakerState::Closed),
        (true, false, BreakerState::Open { retry_after: COOLDOWN }),
        (false, false, BreakerState::Open { retry_after: COOLDOWN }),
    ] {
        let breaker = half_open(1).await;
        let tool = async {
            tokio::task::yield_now().await;
            assert_eq!(call(&breaker, async { well().await && inner }).await, Ok(inner));
            assert_eq!(breaker.state(), BreakerState::HalfOpen, "the inner one has decided");
            assert!(!breaker.is_open(), "a second call would be refused");
            assert_eq!(call(&breaker, async { well().await && inner }).await, Ok(inner));
            outer
        };
        assert_eq!(call(&breaker, tool).await, Ok(outer));
        assert_eq!(breaker.state(), expected, "inner: {inner}, outer: {outer}");
        assert_eq!(
            breaker.failure_count(),
            u32::from(!outer),
            "inner: {inner}, outer: {outer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_inner_call_takes_no_slot_of_others() {
    let breaker = half_open(2).await;
    let tool = async {
        assert_eq!(call(&breaker, well()).await, Ok(true));
        true
    };
    assert_eq!(call(&breaker, tool).await, Ok(true));
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "one success of two");
    assert_eq!(call(&breaker, well()).await, Ok(true));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

fn recursive(breaker: &CircuitBreaker, depth: u32) -> Pin<Box<dyn Future<Output = bool> + '_>> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        depth == 0 || call(breaker, recursive(breaker, depth - 1)).await == Ok(true)
    })
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_calls_itself() {
    let breaker = half_open(1).await;
    assert_eq!(call(&breaker, recursive(&breaker, 9)).await, Ok(true));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

fn alternating<'a>(
    one: &'a CircuitBreaker,
    other: &'a CircuitBreaker,
    depth: u32,
) -> Pin<Box<dyn Future<Output = bool> + 'a>> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        depth == 0 || call(other, alternating(other, one, depth - 1)).await == Ok(true)
    })
}

#[tokio::test(start_paused = true)]
async fn two_tools_that_call_each_other_with_a_breaker_each() {
    let (one, other) = (half_open(1).await, half_open(1).await);
    assert_eq!(call(&one, alternating(&one, &other, 5)).await, Ok(true));
    assert_eq!(
        (one.state(), other.state()),
        (BreakerState::Closed, BreakerState::Closed)
    );
}

trait Lookup {
    fn lookup(&self) -> Pin<Box<dyn Future<Output = bool> + '_>>;
}

struct Cached<'a> {
    breaker: &'a CircuitBreaker,
    source: Option<Box<dyn Lookup + 'a>>,
}

impl Lookup for Cached<'_> {
    fn lookup(&self) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(async {
            let tool = async {
                match &self.source {
                    Some(source) => source.lookup().await,
                    None => well().await,
                }
            };
            call(self.breaker, tool).await == Ok(true)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn tools_behind_trait_objects() {
    let breaker = &half_open(1).await;
    let layer = |source| Box::new(Cached { breaker, source });
    let layers = layer(Some(layer(Some(layer(None)))));
    assert!(layers.lookup().await, "refused within");
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn inner_calls_side_by_side_all_share_the_slot() {
    let breaker = half_open(1).await;
    let tool = async {
        let results = tokio::join!(
            call(&breaker, well()),
            call(&breaker, async { false }),
            call(&breaker, well())
        );
        assert_eq!(results, (Ok(true), Ok(false), Ok(true)));
        true
    };
    assert_eq!(call(&breaker, tool).await, Ok(true));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_beside_the_probe_does_not_share_it() {
    let breaker = half_open(1).await;
    let tool = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert_eq!(call(&breaker, well()).await, Ok(true));
        }
        true
    };
    let beside = async {
        for _ in 0..3 {
            let refusal = call(&breaker, well()).await;
            assert!(
                refusal.is_err_and(|error| error.is_circuit_open()),
                "it shares the slot"
            );
            tokio::time::sleep(Duration::from_millis(9)).await;
        }
    };
    let (outer, ()) = tokio::join!(call(&breaker, tool), beside);
    assert_eq!(outer, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_the_tool_spawns_does_not_share_its_slot() {
    let breaker = Arc::new(half_open(1).await);
    let tool = async {
        let shared = Arc::clone(&breaker);
        let refusal = tokio::spawn(async move { shared.admit().err() }).await.unwrap();
        assert!(
            refusal.is_some_and(|error| error.is_circuit_open()),
            "it shares the slot"
        );
        assert!(
            breaker.admit().is_ok_and(|permit| !permit.is_probe()),
            "by hand, within the tool"
        );
        true
    };
    assert_eq!(call(&breaker, tool).await, Ok(true));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn inner_calls_that_are_dropped_or_time_out_leave_the_slot_to_the_probe() {
    let breaker = half_open(1).await;
    let tool = async {
        let dropped = tokio::time::timeout(Duration::from_millis(10), call(&breaker, pending())).await;
        assert!(dropped.is_err());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let inner = Policy::new()
            .timeout(Duration::from_millis(10))
            .max_retries(1)
            .backoff_base(Duration::ZERO);
        let script = Script::new(&[Step::Hang, Step::Answer]);
        let retried = execute_with_controls(&inner, &breaker, || script.run()).await.unwrap();
        assert_eq!(
            (retried.success, retried.attempts),
            (true, 2),
            "the inner call is retried as ever"
        );
        true
    };
    let beside = async {
        tokio::time::sleep(Duration::from_millis(15)).await;
        assert!(breaker.admit().is_err(), "an inner call has freed the slot");
    };
    let (outer, ()) = tokio::join!(call(&breaker, tool), beside);
    assert_eq!(outer, Ok(true));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

/// The scope ends with each poll, also of a tool that panics.
#[tokio::test(start_paused = true)]
async fn after_a_panic_nobody_shares_the_slot_of_a_probe() {
    let panicked = half_open(1).await;
    let tool = async {
        tokio::task::yield_now().await;
        panic!("expected")
    };
    assert!(call(&panicked, tool).await.is_err());
    tokio::time::advance(COOLDOWN).await;
    let _probe = panicked.admit().unwrap();
    assert!(panicked.admit().is_err(), "within a tool that is over");
}

/// A tool within that is of another breaker has its own slot.
#[tokio::test(start_paused = true)]
async fn breakers_do_not_share_slots() {
    let (outer, inner) = (half_open(1).await, half_open(1).await);
    let tool = async {
        let _probe = inner.admit().unwrap();
        call(&inner, well()).await.is_err()
    };
    assert_eq!(
        call(&outer, tool).await,
        Ok(true),
        "not refused within the other's probe"
    );
}

static LENT: CircuitBreaker = CircuitBreaker::new(1).cooldown(COOLDOWN);

/// Its attempts borrow `log` one after the other.
#[sandboxed(max_retries = 1, breaker = &LENT)]
async fn with_a_log(log: &mut Vec<u32>, depth: u32) -> Result<u32, String> {
    tokio::task::yield_now().await;
    log.push(depth);
    match depth {
        0 => Ok(0),
        _ => Ok(1 + Box::pin(with_a_log(log, depth - 1)).await?),
    }
}

#[tokio::test(start_paused = true)]
async fn tools_that_borrow_their_arguments() {
    LENT.record_failure();
    tokio::time::advance(COOLDOWN).await;
    let mut log = Vec::new();
    assert_eq!(with_a_log(&mut log, 3).await, Ok(3));
    assert_eq!(log, [3, 2, 1, 0]);
    assert_eq!(LENT.state(), BreakerState::Closed);
}
