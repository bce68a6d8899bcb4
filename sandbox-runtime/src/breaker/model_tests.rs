//! The machine, step by step, against a model that keeps plain lists and packs nothing.
//!
//! After every step of a random schedule both must have returned the same answer and the same transitions, and be in the
//! same state. What a short schedule cannot reach has tests of its own at the end.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestCaseResult};

use super::CircuitBreaker;
use super::machine::{Admission, Machine};
use super::packed::{Generation, State};
use super::transition::{Cause, Transition};
use crate::clock::Reading;
use crate::failure::Refusal;
use model::{Model, NEVER, Opens, Outcome, Rules};

#[derive(Debug, Clone, Copy)]
enum Step {
    Admit,
    /// Resolves one of the permits that are out: the index is taken modulo their number.
    Resolve(usize, Outcome),
    /// Attempts one after the other, each resolved before the next.
    Calls {
        successes: usize,
        failures: usize,
    },
    /// That many attempts at once; if one of them is refused, the others are dropped.
    Batch(usize),
    Wait(u64),
    /// Turns the clock back for the next callers: every paused runtime has its own.
    TurnBack(u64),
    RecordFailure,
    RecordSuccess,
    Reset,
    ForceOpen,
}

/// What a caller can learn from a breaker after a step.
#[derive(Debug, PartialEq)]
struct Seen {
    answer: Option<Result<bool, Refusal>>,
    transitions: Vec<Transition>,
    state: (State, Duration),
    failure_count: u32,
    refusal: Option<Refusal>,
}

/// Machine and model, side by side.
struct Pair {
    machine: Machine,
    held: Vec<Admission>,
    /// The transitions that the machine has returned in this step.
    transitions: Vec<Transition>,
    model: Model,
}

impl Pair {
    fn new(rules: Rules, now: u64, generation: Generation) -> Pair {
        Pair {
            machine: Machine::made_of(AtomicU64::new, rules.settings(), generation),
            held: Vec::new(),
            transitions: Vec::new(),
            model: Model::new(rules, now),
        }
    }

    fn perform(&mut self, step: Step) -> TestCaseResult {
        let now = Reading::at(self.model.now);
        match step {
            Step::Admit => return self.admit(),
            Step::Resolve(_, _) if self.held.is_empty() => {}
            Step::Resolve(position, outcome) => self.resolve(position % self.held.len(), outcome),
            Step::Calls { successes, failures } => {
                for _ in 0..successes {
                    self.call(Outcome::Success)?;
                }
                for _ in 0..failures {
                    self.call(Outcome::Failure)?;
                }
            }
            Step::Batch(attempts) => return self.batch(attempts).map(|_| ()),
            Step::Wait(millis) => self.model.now = self.model.later(millis).min(NEVER - 1),
            Step::TurnBack(millis) => self.model.now = self.model.now.saturating_sub(millis),
            Step::RecordFailure => {
                self.transitions.extend(self.machine.record_failure(|| now));
                self.model.record_failure();
            }
            Step::RecordSuccess => {
                self.transitions.extend(self.machine.record_success(|| now));
                self.model.record_success();
            }
            Step::Reset => {
                self.transitions.extend(self.machine.reset());
                self.model.reset();
            }
            Step::ForceOpen => {
                self.transitions.extend(self.machine.force_open());
                self.model.force_open();
            }
        }
        self.compare(None, None)
    }

    fn admit(&mut self) -> TestCaseResult {
        let now = Reading::at(self.model.now);
        let transitions = &mut self.transitions;
        let answer = self
            .machine
            .admit(Duration::ZERO, || now, |_| false, |made| transitions.push(made));
        self.held.extend(answer);
        let expected = self.model.admit();
        self.compare(Some(answer.map(Admission::is_probe)), Some(expected))
    }

    fn resolve(&mut self, position: usize, outcome: Outcome) {
        let now = Reading::at(self.model.now);
        let admission = self.held.remove(position);
        let transition = match outcome {
            Outcome::Success => self.machine.succeed(admission, || now),
            Outcome::Failure => self.machine.fail(admission, || now),
            Outcome::Dropped => {
                self.machine.release(admission);
                None
            }
        };
        self.transitions.extend(transition);
        self.model.resolve(position, outcome);
    }

    fn call(&mut self, outcome: Outcome) -> TestCaseResult {
        let before = self.held.len();
        self.admit()?;
        if self.held.len() > before {
            self.resolve(before, outcome);
        }
        self.compare(None, None)
    }

    /// Returns whether the batch was let in whole. Its attempts succeed then; otherwise each is dropped.
    fn batch(&mut self, attempts: usize) -> Result<bool, TestCaseError> {
        let before = self.held.len();
        while self.held.len() < before + attempts {
            let admitted = self.held.len();
            self.admit()?;
            if self.held.len() == admitted {
                break;
            }
        }
        let is_whole = self.held.len() == before + attempts;
        let outcome = if is_whole { Outcome::Success } else { Outcome::Dropped };
        while self.held.len() > before {
            self.resolve(before, outcome);
            self.compare(None, None)?;
        }
        Ok(is_whole)
    }

    fn compare(
        &mut self,
        answer: Option<Result<bool, Refusal>>,
        expected: Option<Result<bool, Refusal>>,
    ) -> TestCaseResult {
        let now = Reading::at(self.model.now);
        self.model.look_at_clock();
        let seen = Seen {
            answer,
            transitions: std::mem::take(&mut self.transitions),
            state: self.machine.state_at(|| now),
            failure_count: self.machine.failure_count(),
            refusal: self.machine.refusal(|| now, |_| false),
        };
        let expected = Seen {
            answer: expected,
            transitions: self.model.take_transitions(),
            state: self.model.view(),
            failure_count: self.model.failure_count(),
            refusal: self.model.refusal(),
        };
        prop_assert_eq!(
            seen,
            expected,
            "the machine (left) differs from the model (right): {:?}",
            self.model
        );
        Ok(())
    }
}

fn opens() -> impl Strategy<Value = Opens> {
    let windowed = (
        prop::sample::select(vec![1, 2, 3, 5, 20, 31, 32, 33, 63, 64]),
        1..=100_u32,
    )
        .prop_map(|(window, percent)| Opens::AtFailureRate { window, percent });
    let in_a_row = prop::sample::select(vec![0, 1, 2, 3, 4, 5, 6, u32::MAX]).prop_map(Opens::AfterFailuresInARow);
    prop_oneof![8 => in_a_row, 8 => windowed, 1 => Just(Opens::Never)]
}

fn rules() -> impl Strategy<Value = Rules> {
    let cooldown = prop::sample::select(vec![0, 1, 10, 1_000, NEVER]);
    let cooldown_max = prop::sample::select(vec![0, 0, 5, 40, 5_000, NEVER]);
    (opens(), cooldown, cooldown_max, 1..=4_usize).prop_map(|(opens, cooldown, cooldown_max, probes)| Rules {
        opens,
        cooldown,
        cooldown_max,
        probes,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![Outcome::Success, Outcome::Failure, Outcome::Dropped]);
    // Around the ends of the cooldowns, and anywhere.
    let wait = prop_oneof![
        prop::sample::select(vec![1, 9, 10, 11, 40, 999, 1_000, 1_001]),
        0..=5_000_u64,
        0..=NEVER
    ];
    let calls =
        |longest: usize| (0..longest, 0..longest).prop_map(|(successes, failures)| Step::Calls { successes, failures });
    prop_oneof![
        12 => Just(Step::Admit),
        12 => (0..8_usize, outcome).prop_map(|(position, outcome)| Step::Resolve(position, outcome)),
        8 => calls(5),
        2 => calls(70),
        4 => (1..=9_usize).prop_map(Step::Batch),
        10 => wait.prop_map(Step::Wait),
        1 => prop_oneof![0..=20_u64, 0..=20_000_u64].prop_map(Step::TurnBack),
        3 => Just(Step::RecordFailure),
        1 => Just(Step::RecordSuccess),
        // Rare, and a reset more likely, so that most of a schedule happens in the other states.
        1 => Just(Step::ForceOpen),
        2 => Just(Step::Reset),
    ]
}

/// An early moment, one amid the clock's range and one near its end.
fn start() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 1 << 36, NEVER - 10_000])
}

/// The first one, the one opposite to it on the ring, and one shortly before the wrap.
fn generation() -> impl Strategy<Value = Generation> {
    prop::sample::select(vec![0, 1 << 16, (1 << 17) - 5]).prop_map(Generation::after)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        // Unoptimized, the default one would take most of the time.
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("proptest-regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_machine_does_what_the_model_does(
        rules in rules(),
        start in start(),
        generation in generation(),
        schedule in prop::collection::vec(step(), 1..=100),
    ) {
        let mut pair = Pair::new(rules, start, generation);
        pair.compare(None, None)?;
        for (position, step) in schedule.iter().enumerate() {
            pair.perform(*step).map_err(|error| {
                TestCaseError::fail(format!("after {:?}\nstep {position}, {step:?}: {error}", &schedule[..position]))
            })?;
        }
    }

    /// Whatever has happened, and whoever never reports: each batch that comes after the longest cooldown either gets in
    /// or doubles the slots, unless it only finds out that the slots are lost.
    #[test]
    fn a_batch_is_let_in_whole_after_few_batches(
        rules in rules().prop_filter("it opens, and not for ever", |rules| {
            rules.cooldown < NEVER && rules.cooldown_max < NEVER && !matches!(rules.opens, Opens::AfterFailuresInARow(0))
        }),
        schedule in prop::collection::vec(step(), 1..=30),
        attempts in 1..=200_usize,
    ) {
        let mut pair = Pair::new(rules, 0, Generation::FIRST);
        for step in schedule {
            pair.perform(match step {
                // Not to the end of the clock, where nothing is ever over.
                Step::Wait(millis) => Step::Wait(millis % (2 * LONGEST_COOLDOWN)),
                _ => step,
            })?;
        }
        if pair.model.view().0 == State::ForcedOpen {
            pair.perform(Step::Reset)?;
        }
        let enough = attempts.next_power_of_two().ilog2() + 2;
        for _ in 1..enough {
            pair.perform(Step::Wait(LONGEST_COOLDOWN))?;
            if pair.batch(attempts)? {
                return Ok(());
            }
        }
        pair.perform(Step::Wait(LONGEST_COOLDOWN))?;
        prop_assert!(pair.batch(attempts)?, "refused after {enough} batches of {attempts}: {:?}", pair.model);
    }
}

/// Of the rules above, but for the endless one.
const LONGEST_COOLDOWN: u64 = 5_000;

/// A closed machine with a cooldown of one millisecond.
fn machine(breaker: CircuitBreaker) -> Machine {
    Machine::new(breaker.cooldown(Duration::from_millis(1)).machine.settings())
}

fn reset(machine: &Machine, times: u32) {
    for _ in 0..times {
        machine.reset();
    }
}

fn record_failure(machine: &Machine, at: u64) -> u32 {
    machine.record_failure(|| Reading::at(at));
    machine.failure_count()
}

fn admit(machine: &Machine, at: u64) -> Option<Admission> {
    machine
        .admit(Duration::ZERO, || Reading::at(at), |_| false, |_| ())
        .ok()
}

/// The schedules above compare every transition; this one shows what they look like.
#[test]
fn a_life_with_every_cause() {
    let machine = machine(CircuitBreaker::new(2));
    let mut life = Vec::new();
    let admit = |at: u64, life: &mut Vec<Transition>| {
        let admission = machine.admit(Duration::ZERO, || Reading::at(at), |_| false, |made| life.push(made));
        admission.expect("the cooldown is over")
    };
    life.extend(machine.record_failure(|| Reading::at(0)));
    life.extend(machine.record_failure(|| Reading::at(0)));
    let probe = admit(1, &mut life);
    life.extend(machine.fail(probe, || Reading::at(1)));
    let _silent = admit(2, &mut life);
    let probe = admit(3, &mut life);
    life.extend(machine.succeed(probe, || Reading::at(3)));
    life.extend(machine.force_open());
    life.extend(machine.force_open());
    life.extend(machine.record_failure(|| Reading::at(3)));
    life.extend(machine.reset());
    life.extend(machine.reset());
    for _ in 0..3 {
        life.extend(machine.record_failure(|| Reading::at(4)));
    }
    life.extend(machine.record_success(|| Reading::at(4)));

    let transition = |from, to, cause, failures, failed_probes| Transition {
        from,
        to,
        cause,
        failures,
        failed_probes,
    };
    let expected = [
        transition(State::Closed, State::Open, Cause::ThresholdReached, 2, 0),
        transition(State::Open, State::HalfOpen, Cause::CooldownOver, 2, 0),
        transition(State::HalfOpen, State::Open, Cause::ProbeFailed, 2, 1),
        transition(State::Open, State::HalfOpen, Cause::CooldownOver, 2, 1),
        transition(State::HalfOpen, State::HalfOpen, Cause::ProbeSlotsLost, 2, 1),
        transition(State::HalfOpen, State::Closed, Cause::ProbesSucceeded, 2, 1),
        transition(State::Closed, State::ForcedOpen, Cause::ForcedOpen, 0, 0),
        transition(State::ForcedOpen, State::Closed, Cause::Reset, 1, 0),
        transition(State::Closed, State::Open, Cause::ThresholdReached, 2, 0),
        transition(State::Open, State::Closed, Cause::RecordedByHand, 3, 0),
    ];
    assert_eq!(life, expected);
}

/// Half of all generations: from here on, the shorter way round the ring leads from an old one to the current one backwards.
const HALF_THE_GENERATIONS: u32 = 1 << 16;

#[test]
fn many_resets_without_a_failure_do_not_blind_it() {
    let machine = machine(CircuitBreaker::new(2));
    reset(&machine, HALF_THE_GENERATIONS + 1);
    assert_eq!(record_failure(&machine, 0), 1);
    assert_eq!(record_failure(&machine, 0), 2);
    assert_eq!(machine.state_at(|| Reading::at(0)).0, State::Open);
}

#[test]
fn many_openings_by_hand_leave_it_admitting_probes() {
    let machine = Machine::new(CircuitBreaker::new(1).cooldown(Duration::ZERO).machine.settings());
    for _ in 0..HALF_THE_GENERATIONS + 2 {
        record_failure(&machine, 0);
    }
    assert!(admit(&machine, 0).is_some_and(Admission::is_probe));
}

#[test]
fn a_permit_dropped_many_transitions_later_frees_no_slot_of_others() {
    let machine = machine(CircuitBreaker::new(1));
    record_failure(&machine, 0);
    let old = admit(&machine, 1).expect("the cooldown is over");
    reset(&machine, HALF_THE_GENERATIONS + 1);
    record_failure(&machine, 1);
    admit(&machine, 2).expect("the cooldown is over");
    machine.release(old);
    assert_eq!(admit(&machine, 2), None, "the only slot is taken");
}

#[test]
fn each_batch_that_gives_up_doubles_the_slots_until_the_next_transition() {
    let machine = machine(CircuitBreaker::new(1));
    let batch = |at: u64| {
        std::iter::from_fn(|| admit(&machine, at))
            .take(1_000_000)
            .collect::<Vec<_>>()
    };
    for round in 0..3 {
        record_failure(&machine, round);
        for slots in (0..16).map(|doublings| 1 << doublings).chain([65_535; 3]) {
            let probes = batch(round + 1);
            assert_eq!(probes.len(), slots);
            probes.into_iter().for_each(|probe| machine.release(probe));
        }
        let probes = batch(round + 1);
        // Ends the round: a success closes it.
        machine.succeed(probes[0], || Reading::at(round + 1));
        assert_eq!(machine.state_at(|| Reading::at(round + 1)).0, State::Closed);
        // Of a generation that is over.
        probes.into_iter().for_each(|probe| machine.release(probe));
    }
}

#[test]
fn probes_dropped_one_by_one_double_the_slots_once() {
    let machine = machine(CircuitBreaker::new(1));
    record_failure(&machine, 0);
    for _ in 0..10 {
        machine.release(admit(&machine, 1).expect("a slot is free"));
    }
    let admitted = std::iter::from_fn(|| admit(&machine, 1)).count();
    assert_eq!(admitted, 2, "nobody was refused");
}

/// By a clock that is hours behind, silent probes keep their slots for their lease: of the longest limit, rounded up to a
/// power of two.
#[test]
fn a_lease_of_another_clock_lasts_no_longer_than_one_of_this_clock() {
    for (limits, lease) in [
        ([0, 0], 1),
        ([0, 1_000], 1_025),
        ([1_024, 3], 1_025),
        ([1_025, 1_025], 2_049),
    ] {
        let machine = machine(CircuitBreaker::new(1).probes(2));
        record_failure(&machine, 0);
        for limit in limits.map(Duration::from_millis) {
            let probe = machine.admit(limit, || Reading::at(7_200_000), |_| false, |_| ());
            assert!(probe.is_ok_and(Admission::is_probe));
        }
        let refused_at = |at| machine.refusal(|| Reading::at(at), |_| false).is_some();
        assert!(refused_at(10), "two slots, two probes");
        assert!(refused_at(10 + lease - 1), "{limits:?}");
        assert!(!refused_at(10 + lease), "{limits:?}");
    }
}

#[test]
fn as_many_probes_as_can_be_asked_for_have_a_slot_each() {
    let machine = machine(CircuitBreaker::new(1).probes(u32::MAX));
    record_failure(&machine, 0);
    let probes: Vec<Admission> = (0..u16::MAX).map_while(|_| admit(&machine, 1)).collect();
    assert_eq!(probes.len(), usize::from(u16::MAX));
    assert_eq!(admit(&machine, 1), None);
    for probe in probes {
        assert_eq!(machine.state_at(|| Reading::at(1)).0, State::HalfOpen);
        machine.succeed(probe, || Reading::at(1));
    }
    assert_eq!(machine.state_at(|| Reading::at(1)).0, State::Closed);
}

#[test]
fn the_longest_window_holds_64_results_and_no_more() {
    let machine = machine(CircuitBreaker::windowed(64, 1.0));
    machine.record_success(|| Reading::at(0));
    for failures in 1..=63 {
        assert_eq!(record_failure(&machine, 0), failures);
    }
    assert_eq!(
        machine.state_at(|| Reading::at(0)).0,
        State::Closed,
        "63 failures and the success"
    );
    record_failure(&machine, 0);
    assert_eq!(
        machine.state_at(|| Reading::at(0)).0,
        State::Open,
        "the success has left the window"
    );
}

#[test]
fn a_cooldown_grows_through_31_failed_probes_and_never_past_the_clock() {
    for (cooldown, grown) in [(1, 1 << 31), (1 << 10, NEVER)] {
        let growing = CircuitBreaker::new(1)
            .cooldown(Duration::from_millis(cooldown))
            .cooldown_max(Duration::MAX);
        let machine = Machine::new(growing.machine.settings());
        record_failure(&machine, 0);
        for _ in 0..40 {
            let (_, left) = machine.state_at(|| Reading::ZERO);
            let probe = machine
                .admit(
                    Duration::ZERO,
                    || Reading::at(u64::try_from(left.as_millis()).unwrap()),
                    |_| false,
                    |_| (),
                )
                .expect("the cooldown is over");
            machine.fail(probe, || Reading::ZERO);
        }
        assert_eq!(machine.state_at(|| Reading::ZERO).1, Duration::from_millis(grown));
    }
}
