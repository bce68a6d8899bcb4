//! The breaker as its documentation describes it, in plain lists: slow, and obviously right.

use std::time::Duration;

use crate::breaker::CircuitBreaker;
use crate::breaker::packed::State;
use crate::breaker::settings::Settings;
use crate::breaker::transition::{BreakerCause, Transition};
use crate::failure::Refusal;

/// The clock's last moment, in milliseconds: sums saturate there, and what is due then never happens.
pub(super) const NEVER: u64 = (1 << 40) - 1;

/// The settings that a test chooses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) opens: Opens,
    pub(super) cooldown: u64,
    pub(super) cooldown_max: u64,
    pub(super) probes: usize,
    /// The longest time between two failures in a row.
    pub(super) forget_after: Option<u64>,
    /// The longest that a success may take.
    pub(super) slow_call: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Opens {
    AfterFailuresInARow(u32),
    AtFailureRate { window: u32, percent: u32 },
    Never,
}

impl Rules {
    fn threshold(&self) -> u32 {
        match self.opens {
            Opens::AfterFailuresInARow(failures) => failures,
            Opens::AtFailureRate { window, percent } => (window * percent).div_ceil(100),
            Opens::Never => u32::MAX,
        }
    }

    /// Returns the cooldown after `failed_probes` in a row: doubled at each, up to the longest one allowed.
    fn cooldown_after(&self, failed_probes: usize) -> u64 {
        let mut length = self.cooldown;
        for _ in 0..failed_probes {
            length = (length * 2).min(NEVER);
        }
        length.min(self.cooldown.max(self.cooldown_max))
    }

    /// Returns how long a probe may be silent: without a cooldown, for the millisecond in which it was admitted.
    fn lease(&self) -> u64 {
        self.cooldown.max(1)
    }

    /// Returns whether two failures at these moments lie too far apart to be in a row. Moments are rounded down to units: a
    /// millisecond for up to 127 failures, and twice as long for each time that they double.
    fn lie_apart(&self, one: u64, other: u64) -> bool {
        let (mut unit, mut most) = (1, 127);
        while most < u64::from(self.threshold()) {
            unit *= 2;
            most = 2 * most + 1;
        }
        let units = (one / unit).abs_diff(other / unit);
        self.forget_after.is_some_and(|longest| units > longest.div_ceil(unit))
    }

    /// Converts the rules for the real breaker.
    pub(super) fn settings(&self) -> Settings {
        let breaker = match self.opens {
            Opens::AfterFailuresInARow(failures) => CircuitBreaker::new(failures),
            Opens::AtFailureRate { window, percent } => CircuitBreaker::windowed(window, f64::from(percent) / 100.0),
            Opens::Never => CircuitBreaker::disabled(),
        };
        breaker
            .cooldown(duration(self.cooldown))
            .cooldown_max(duration(self.cooldown_max))
            .probes(u32::try_from(self.probes).unwrap())
            .forget_after(self.forget_after.map_or(Duration::MAX, duration))
            .slow_call(self.slow_call.map_or(Duration::MAX, duration))
            .machine
            .settings()
    }
}

pub(super) fn duration(millis: u64) -> Duration {
    match millis {
        NEVER => Duration::MAX,
        _ => Duration::from_millis(millis),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelState {
    Closed,
    Open { until: u64 },
    HalfOpen,
    ForcedOpen,
}

impl ModelState {
    fn without_end(self) -> State {
        match self {
            ModelState::Closed => State::Closed,
            ModelState::Open { .. } => State::Open,
            ModelState::HalfOpen => State::HalfOpen,
            ModelState::ForcedOpen => State::ForcedOpen,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// A success that has taken so many milliseconds.
    SuccessAfter(u64),
    Failure,
    Dropped,
}

/// The breaker as its documentation describes it.
#[derive(Debug)]
pub(super) struct Model {
    rules: Rules,
    pub(super) now: u64,
    state: ModelState,
    /// Counts the transitions, and the resets and forced openings that changed only the counts.
    era: usize,
    /// The results recorded in this era and when they were, oldest first; true for a failure.
    failed: Vec<(bool, u64)>,
    /// When probes were admitted in this era. Resolved ones are included: they have extended the lease of the others.
    probe_admissions: Vec<u64>,
    /// How many probes are admitted at a time in this era.
    slots: usize,
    /// For each permit that is still out, the era in which it was given.
    permits: Vec<usize>,
    failed_probes: usize,
    /// The transitions that the test has not taken yet.
    transitions: Vec<Transition>,
}

impl Model {
    pub(super) fn new(rules: Rules, now: u64) -> Model {
        let mut model = Model {
            rules,
            now,
            state: ModelState::Closed,
            era: 0,
            failed: Vec::new(),
            probe_admissions: Vec::new(),
            slots: rules.probes,
            permits: Vec::new(),
            failed_probes: 0,
            transitions: Vec::new(),
        };
        model.reset();
        model.transitions.clear();
        model
    }

    pub(super) fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Every transition clears the counts, and permits given before it are of another era: their results do not count.
    fn transition(&mut self, to: ModelState, cause: BreakerCause) {
        self.transitions.push(Transition {
            from: self.state.without_end(),
            to: to.without_end(),
            cause,
            failures: self.failure_count(),
            failed_probes: u8::try_from(self.failed_probes.min(31)).unwrap(),
        });
        self.begin_era(to);
    }

    /// A reset of a closed breaker, and forcing open one that is forced open, change the counts, but not the state.
    fn force(&mut self, to: ModelState, cause: BreakerCause) {
        if self.state == to {
            self.begin_era(to);
        } else {
            self.transition(to, cause);
        }
        self.failed_probes = 0;
    }

    fn begin_era(&mut self, state: ModelState) {
        self.state = state;
        self.era += 1;
        self.failed.clear();
        self.probe_admissions.clear();
        self.slots = self.rules.probes;
    }

    fn close(&mut self, cause: BreakerCause) {
        self.transition(ModelState::Closed, cause);
        self.failed_probes = 0;
    }

    fn open(&mut self, cause: BreakerCause) {
        let until = self.later(self.rules.cooldown_after(self.failed_probes));
        self.transition(ModelState::Open { until }, cause);
    }

    fn reopen(&mut self, cause: BreakerCause) {
        self.failed_probes += 1;
        self.open(cause);
    }

    /// A threshold of zero is reached without a failure.
    pub(super) fn reset(&mut self) {
        let initial = match self.rules.threshold() {
            0 => ModelState::ForcedOpen,
            _ => ModelState::Closed,
        };
        self.force(initial, BreakerCause::Reset);
    }

    pub(super) fn force_open(&mut self) {
        self.force(ModelState::ForcedOpen, BreakerCause::ForcedOpen);
    }

    /// Whoever has forced it open closes it. A breaker that nothing opens is none that others know of.
    pub(super) fn open_for(&mut self, lasts: u64) {
        let until = self.later(lasts.min(self.rules.cooldown_after(self.failed_probes)));
        match (self.state, self.rules.opens) {
            (_, Opens::Never) | (ModelState::ForcedOpen, _) => {}
            (ModelState::Open { .. }, _) => self.state = ModelState::Open { until },
            (ModelState::Closed | ModelState::HalfOpen, _) => {
                self.transition(ModelState::Open { until }, BreakerCause::Fleet);
            }
        }
    }

    pub(super) fn close_by_others(&mut self) {
        match self.state {
            ModelState::Closed | ModelState::ForcedOpen => {}
            ModelState::Open { .. } | ModelState::HalfOpen => self.close(BreakerCause::Fleet),
        }
    }

    pub(super) fn later(&self, length: u64) -> u64 {
        (self.now + length).min(NEVER)
    }

    fn slots_taken(&self) -> usize {
        self.permits.iter().filter(|era| **era == self.era).count()
    }

    fn all_slots_are_taken(&self) -> bool {
        self.slots_taken() >= self.slots
    }

    /// Returns when the slots that are taken count as lost: one cooldown after the last of them was taken.
    fn lease_end(&self) -> u64 {
        let last = self.probe_admissions.iter().max().expect("slots were taken");
        (last + self.rules.lease()).min(NEVER)
    }

    /// Looks at the clock. If it is behind the one by which an end was set, the wait begins again.
    pub(super) fn look_at_clock(&mut self) {
        let latest = self.later(self.rules.cooldown_after(self.failed_probes));
        match self.state {
            ModelState::Open { until } => {
                self.state = ModelState::Open {
                    until: until.min(latest),
                }
            }
            ModelState::HalfOpen if self.all_slots_are_taken() => {
                let now = self.now;
                self.probe_admissions.iter_mut().for_each(|at| *at = now.min(*at));
            }
            _ => {}
        }
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        let (until, longest) = match self.state {
            ModelState::Closed => return None,
            ModelState::ForcedOpen => (None, NEVER),
            ModelState::Open { until } => (Some(until), NEVER),
            // Beside a probe, soon.
            ModelState::HalfOpen if self.all_slots_are_taken() => (Some(self.lease_end()), 1_000),
            ModelState::HalfOpen => return None,
        };
        if until.is_some_and(|until| self.now >= until) {
            return None;
        }
        Some(Refusal {
            consecutive_failures: self.failure_count(),
            threshold: self.rules.threshold(),
            retry_after_ms: until.map(|until| longest.min(until - self.now)),
            is_probing: self.state == ModelState::HalfOpen,
        })
    }

    /// Returns whether the attempt is a probe.
    pub(super) fn admit(&mut self) -> Result<bool, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        match self.state {
            ModelState::Open { .. } => self.transition(ModelState::HalfOpen, BreakerCause::CooldownOver),
            ModelState::HalfOpen if self.all_slots_are_taken() => {
                self.transition(ModelState::HalfOpen, BreakerCause::ProbeSlotsLost);
            }
            _ => {}
        }
        let probe = self.state == ModelState::HalfOpen;
        if probe {
            self.probe_admissions.push(self.now);
        }
        self.permits.push(self.era);
        Ok(probe)
    }

    pub(super) fn resolve(&mut self, position: usize, outcome: Outcome) {
        let all_slots_were_taken = self.all_slots_are_taken();
        let era = self.permits.remove(position);
        let outcome = match outcome {
            Outcome::SuccessAfter(took) if self.rules.slow_call.is_some_and(|longest| took > longest) => {
                Outcome::Failure
            }
            Outcome::SuccessAfter(_) => Outcome::Success,
            outcome => outcome,
        };
        // A result of another era does not count.
        if era != self.era {
            return;
        }
        match self.state {
            // A dropped permit has no result. It may have been dropped because another attempt found every slot taken.
            _ if outcome == Outcome::Dropped => {
                if self.state == ModelState::HalfOpen && all_slots_were_taken {
                    self.slots *= 2;
                }
            }
            ModelState::Closed => self.record(outcome == Outcome::Failure),
            ModelState::HalfOpen if outcome == Outcome::Failure => self.reopen(BreakerCause::ProbeFailed),
            ModelState::HalfOpen => {
                self.failed.push((false, self.now));
                if self.failed.len() >= self.rules.probes {
                    self.close(BreakerCause::ProbesSucceeded);
                }
            }
            ModelState::Open { .. } | ModelState::ForcedOpen => unreachable!("nobody is admitted in {:?}", self.state),
        }
    }

    /// Records a result in the closed state.
    fn record(&mut self, failed: bool) {
        self.failed.push((failed, self.now));
        let enough_is_known = match self.rules.opens {
            Opens::AfterFailuresInARow(_) => true,
            Opens::AtFailureRate { window, .. } => self.failed.len() >= window as usize,
            Opens::Never => false,
        };
        if enough_is_known && self.failure_count() >= self.rules.threshold() {
            self.open(BreakerCause::ThresholdReached);
        }
    }

    pub(super) fn record_failure(&mut self) {
        match self.state {
            ModelState::Closed => self.record(true),
            ModelState::HalfOpen => self.reopen(BreakerCause::RecordedByHand),
            ModelState::Open { until } if self.now >= until => self.reopen(BreakerCause::RecordedByHand),
            ModelState::Open { .. } | ModelState::ForcedOpen => self.failed.push((true, self.now)),
        }
    }

    /// Trusts the success in every state except the one that somebody asked for.
    pub(super) fn record_success(&mut self) {
        match self.state {
            ModelState::Closed => self.record(false),
            ModelState::Open { .. } | ModelState::HalfOpen => self.close(BreakerCause::RecordedByHand),
            ModelState::ForcedOpen => {}
        }
    }

    pub(super) fn failure_count(&self) -> u32 {
        let latest_first = self.failed.iter().rev();
        let failures = match (self.state, self.rules.opens) {
            (ModelState::Closed, Opens::AfterFailuresInARow(_)) => self.failures_in_a_row(),
            (ModelState::Closed, Opens::AtFailureRate { window, .. }) => {
                latest_first.take(window as usize).filter(|(failed, _)| *failed).count()
            }
            (_, Opens::Never) => 0,
            _ => latest_first.filter(|(failed, _)| *failed).count(),
        };
        // Opening has cleared the failures that opened the breaker; they are remembered as the threshold.
        let opened_by = match self.state {
            ModelState::Closed | ModelState::ForcedOpen => 0,
            ModelState::Open { .. } | ModelState::HalfOpen => self.rules.threshold(),
        };
        opened_by.saturating_add(u32::try_from(failures).unwrap())
    }

    /// Goes back from now until a success, or until a failure lies too far behind what came after it.
    fn failures_in_a_row(&self) -> usize {
        let mut later = self.now;
        let mut row = 0;
        for (failed, at) in self.failed.iter().rev() {
            if !failed || self.rules.lie_apart(*at, later) {
                break;
            }
            later = *at;
            row += 1;
        }
        row
    }

    pub(super) fn view(&self) -> (State, Duration) {
        match self.state {
            ModelState::Closed => (State::Closed, Duration::ZERO),
            ModelState::Open { until } if self.now < until => (State::Open, Duration::from_millis(until - self.now)),
            ModelState::Open { .. } | ModelState::HalfOpen => (State::HalfOpen, Duration::ZERO),
            ModelState::ForcedOpen => (State::ForcedOpen, Duration::ZERO),
        }
    }
}
