//! Tests in isolated scopes see nothing of each other: not the breaker, the counters, the limits, the switches, the settings of a tool
//! that they share, in whatever order they run, at the same time or not, by whatever clock.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashSet;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_util::poll;
use sandbox_runtime::observe::{Event, Happened, Observer, observe_in};
use sandbox_runtime::testing::{self, isolated};
use sandbox_runtime::{
    BreakerState, Budget, CircuitBreaker, Counters, ErrorVerdict, Overrides, Policy, SandboxError, Tool, ToolStatus,
    execute_with_controls, sandboxed, tool, tools,
};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{advance, timeout};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, ErrorVerdict)]
enum Error {
    #[error("down")]
    Down,
    #[error("busy")]
    #[verdict(retry, after = after)]
    Busy { after: Duration },
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

type Answer = Result<u32, Error>;

fn sandbox_error(answer: Answer) -> SandboxError {
    match answer {
        Err(Error::Sandbox(error)) => error,
        other => panic!("the tool was called: {other:?}"),
    }
}

#[track_caller]
fn status_of(name: &str) -> ToolStatus {
    tool(name).expect("there is one of this name").status()
}

#[track_caller]
fn counters_of(name: &str) -> Counters {
    status_of(name).counters
}

#[sandboxed(timeout_ms = 1_000, max_retries = 0, breaker(threshold = 2, cooldown_ms = 600_000))]
async fn searched(answer: Answer) -> Answer {
    answer
}

#[sandboxed(max_retries = 0, max_concurrent = 1, queue_ms = 0, rate(calls = 2, per_ms = 600_000))]
async fn limited(answer: oneshot::Receiver<Answer>) -> Answer {
    answer.await.expect("there is an answer")
}

#[sandboxed(max_retries = 2, backoff_base_ms = 0)]
async fn noted(notes: &mut Vec<u32>, last: u32) -> Answer {
    notes.push(1 + notes.last().copied().unwrap_or_default());
    if notes.ends_with(&[last]) {
        Ok(last)
    } else {
        Err(Error::Down)
    }
}

#[sandboxed(max_retries = 0, breaker(threshold = 1))]
async fn fallen() -> Answer {
    panic!("it falls")
}

static SHARED: CircuitBreaker = CircuitBreaker::new(2).cooldown(Duration::from_secs(600));

#[sandboxed(max_retries = 0, breaker = &SHARED)]
async fn stocked(answer: Answer) -> Answer {
    answer
}

#[sandboxed(max_retries = 0, breaker = &SHARED)]
async fn delivered(answer: Answer) -> Answer {
    answer
}

/// An answer that is there.
fn at_once(answer: Answer) -> oneshot::Receiver<Answer> {
    let (sender, receiver) = oneshot::channel();
    sender.send(answer).expect("nobody has dropped the other end");
    receiver
}

// Each is what a test of a user would be, and would fail beside one of the others without its scope.

async fn nothing_has_happened_yet() {
    for tool in &tools() {
        let status = tool.status();
        assert_eq!(status.counters, Counters::default(), "{status}");
        assert_eq!((&status.last_failure, &status.disabled), (&None, &None), "{status}");
        assert_eq!(status.policy_in_force, Some(tool.policy()), "{status}");
        assert!(!status.shadow, "{status}");
        let breaker = tool.breaker();
        assert!(breaker.is_none_or(|breaker| breaker.state() == BreakerState::Closed && breaker.failure_count() == 0));
    }
    assert_eq!(testing::breaker(&SHARED).failure_count(), 0, "of the shared breaker");
    assert_eq!(searched(Ok(1)).await, Ok(1));
}

async fn a_breaker_opens_after_two_failures() {
    for _ in 0..2 {
        assert_eq!(searched(Err(Error::Down)).await, Err(Error::Down));
    }
    assert!(sandbox_error(searched(Ok(1)).await).is_circuit_open());
    let status = status_of("searched");
    assert_eq!(status.counters.calls, 3);
    assert_eq!((status.counters.failed(), status.counters.refused()), (2, 1));
    let breaker = status.breaker.expect("it has one");
    assert_eq!((breaker.state, breaker.failures), ("open", 2));
    assert_eq!(status.last_failure.and_then(|last| last.error).as_deref(), Some("down"));
}

async fn calls_are_counted_exactly() {
    for answer in [Ok(1), Ok(2), Err(Error::Down), Ok(3), Err(Error::Down)] {
        assert_eq!(searched(answer.clone()).await, answer);
    }
    let counters = counters_of("searched");
    assert_eq!((counters.calls, counters.active, counters.attempts), (5, 0, 5));
    assert_eq!((counters.failed(), counters.refused()), (2, 0));
    let breaker = tool("searched").unwrap().breaker().unwrap();
    assert_eq!(breaker.failure_count(), 1, "in a row");
}

async fn one_call_at_a_time_and_two_in_ten_minutes() {
    let (sender, receiver) = oneshot::channel();
    let mut first = pin!(limited(receiver));
    assert!(poll!(&mut first).is_pending(), "nobody else has the place");
    assert!(sandbox_error(limited(at_once(Ok(2))).await).is_overloaded());
    sender.send(Ok(1)).expect("it waits");
    assert_eq!(first.await, Ok(1));
    assert_eq!(limited(at_once(Ok(2))).await, Ok(2));
    assert!(sandbox_error(limited(at_once(Ok(3))).await).is_rate_limited());
    assert_eq!(counters_of("limited").calls, 4);
}

async fn a_panic_opens_a_breaker() {
    assert!(matches!(sandbox_error(fallen().await), SandboxError::Panicked { .. }));
    assert!(sandbox_error(fallen().await).is_circuit_open());
    assert!(tool("fallen").unwrap().breaker().unwrap().is_open());
}

async fn a_dependency_asks_to_wait() {
    let busy = Err(Error::Busy {
        after: Duration::from_secs(50),
    });
    assert_eq!(searched(busy.clone()).await, busy);
    assert!(sandbox_error(searched(Ok(1)).await).is_rate_limited());
}

async fn an_operator_switches_a_tool_off() {
    let searched_tool = tool("searched").unwrap();
    searched_tool.disable("it is moved", None);
    let error = sandbox_error(searched(Ok(1)).await);
    assert!(
        matches!(&error, SandboxError::Disabled { reason, .. } if reason == "it is moved"),
        "{error:?}"
    );
    assert_eq!(status_of("searched").disabled.expect("it is off").reason, "it is moved");
}

async fn an_operator_lets_a_breaker_look_on() {
    assert!(tool("searched").unwrap().shadow(true));
    for _ in 0..3 {
        assert_eq!(searched(Err(Error::Down)).await, Err(Error::Down));
    }
    assert_eq!(counters_of("searched").overlooked, 1);
}

async fn an_operator_opens_every_breaker() {
    tools().force_open();
    assert!(sandbox_error(searched(Ok(1)).await).is_circuit_open());
    tools().reset();
    assert_eq!(searched(Ok(1)).await, Ok(1));
}

async fn settings_are_overridden() {
    assert_eq!(Overrides::current(), Overrides::default(), "nothing is in force");
    let document = json!({ "version": 1, "tool": { "noted": { "max_retries": 1 } } });
    let overrides: Overrides = serde_json::from_value(document).expect("it has the shape of overrides");
    overrides.apply().expect("they make sense");
    assert_eq!(Overrides::current(), overrides);
    let mut notes = Vec::new();
    assert_eq!(noted(&mut notes, 9).await, Err(Error::Down));
    assert_eq!(notes, [1, 2], "attempts by the settings of the operator");
    let in_force = status_of("noted").policy_in_force.expect("they are known");
    assert_eq!(in_force, tool("noted").unwrap().policy().max_retries(1));
    Overrides::clear();
    assert_eq!(noted(&mut notes, 5).await, Ok(5), "by those of the attribute");
}

async fn attempts_borrow_an_argument() {
    let mut notes = Vec::new();
    assert_eq!(noted(&mut notes, 3).await, Ok(3));
    assert_eq!(noted(&mut notes, 9).await, Err(Error::Down));
    assert_eq!(notes, [1, 2, 3, 4, 5, 6]);
    let counters = counters_of("noted");
    assert_eq!((counters.calls, counters.attempts, counters.failed()), (2, 6, 1));
    let breaker = tool("noted").unwrap().breaker().unwrap();
    assert_eq!(breaker.failure_count(), 1, "one call");
}

async fn tools_share_a_breaker() {
    assert_eq!(stocked(Err(Error::Down)).await, Err(Error::Down));
    assert_eq!(delivered(Err(Error::Down)).await, Err(Error::Down));
    assert!(sandbox_error(stocked(Ok(1)).await).is_circuit_open());
    assert!(testing::breaker(&SHARED).is_open());
    assert_eq!(SHARED.failure_count(), 0, "of the one that is outside");
    assert_eq!((counters_of("stocked").calls, counters_of("delivered").calls), (2, 1));
}

#[derive(Clone, Default)]
struct Changes(Arc<Mutex<Vec<String>>>);

impl Observer for Changes {
    fn on_event(&self, event: &Event<'_>) {
        if let Happened::BreakerChanged { to, .. } = event.happened {
            let counted = event.tool.handle.map(|handle| handle.status().counters.calls);
            let line = format!("{} is {}, calls: {counted:?}", event.tool.name, to.as_str());
            self.0.lock().unwrap().push(line);
        }
    }
}

async fn observers_know_the_tool() {
    let changes = Changes::default();
    observe_in(changes.clone(), a_breaker_opens_after_two_failures()).await;
    assert_eq!(*changes.0.lock().unwrap(), ["searched is open, calls: Some(2)"]);
}

type Scenario = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// A test of each in a runtime of its own, by a clock that is paused and by one that runs; and all of them for one test.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod paused {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                super::isolated(super::$name()).await;
            })*
        }

        mod unpaused {
            $(#[tokio::test]
            async fn $name() {
                super::isolated(super::$name()).await;
            })*
        }

        const SCENARIOS: &[(&str, Scenario)] = &[$((stringify!($name), || Box::pin($name()))),*];
    };
}

scenarios![
    nothing_has_happened_yet,
    a_breaker_opens_after_two_failures,
    calls_are_counted_exactly,
    one_call_at_a_time_and_two_in_ten_minutes,
    a_panic_opens_a_breaker,
    a_dependency_asks_to_wait,
    an_operator_switches_a_tool_off,
    an_operator_lets_a_breaker_look_on,
    an_operator_opens_every_breaker,
    settings_are_overridden,
    attempts_borrow_an_argument,
    tools_share_a_breaker,
    observers_know_the_tool,
];

fn block_on<T>(is_paused: bool, future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(is_paused);
    runtime.build().expect("a runtime can be made").block_on(future)
}

/// A generator of Lehmer's, with the multiplier of Park and Miller: any order will do.
fn next(seed: &mut u64) -> usize {
    *seed = *seed * 48_271 % 0x7fff_ffff;
    usize::try_from(*seed).expect("it has 31 bits")
}

#[test]
fn they_pass_in_any_order_on_many_threads() {
    let run = |mut seed: u64| {
        for turn in 0..200 {
            let (name, scenario) = SCENARIOS[next(&mut seed) % SCENARIOS.len()];
            let is_paused = next(&mut seed).is_multiple_of(2);
            let run = || block_on(is_paused, isolated(scenario()));
            assert!(
                catch_unwind(AssertUnwindSafe(run)).is_ok(),
                "{name}, turn {turn}, paused: {is_paused}"
            );
        }
    };
    thread::scope(|threads| {
        for seed in 1..=8 {
            threads.spawn(move || run(seed));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn scopes_beside_each_other_in_one_task_are_as_many() {
    let trips = || isolated(a_breaker_opens_after_two_failures());
    let counts = || isolated(calls_are_counted_exactly());
    let limits = || isolated(one_call_at_a_time_and_two_in_ten_minutes());
    tokio::join!(trips(), counts(), limits(), trips(), limits(), counts());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_of_the_scope_goes_through_all_its_states() {
    isolated(async {
        a_breaker_opens_after_two_failures().await;
        let breaker = tool("searched").unwrap().breaker().unwrap();
        assert_eq!(
            breaker.state(),
            BreakerState::Open {
                retry_after: Duration::from_secs(600)
            }
        );
        advance(Duration::from_secs(600)).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(searched(Ok(1)).await, Ok(1), "a probe");
        assert_eq!(breaker.state(), BreakerState::Closed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_scope_in_a_scope_is_fresh_too() {
    isolated(async {
        a_breaker_opens_after_two_failures().await;
        tools_share_a_breaker().await;
        tool("noted").unwrap().disable("it is moved", None);
        isolated(async {
            nothing_has_happened_yet().await;
            searched(Err(Error::Down)).await.unwrap_err();
            tools_share_a_breaker().await;
        })
        .await;
        assert!(sandbox_error(searched(Ok(1)).await).is_circuit_open());
        let counters = counters_of("searched");
        assert_eq!((counters.calls, counters.refused()), (4, 2), "of the outer scope alone");
        assert_eq!(counters_of("stocked").calls, 2);
        assert!(status_of("noted").disabled.is_some());
    })
    .await;
}

#[sandboxed(max_retries = 0, breaker(threshold = 1))]
async fn aside(answer: Answer) -> Answer {
    answer
}

#[tokio::test(start_paused = true)]
async fn what_is_outside_is_neither_seen_nor_changed() {
    let outside = tool("aside").unwrap();
    assert_eq!(aside(Ok(1)).await, Ok(1));
    assert_eq!(aside(Err(Error::Down)).await, Err(Error::Down));
    isolated(async {
        assert_ne!(tool("aside").unwrap(), outside);
        assert_eq!(aside(Ok(1)).await, Ok(1), "the breaker outside is open");
        tool("aside").unwrap().disable("it is moved", None);
        assert_eq!(counters_of("aside").calls, 1);
        assert_eq!(
            outside.status().counters.calls,
            2,
            "a handle from outside is that of the tool outside"
        );
        let spawned = tokio::spawn(aside(Ok(1))).await.expect("it does not panic");
        assert!(sandbox_error(spawned).is_circuit_open(), "a task of its own is outside");
        let inherited = tokio::spawn(Budget::inherit(aside(Ok(1))))
            .await
            .expect("it does not panic");
        assert!(sandbox_error(inherited).is_disabled(), "unless it is taken along");
    })
    .await;
    assert_eq!(tool("aside").unwrap(), outside);
    let status = outside.status();
    assert_eq!((status.counters.calls, status.counters.refused()), (3, 1));
    assert_eq!(status.disabled, None);
}

/// What a scope has for this tool.
fn place_of(name: &str) -> usize {
    ptr::from_ref(tool(name).unwrap().breaker().unwrap()).addr()
}

#[sandboxed(max_retries = 0, max_concurrent = 1, queue_ms = 0, breaker(threshold = 1))]
async fn outlived(answer: oneshot::Receiver<Answer>) -> Answer {
    answer.await.expect("there is an answer")
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_its_scope_ends_where_it_began() {
    let (sender, receiver) = oneshot::channel();
    let (first, outliving) = isolated(async {
        let mut outliving = Box::pin(outlived(receiver));
        assert!(poll!(&mut outliving).is_pending());
        (place_of("outlived"), outliving)
    })
    .await;
    isolated(async {
        assert_ne!(place_of("outlived"), first, "a call refers to it");
        assert_eq!(
            outlived(at_once(Ok(2))).await,
            Ok(2),
            "a place of another scope is taken"
        );
        sender.send(Err(Error::Down)).expect("it waits");
        assert_eq!(outliving.await, Err(Error::Down), "handed from a scope into another");
        assert_eq!(
            outlived(at_once(Ok(3))).await,
            Ok(3),
            "the breaker of another scope is open"
        );
        assert_eq!(
            (counters_of("outlived").calls, counters_of("outlived").failed()),
            (2, 0)
        );
    })
    .await;
    assert_eq!(counters_of("outlived").calls, 0, "outside");
    isolated(async { assert_eq!(outlived(at_once(Ok(4))).await, Ok(4)) }).await;
}

#[sandboxed(max_retries = 0, max_concurrent = 1)]
async fn queued(answer: oneshot::Receiver<Answer>) -> Answer {
    answer.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_when_it_is_handed_into_a_scope_ends_where_it_began() {
    let _ = status_of("queued");
    let (answer, running) = oneshot::channel();
    let (mut running, mut waiting) = (pin!(queued(running)), pin!(queued(at_once(Ok(2)))));
    assert!(poll!(&mut running).is_pending(), "it runs");
    assert!(poll!(&mut waiting).is_pending(), "it waits");
    answer.send(Ok(1)).unwrap();
    assert_eq!(running.await, Ok(1));
    let inside = isolated(async {
        assert_eq!(waiting.await, Ok(2));
        counters_of("queued")
    });
    assert_eq!(inside.await, Counters::default(), "nothing has begun in the scope");
    let outside = counters_of("queued");
    assert_eq!((outside.calls, outside.active, outside.ends["succeeded"]), (2, 0, 2));
}

#[sandboxed(
    max_retries = 0,
    max_concurrent = 1,
    queue_ms = 0,
    breaker(threshold = 1, cooldown_ms = 1_000)
)]
async fn left(answer: Option<Answer>) -> Answer {
    match answer {
        Some(answer) => answer,
        None => pending().await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_leaves_its_slot_in_the_scope() {
    isolated(async {
        assert_eq!(left(Some(Err(Error::Down))).await, Err(Error::Down));
        advance(Duration::from_secs(1)).await;
        {
            let mut probe = pin!(left(None));
            assert!(poll!(&mut probe).is_pending());
            assert!(
                tool("left").unwrap().breaker().unwrap().is_open(),
                "its only slot is taken"
            );
        }
        assert_eq!(left(Some(Ok(1))).await, Ok(1));
    })
    .await;
}

/// A scope that is dropped with a probe under way, in the only place, of a tool that is in shadow.
#[tokio::test(start_paused = true)]
async fn a_scope_that_is_dropped_leaves_nothing_to_the_next() {
    let mut first = None;
    {
        let mut scope = pin!(isolated(async {
            first = Some(place_of("left"));
            left(Some(Err(Error::Down))).await.unwrap_err();
            advance(Duration::from_secs(1)).await;
            tool("left").unwrap().shadow(true);
            left(None).await
        }));
        let ended = timeout(Duration::from_secs(5), &mut scope).await;
        assert!(ended.is_err(), "its call hangs");
    }
    isolated(async {
        assert_eq!(Some(place_of("left")), first, "it is used again");
        let status = status_of("left");
        assert_eq!((status.counters.clone(), status.shadow), (Counters::default(), false));
        assert_eq!(status.last_failure, None);
        let breaker = status.breaker.expect("it has one");
        assert_eq!(
            (breaker.state, breaker.failures, breaker.last_change),
            ("closed", 0, None)
        );
        assert_eq!(left(Some(Ok(1))).await, Ok(1), "the place is taken");
    })
    .await;
}

const ONCE: Policy = Policy::new().max_retries(0);

async fn by_hand(breaker: &CircuitBreaker, answer: Answer) -> Answer {
    execute_with_controls(ONCE, breaker, Tool::new("by_hand", || async { answer.clone() })).await
}

#[tokio::test(start_paused = true)]
async fn breakers_that_are_made_by_hand_are_told_from_each_other() {
    isolated(async {
        let mut made = CircuitBreaker::new(1);
        for turn in 0..3 {
            assert_eq!(by_hand(&made, Err(Error::Down)).await, Err(Error::Down), "{turn}");
            assert!(sandbox_error(by_hand(&made, Ok(1)).await).is_circuit_open(), "{turn}");
            assert!(testing::breaker(&made).is_open() && !made.is_open());
            // At the same address.
            made = CircuitBreaker::new(1);
        }
        let fresh = testing::breaker(&made);
        assert!(
            ptr::eq(testing::breaker(fresh), fresh),
            "one of the scope stands for itself"
        );
        assert_eq!(by_hand(fresh, Err(Error::Down)).await, Err(Error::Down));
        assert!(
            sandbox_error(by_hand(&made, Ok(1)).await).is_circuit_open(),
            "it is the same"
        );
    })
    .await;
    let made = CircuitBreaker::new(1);
    assert!(ptr::eq(testing::breaker(&made), &raw const made), "outside");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_a_function_that_is_given_by_hand_is_that_of_its_tool() {
    let outside = tool("searched").unwrap().breaker().unwrap();
    isolated(async {
        let inside = tool("searched").unwrap().breaker().unwrap();
        assert_eq!(by_hand(outside, Err(Error::Down)).await, Err(Error::Down));
        assert_eq!(by_hand(inside, Err(Error::Down)).await, Err(Error::Down));
        assert!(sandbox_error(searched(Ok(1)).await).is_circuit_open());
        assert!(ptr::eq(testing::breaker(outside), inside));
    })
    .await;
}

#[sandboxed(max_retries = 0, breaker(threshold = 3), max_concurrent = 2)]
async fn pooled(answer: Answer) -> Answer {
    answer
}

/// Its settings are those of no other.
static POOLED: CircuitBreaker = CircuitBreaker::windowed(7, 0.5).probes(3);

#[tokio::test(start_paused = true)]
async fn scopes_one_after_the_other_use_the_same_memory() {
    let (mut sites, mut breakers) = (HashSet::new(), HashSet::new());
    for turn in 0..1_000 {
        isolated(async {
            for _ in 0..3 {
                assert_eq!(pooled(Err(Error::Down)).await, Err(Error::Down), "turn {turn}");
            }
            assert!(sandbox_error(pooled(Ok(1)).await).is_circuit_open());
            assert_eq!(by_hand(&POOLED, Err(Error::Down)).await, Err(Error::Down));
            assert_eq!(testing::breaker(&POOLED).failure_count(), 1, "turn {turn}");
            sites.insert(place_of("pooled"));
            breakers.insert(ptr::from_ref(testing::breaker(&POOLED)).addr());
        })
        .await;
    }
    assert_eq!(breakers.len(), 1, "which nobody else has");
    // The other tests take some for all tools, as many as run at the same time.
    assert!(sites.len() < 100, "{} sites were made", sites.len());
}

#[test]
fn the_scope_is_send_when_the_test_is() {
    fn is_send(_: impl Send) {}
    is_send(isolated(async { searched(Ok(1)).await }));
}
