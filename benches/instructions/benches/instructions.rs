//! `cargo bench -p sandbox-instructions`: counts the instructions of single calls under callgrind, and fails when a
//! count is above its limit.
//!
//! What is counted runs alone: its setup has made everything that is made once. Futures are polled by hand, without a
//! runtime, for none of these calls waits.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on stops")]
#![allow(missing_docs, reason = "the harness makes public items without")]

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gungraun::prelude::*;
use sandbox_fleet::Fleet;
use sandbox_fleet::store::memory::MemoryStore;
use sandbox_runtime::observe::{Event, ObservedTool, Observer, observe};
use sandbox_runtime::{Budget, CircuitBreaker, Overrides, Permit, SandboxError, sandboxed, tools};

/// The most instructions that each may take. A limit lies some 4 to 8 % above the count beside it, taken with Rust 1.95 for
/// x86-64: room for what the compiler decides otherwise, and not for another reading of a clock, another atomic word or an
/// allocation. Lower the limits when the counts fall.
mod limit {
    /// Takes 117. Two looks at the breaker, one at the gate, a guard against panics, a future made and dropped; neither clock
    /// nor timer. Six of them let the tool know its attempt.
    pub(super) const READY_CALL: u64 = 123;
    /// Takes 141. The same outside of every scope, in a program that has entered one: one look for a scope on this thread.
    pub(super) const READY_CALL_BESIDE_SCOPES: u64 = 147;
    /// Takes 164. In a program that records its tools: one atomic addition, on a cache line that few threads share.
    pub(super) const READY_CALL_RECORDED: u64 = 169;
    /// Takes 144. Beside an observer that does not want to know of this tool, and has said so before. At most 30 more than a call with
    /// nothing attached.
    pub(super) const READY_CALL_OF_NO_INTEREST: u64 = 147;
    /// Takes 144. Beside a tool for which an operator has set something: one word of its own tells that nothing is set for it. At most
    /// 30 more than a call with nothing attached.
    pub(super) const READY_CALL_BESIDE_A_STEERED_TOOL: u64 = 147;
    /// Takes 427. With settings of an operator: found without a lock, and kept from being dropped until the poll is over. No allocation.
    pub(super) const READY_CALL_OVERRIDDEN: u64 = 445;
    /// Takes 326. Among so many calls at a time: a place taken and left, one exchange each, and noted for calls within. No allocation.
    pub(super) const READY_CALL_LIMITED: u64 = 342;
    /// Takes 496. One reading of the clock, and an error with the time until the next try; no text is written. Some 30 of them are
    /// the turn in the cooperative budget, without which a loop over refusals would keep its thread, and some 20 compare what is
    /// left of the last millisecond, without which a cooldown would be shorter than asked; with the feature `fleet` 8 note how long the
    /// attempt would have taken.
    pub(super) const REFUSED_CALL: u64 = 504;
    /// Takes 975. Two attempts; an error that a retry follows is not counted; neither clock nor timer. Some 260 keep the text of
    /// the first error, for the failure that may follow: an allocation, and what it displays. Some 100 let the tool know its
    /// attempt, and look for what surrounds the call.
    pub(super) const RETRIED_CALL: u64 = 983;
    /// Takes 14. One word is read and none is written.
    pub(super) const SUCCESS_IN_A_ROW: u64 = 15;
    /// Takes 48. One word is written; far from the threshold no clock is read.
    pub(super) const FAILURE_IN_A_ROW: u64 = 49;
    /// Takes 117. The result goes into the window, and the window is judged.
    pub(super) const SUCCESS_IN_A_WINDOW: u64 = 122;
    /// Takes 142. As a success; the window stays far from what opens the breaker.
    pub(super) const FAILURE_IN_A_WINDOW: u64 = 146;
}

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = gungraun::Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(gungraun::EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// Polls a future that is ready at once. It takes it pinned: to move it would be counted.
#[inline(always)]
fn answer<F: Future>(call: Pin<&mut F>) -> F::Output {
    match call.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the call does not wait"),
    }
}

#[sandboxed]
async fn ready(argument: u64) -> Result<u64, String> {
    Ok(argument)
}

fn warm_ready() -> u64 {
    assert_eq!(answer(pin!(ready(1))), Ok(1));
    2
}

#[library_benchmark(config = at_most(limit::READY_CALL), setup = warm_ready)]
#[bench::by_attribute()]
fn ready_call(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

/// From here on the process knows that there are scopes; each benchmark has a process of its own.
fn enter_a_scope() -> u64 {
    answer(pin!(Budget::new().scope(async {})));
    warm_ready()
}

#[library_benchmark(config = at_most(limit::READY_CALL_BESIDE_SCOPES), setup = enter_a_scope)]
#[bench::by_attribute()]
fn ready_call_beside_scopes(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

/// From here on the process records its tools.
fn ask_for_the_tools() -> u64 {
    assert!(!tools().is_empty());
    warm_ready()
}

#[library_benchmark(config = at_most(limit::READY_CALL_RECORDED), setup = ask_for_the_tools)]
#[bench::by_attribute()]
fn ready_call_recorded(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

/// From here on the process is a replica of a service.
fn join_a_fleet() -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("the machine has room for it");
    let member = runtime.block_on(Fleet::over(MemoryStore::new()).join());
    let member = member.expect("a store in memory");
    assert_eq!(member.status().live, 1);
    // Neither leaves before the call has been made.
    std::mem::forget((member, runtime));
    warm_ready()
}

#[library_benchmark(config = at_most(limit::READY_CALL), setup = join_a_fleet)]
#[bench::by_attribute()]
fn ready_call_in_a_fleet(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

struct Uninterested;

impl Observer for Uninterested {
    fn wants(&self, _: &ObservedTool) -> bool {
        false
    }

    fn on_event(&self, _: &Event<'_>) {}
}

/// Another tool of the program has other settings.
fn steer_another_tool() -> u64 {
    steer("every_other_time", 7);
    warm_ready()
}

/// Gives a tool another time limit.
fn steer(tool: &str, timeout_ms: u64) {
    let settings = format!(r#"{{"version": 1, "tool": {{"{tool}": {{"timeout_ms": {timeout_ms}}}}}}}"#);
    let overrides: Overrides = serde_json::from_str(&settings).expect("these are settings");
    overrides.apply().expect("they make sense");
}

#[library_benchmark(config = at_most(limit::READY_CALL_BESIDE_A_STEERED_TOOL), setup = steer_another_tool)]
#[bench::by_attribute()]
fn ready_call_beside_a_steered_tool(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

fn steer_this_tool() -> u64 {
    steer("ready", 7);
    warm_ready()
}

#[library_benchmark(config = at_most(limit::READY_CALL_OVERRIDDEN), setup = steer_this_tool)]
#[bench::by_attribute()]
fn ready_call_overridden(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

#[sandboxed(max_concurrent = 8)]
async fn ready_in_its_place(argument: u64) -> Result<u64, String> {
    Ok(argument)
}

fn warm_place() -> u64 {
    assert_eq!(answer(pin!(ready_in_its_place(1))), Ok(1));
    2
}

#[library_benchmark(config = at_most(limit::READY_CALL_LIMITED), setup = warm_place)]
#[bench::by_attribute()]
fn ready_call_limited(argument: u64) -> Result<u64, String> {
    answer(pin!(ready_in_its_place(black_box(argument))))
}

fn attach_an_observer_of_other_tools() -> u64 {
    observe(Uninterested).forever();
    warm_ready()
}

#[library_benchmark(config = at_most(limit::READY_CALL_OF_NO_INTEREST), setup = attach_an_observer_of_other_tools)]
#[bench::by_attribute()]
fn ready_call_of_no_interest(argument: u64) -> Result<u64, String> {
    answer(pin!(ready(black_box(argument))))
}

static OPEN: CircuitBreaker = CircuitBreaker::new(5).cooldown(Duration::from_secs(3_600));

#[sandboxed(breaker = &OPEN)]
async fn refused(argument: u64) -> Result<u64, SandboxError> {
    Ok(argument)
}

fn open() -> u64 {
    while !OPEN.is_open() {
        OPEN.record_failure();
    }
    let refusal = answer(pin!(refused(1))).expect_err("the breaker is open");
    assert!(matches!(refusal, SandboxError::CircuitBreakerOpen { .. }));
    2
}

#[library_benchmark(config = at_most(limit::REFUSED_CALL), setup = open)]
#[bench::by_attribute()]
fn refused_call(argument: u64) -> Result<u64, SandboxError> {
    answer(pin!(refused(black_box(argument))))
}

static UP: AtomicBool = AtomicBool::new(false);

#[sandboxed(backoff_base_ms = 0)]
async fn every_other_time(argument: u64) -> Result<u64, String> {
    if UP.fetch_not(Ordering::Relaxed) {
        Ok(argument)
    } else {
        Err(String::new())
    }
}

fn warm_retried() -> u64 {
    assert_eq!(answer(pin!(every_other_time(1))), Ok(1));
    2
}

#[library_benchmark(config = at_most(limit::RETRIED_CALL), setup = warm_retried)]
#[bench::by_attribute()]
fn retried_call(argument: u64) -> Result<u64, String> {
    answer(pin!(every_other_time(black_box(argument))))
}

static IN_A_ROW: CircuitBreaker = CircuitBreaker::new(5);
static WINDOW: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);

/// An attempt at a breaker whose window, if it has one, is full of successes.
fn admitted(breaker: &'static CircuitBreaker) -> Permit<'static> {
    for _ in 0..20 {
        breaker.record_success();
    }
    breaker.admit().expect("the breaker is closed")
}

#[library_benchmark(config = at_most(limit::SUCCESS_IN_A_ROW), setup = admitted)]
#[bench::of_five(&IN_A_ROW)]
fn success_in_a_row(permit: Permit<'static>) {
    permit.success();
}

#[library_benchmark(config = at_most(limit::FAILURE_IN_A_ROW), setup = admitted)]
#[bench::of_five(&IN_A_ROW)]
fn failure_in_a_row(permit: Permit<'static>) {
    permit.failure();
}

#[library_benchmark(config = at_most(limit::SUCCESS_IN_A_WINDOW), setup = admitted)]
#[bench::of_twenty(&WINDOW)]
fn success_in_a_window(permit: Permit<'static>) {
    permit.success();
}

#[library_benchmark(config = at_most(limit::FAILURE_IN_A_WINDOW), setup = admitted)]
#[bench::of_twenty(&WINDOW)]
fn failure_in_a_window(permit: Permit<'static>) {
    permit.failure();
}

library_benchmark_group!(
    name = calls,
    benchmarks = [
        ready_call,
        ready_call_in_a_fleet,
        ready_call_beside_scopes,
        ready_call_recorded,
        ready_call_of_no_interest,
        ready_call_beside_a_steered_tool,
        ready_call_overridden,
        ready_call_limited,
        refused_call,
        retried_call
    ]
);
library_benchmark_group!(
    name = records,
    benchmarks = [
        success_in_a_row,
        failure_in_a_row,
        success_in_a_window,
        failure_in_a_window
    ]
);

mod harness {
    use gungraun::main;

    use super::{calls, records};

    main!(library_benchmark_groups = [calls, records]);

    pub(super) fn run() {
        main();
    }
}

fn main() {
    // Else this is `cargo test --all-targets`, perhaps without valgrind.
    let is_asked_for = |argument: String| argument == "--bench" || argument == "--gungraun-run";
    if std::env::args().any(is_asked_for) {
        harness::run();
    }
}
