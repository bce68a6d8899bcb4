//! What a call costs in allocations and in the size of its future: counts that do not vary. `arguments_are_pristine.rs`
//! shows how often arguments are cloned.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use allocation_counter::measure;
use sandbox_runtime::observe::{Event, Observer, observe_in};
use sandbox_runtime::{Budget, CircuitBreaker, KeyedBreakers, Policy, Tool, execute_with_controls, sandboxed};
use tokio::runtime::{Builder, Runtime};

/// A sandboxed future may be larger than its tool's by the timer (112 bytes), the call (breaker, admission, count and start:
/// 24), the tags of the states (16), and the argument that is kept for further attempts (16, and 8 in the function).
const OVERHEAD: usize = 176;

async fn tool(number: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    Ok(number)
}

#[sandboxed]
async fn sandboxed_tool(number: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    Ok(number)
}

/// Scopes are put into each other: of a run, of an observer, of a request. Each adds what it is, and not the future once more.
#[test]
fn a_scope_is_not_larger_than_what_is_in_it_by_more_than_this() {
    struct Silent;
    impl Observer for Silent {
        fn on_event(&self, _: &Event<'_>) {}
    }
    let large = async {
        let kept = [0_u8; 10_000];
        tokio::task::yield_now().await;
        kept
    };
    let alone = size_of_val(&large);
    let within = Budget::new().scope(observe_in(Silent, Budget::inherit(large)));
    let added = size_of_val(&within) - alone;
    assert!(added <= 256, "three scopes add {added} bytes");
}

#[test]
fn a_call_is_not_larger_than_its_tool_by_more_than_this() {
    let (plain, sandboxed) = (size_of_val(&tool(1)), size_of_val(&sandboxed_tool(1)));
    assert!(sandboxed <= plain + OVERHEAD, "{sandboxed} bytes for a tool of {plain}");
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// How often `call` allocates at its second time: at the first, the runtime and the breaker's clock set themselves up.
fn allocations<T>(call: impl AsyncFn() -> T) -> u64 {
    let runtime = runtime();
    runtime.block_on(async { call().await });
    runtime.block_on(async {
        let mut future = pin!(call());
        let mut total = 0;
        std::future::poll_fn(|cx| {
            let mut polled = Poll::Pending;
            total += measure(|| polled = future.as_mut().poll(cx).map(drop)).count_total;
            polled
        })
        .await;
        total
    })
}

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(10))
    .backoff_base(Duration::from_millis(1));

/// A call whose attempts take `millis` and then return `result`; without `millis` they hang.
async fn call(breaker: &CircuitBreaker, millis: Option<u64>, result: Result<u64, u64>) -> Result<u64, u64> {
    let tool = Tool::new("tool", || async move {
        match millis {
            Some(0) => {}
            Some(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            None => std::future::pending().await,
        }
        result
    });
    execute_with_controls(&POLICY, breaker, tool.on_failure(|failure| Err(failure.elapsed_ms))).await
}

#[test]
fn no_call_allocates_however_it_ends() {
    static STEADY: CircuitBreaker = CircuitBreaker::disabled();
    static COUNTING: CircuitBreaker = CircuitBreaker::windowed(64, 1.0);
    static OPEN: CircuitBreaker = CircuitBreaker::new(0);
    for breaker in [&STEADY, &COUNTING] {
        assert_eq!(
            allocations(async || call(breaker, Some(0), Ok(1)).await),
            0,
            "ready at once"
        );
        assert_eq!(
            allocations(async || call(breaker, Some(5), Ok(1)).await),
            0,
            "after a wait"
        );
        assert_eq!(
            allocations(async || call(breaker, Some(0), Err(1)).await),
            0,
            "failed and retried"
        );
        assert_eq!(
            allocations(async || call(breaker, None, Ok(1)).await),
            0,
            "timed out and retried"
        );
    }
    assert_eq!(allocations(async || call(&OPEN, Some(0), Ok(1)).await), 0, "refused");
    // Yielding allocates: the runtime keeps the waker of the task.
    let (plain, sandboxed) = (
        allocations(async || tool(1).await),
        allocations(async || sandboxed_tool(1).await),
    );
    assert_eq!(sandboxed, plain, "by the attribute");
}

static HOSTS: KeyedBreakers<String> = KeyedBreakers::new(2, CircuitBreaker::new(5));

#[sandboxed(breaker = HOSTS.of(&host), on_failure = |_| Err(0))]
async fn fetch(host: &str) -> Result<usize, usize> {
    Ok(host.len())
}

#[test]
fn the_breaker_of_a_key_that_is_kept_allocates_nothing() {
    let text = "a host".to_owned();
    assert!(measure(|| drop(HOSTS.of("b host"))).count_total > 0, "the first time");
    assert_eq!(measure(|| drop(HOSTS.of("b host"))).count_total, 0, "by a `&str`");
    assert_eq!(allocations(async || fetch("a host").await), 0, "in a call");
    assert_eq!(measure(|| drop(HOSTS.of(&text))).count_total, 0, "by the key");
    assert_eq!(measure(|| drop(HOSTS.get("none"))).count_total, 0, "of none");
    HOSTS.of("a host").record_failure();
    HOSTS.of("b host").force_open();
    assert_eq!(allocations(async || fetch("a host").await), 0, "after a failure");
    HOSTS.of("a host").force_open();
    assert_eq!(allocations(async || fetch("b host").await.is_err()), 0, "refused");
    // The breaker that nobody keeps, and the key of which nobody is.
    let unkept = measure(|| drop(HOSTS.of("c host")));
    assert_eq!(unkept.count_total, 2, "in a full map");
    assert_eq!(unkept.count_current, 0, "nothing is left of it");
}

#[test]
fn a_call_whose_breaker_has_slow_calls_allocates_once_if_it_has_to_wait() {
    static TIMED: CircuitBreaker = CircuitBreaker::windowed(64, 1.0).slow_call(Duration::from_millis(4));
    for (millis, count) in [(0, 0), (3, 1), (5, 1)] {
        let allocated = allocations(async || call(&TIMED, Some(millis), Ok(1)).await);
        assert_eq!(allocated, count, "after {millis} ms");
    }
    assert_eq!(TIMED.failure_count(), 2, "both calls of five milliseconds are slow");
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        allocations(async || Box::new(1)),
        1,
        "or the test above would prove nothing"
    );
}
