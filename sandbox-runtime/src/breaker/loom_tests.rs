//! The machine under all schedules of two and three threads.
//!
//! [loom] runs a scenario until it has seen every order in which the threads can access the words, and every value that a
//! load may return. It gives sequentially consistent accesses only the guarantees of acquire and release: what holds here
//! does not depend on more than that.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod by_hand;
mod by_others;
mod closed;
mod forgetting;
mod half_open;
mod transitions;
mod windowed;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::CircuitBreaker;
use super::machine::{Admission, Machine};
use super::packed::{self, Generation};
use super::transition::Transition;
use crate::clock::Reading;

/// A machine whose probe slots are checked at every admission, whatever else a scenario is about.
///
/// The mutexes are the standard library's, which loom does not see: its own would order the threads' accesses to the
/// words.
struct Watched {
    machine: Machine<AtomicU64>,
    /// The admissions that are live: each is added after it was given and removed before it is resolved.
    live: Mutex<Vec<Admission>>,
    /// The admissions that have been released, or soon will be.
    released: Mutex<Vec<Admission>>,
    /// The transitions returned so far, to whichever thread.
    transitions: Mutex<Vec<Transition>>,
}

const COOLDOWN: u64 = 10;

impl Watched {
    /// Creates a closed breaker. A second transition to open would show in its doubled cooldown.
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
            released: Mutex::default(),
            transitions: Mutex::default(),
        })
    }

    /// Creates a breaker that opens at the first failure, and has done so at 0: its cooldown is over at 10.
    fn opened(probes: u32) -> Arc<Watched> {
        let watched = Watched::new(CircuitBreaker::new(1), probes);
        watched.record_failure(0);
        watched
    }

    fn live(&self) -> MutexGuard<'_, Vec<Admission>> {
        self.live.lock().unwrap()
    }

    fn admit(&self, at: u64) -> Option<Admission> {
        let admission = self
            .machine
            .admit(
                Duration::ZERO,
                || Reading::at(at),
                |_| false,
                |made| self.log(Some(made)),
            )
            .ok()?;
        let mut live = self.live();
        live.push(admission);
        let of_this_generation = live.iter().filter(|other| **other == admission).count();
        let released = self.released.lock().unwrap();
        let doublings = released.iter().filter(|other| **other == admission).count();
        let slots = usize::from(self.machine.settings().probes) << doublings;
        assert!(
            !admission.is_probe() || of_this_generation <= slots,
            "{of_this_generation} probes at a time"
        );
        Some(admission)
    }

    fn admit_now(&self, at: u64) -> Admission {
        self.admit(at).expect("the attempt is admitted")
    }

    /// Takes every free slot and returns how many there were.
    fn free_slots(&self, at: u64) -> usize {
        std::iter::from_fn(|| self.admit(at)).count()
    }

    fn remove_live(&self, admission: Admission) {
        // An attempt takes time, but loom switches threads only at an access.
        self.failure_count(0);
        let mut live = self.live();
        let position = live.iter().position(|other| *other == admission).unwrap();
        live.swap_remove(position);
    }

    fn succeed(&self, admission: Admission, at: u64) {
        self.remove_live(admission);
        self.log(self.machine.succeed(admission, || Reading::at(at)));
    }

    fn fail(&self, admission: Admission, at: u64) {
        self.remove_live(admission);
        self.log(self.machine.fail(admission, || Reading::at(at)));
    }

    fn release(&self, admission: Admission) {
        self.remove_live(admission);
        self.released.lock().unwrap().push(admission);
        self.machine.release(admission);
    }

    fn record_failure(&self, at: u64) {
        self.log(self.machine.record_failure(|| Reading::at(at)));
    }

    fn record_success(&self, at: u64) {
        self.log(self.machine.record_success(|| Reading::at(at)));
    }

    fn reset(&self) {
        self.log(self.machine.reset(|| Reading::ZERO));
    }

    fn force_open(&self) {
        self.log(self.machine.force_open(|| Reading::ZERO));
    }

    fn open_for(&self, lasts: u64, at: u64) {
        let lasts = Duration::from_millis(lasts);
        self.log(self.machine.open_for(lasts, || Reading::at(at)));
    }

    fn close(&self, at: u64) {
        self.log(self.machine.close(|| Reading::at(at)));
    }

    fn log(&self, transition: Option<Transition>) {
        self.transitions.lock().unwrap().extend(transition);
    }

    fn take_transitions(&self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions.lock().unwrap())
    }

    fn failure_count(&self, at: u64) -> u32 {
        self.machine.failure_count(|| Reading::at(at))
    }

    /// Returns the state at `at`, with the failures counted, or with the rest of the cooldown.
    fn state(&self, at: u64) -> State {
        match self.machine.state_at(|| Reading::at(at)) {
            (packed::State::Closed, _) => State::Closed(self.failure_count(at)),
            (packed::State::Open, left) => State::Open(left.as_millis()),
            (packed::State::HalfOpen, _) => State::HalfOpen,
            (packed::State::ForcedOpen, _) => State::ForcedOpen,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed(u32),
    Open(u128),
    HalfOpen,
    ForcedOpen,
}

/// Runs `scenario` under all schedules.
fn explore(scenario: impl Fn() + Sync + Send + 'static) {
    Builder::new().check(scenario);
}

/// Runs `scenario` under all schedules with at most three preemptions: for three threads, some of which take minutes
/// without a bound. Most errors need no more than two.
fn explore_with_few_preemptions(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scenario);
}

/// Runs `one` and `other` concurrently and waits for both.
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
