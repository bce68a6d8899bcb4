//! The machine, step by step, against a model that keeps plain lists and packs nothing.
//!
//! After every step of a random schedule both must have returned the same answer and the same transitions, and be in the
//! same state.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod long_lives;
mod model;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestCaseResult};

use super::machine::{Admission, Machine};
use super::packed::{Generation, State};
use super::transition::Transition;
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
    /// Others have found the dependency ill: open for so long from now on.
    OpenFor(u64),
    /// Others have found it well.
    Close,
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
                self.transitions.extend(self.machine.reset(|| now));
                self.model.reset();
            }
            Step::ForceOpen => {
                self.transitions.extend(self.machine.force_open(|| now));
                self.model.force_open();
            }
            Step::OpenFor(lasts) => {
                let lasting = model::duration(lasts);
                self.transitions.extend(self.machine.open_for(lasting, || now));
                self.model.open_for(lasts);
            }
            Step::Close => {
                self.transitions.extend(self.machine.close(|| now));
                self.model.close_by_others();
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
            Outcome::SuccessAfter(millis) => {
                let is_slow = self.machine.settings().is_slow(Duration::from_millis(millis));
                match is_slow {
                    true => self.machine.fail(admission, || now),
                    false => self.machine.succeed(admission, || now),
                }
            }
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
            failure_count: self.machine.failure_count(|| now),
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
    // Around the threshold at which moments become coarse, and far beyond.
    let in_a_row = prop::sample::select(vec![0, 1, 2, 3, 4, 5, 6, 127, 128, 1_000, u32::MAX]);
    let in_a_row = in_a_row.prop_map(Opens::AfterFailuresInARow);
    prop_oneof![8 => in_a_row, 8 => windowed, 1 => Just(Opens::Never)]
}

fn rules() -> impl Strategy<Value = Rules> {
    let cooldown = prop::sample::select(vec![0, 1, 10, 1_000, NEVER]);
    let cooldown_max = prop::sample::select(vec![0, 0, 5, 40, 5_000, NEVER]);
    // Endless most of the time, as it is by default.
    let forget_after = prop::sample::select(vec![None, None, Some(0), Some(1), Some(10), Some(1_000), Some(40_000)]);
    let slow_call = prop::sample::select(vec![None, Some(0), Some(10)]);
    (opens(), cooldown, cooldown_max, 1..=4_usize, forget_after, slow_call).prop_map(
        |(opens, cooldown, cooldown_max, probes, forget_after, slow_call)| Rules {
            opens,
            cooldown,
            cooldown_max,
            probes,
            forget_after,
            slow_call,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => prop::sample::select(vec![Outcome::Success, Outcome::Failure, Outcome::Dropped]),
        1 => prop::sample::select(vec![0, 1, 10, 11, NEVER]).prop_map(Outcome::SuccessAfter),
    ];
    // Around the ends of the cooldowns, and anywhere.
    let wait = prop_oneof![
        prop::sample::select(vec![1, 9, 10, 11, 40, 999, 1_000, 1_001]),
        0..=5_000_u64,
        0..=NEVER
    ];
    // At once, around the cooldowns, and longer than any of them.
    let lasts = prop_oneof![
        prop::sample::select(vec![0, 0, 1, 9, 10, 11, 999, 1_000, 1_001, NEVER]),
        0..=6_000_u64
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
        4 => lasts.prop_map(Step::OpenFor),
        1 => Just(Step::Close),
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
