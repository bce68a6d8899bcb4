//! The machine under all schedules of two and three threads.
//!
//! [loom] runs a scenario again and again until it has seen every order in which the threads can reach the words, and
//! every value that a load may return. It gives sequentially consistent accesses only the guarantees of acquire and
//! release: what holds here does not hang on more than that.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod by_hand;
mod closed;
mod half_open;
mod windowed;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::CircuitBreaker;
use super::machine::{Admission, Machine};
use super::packed::{Generation, Kind, Word};
use crate::clock::Tick;

impl Word for AtomicU64 {
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }
    fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}

/// A machine that watches over its places at every admission, whatever else a scenario is about.
struct Watched {
    machine: Machine<AtomicU64>,
    /// An admission is noted after it was given and struck out before it is resolved: what is in here is live. In the
    /// standard library's mutex, which loom does not see: loom's own would order the threads' accesses to the words.
    live: Mutex<Vec<Admission>>,
}

const COOLDOWN: u64 = 10;

impl Watched {
    /// A closed breaker. A second transition to open would show: its cooldown would be doubled.
    fn new(breaker: CircuitBreaker, probes: u32) -> Arc<Watched> {
        let settings = breaker
            .cooldown(Duration::from_millis(COOLDOWN))
            .cooldown_max(Duration::from_millis(4 * COOLDOWN))
            .probes(probes)
            .machine
            .settings();
        Arc::new(Watched {
            machine: Machine::made_of(AtomicU64::new, settings, Generation::FIRST),
            live: Mutex::default(),
        })
    }

    /// A breaker that opens at the first failure, and has done so at 0: its cooldown is over at 10.
    fn opened(probes: u32) -> Arc<Watched> {
        let watched = Watched::new(CircuitBreaker::new(1), probes);
        watched.record_failure(0);
        watched
    }

    fn live(&self) -> MutexGuard<'_, Vec<Admission>> {
        self.live.lock().unwrap()
    }

    fn admit(&self, at: u64) -> Option<Admission> {
        let admission = self.machine.admit(Duration::ZERO, || Tick::at(at)).ok()?;
        let mut live = self.live();
        live.push(admission);
        let of_this_generation = live.iter().filter(|other| **other == admission).count();
        let places = usize::from(self.machine.settings().probes);
        assert!(
            !admission.is_probe() || of_this_generation <= places,
            "{of_this_generation} probes at a time"
        );
        Some(admission)
    }

    fn admit_now(&self, at: u64) -> Admission {
        self.admit(at).expect("nothing stands in the way")
    }

    fn strike_out(&self, admission: Admission) {
        // An attempt takes its time. loom lets other threads run at an access only.
        self.machine.failure_count();
        let mut live = self.live();
        let position = live.iter().position(|other| *other == admission).unwrap();
        live.swap_remove(position);
    }

    fn succeed(&self, admission: Admission, at: u64) {
        self.strike_out(admission);
        self.machine.succeed(admission, || Tick::at(at));
    }

    fn fail(&self, admission: Admission, at: u64) {
        self.strike_out(admission);
        self.machine.fail(admission, || Tick::at(at));
    }

    fn release(&self, admission: Admission) {
        self.strike_out(admission);
        self.machine.release(admission);
    }

    fn record_failure(&self, at: u64) {
        self.machine.record_failure(|| Tick::at(at));
    }

    fn record_success(&self, at: u64) {
        self.machine.record_success(|| Tick::at(at));
    }

    fn reset(&self) {
        self.machine.force(self.machine.settings().initial());
    }

    /// The state at `at`, with the failures counted, and how long it lasts yet when open.
    fn state(&self, at: u64) -> State {
        match self.machine.view(|| Tick::at(at)) {
            (Kind::Closed, _) => State::Closed(self.machine.failure_count()),
            (Kind::Open, left) => State::Open(left.as_millis()),
            (Kind::HalfOpen, _) => State::HalfOpen,
            (Kind::Forced, _) => State::Forced,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed(u32),
    Open(u128),
    HalfOpen,
    Forced,
}

/// Runs `scenario` under all schedules.
fn explore(scenario: impl Fn() + Sync + Send + 'static) {
    Builder::new().check(scenario);
}

/// Runs `scenario` under all schedules in which a running thread is put aside for another one at most three times: for
/// three threads, some of which take minutes without a bound. Two are enough for most of what can go wrong at all.
fn explore_with_few_preemptions(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scenario);
}

/// Does both at once and waits for both.
fn at_once<A: 'static, B>(
    watched: &Arc<Watched>,
    one: impl FnOnce(&Watched) -> A + 'static,
    other: impl FnOnce(&Arc<Watched>) -> B,
) -> (A, B) {
    let shared = Arc::clone(watched);
    let spawned = thread::spawn(move || one(&shared));
    let other = other(watched);
    (spawned.join().unwrap(), other)
}
