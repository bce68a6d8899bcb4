//! The breaker as its documentation tells it, in lists: slow, and right at a glance.

use std::time::Duration;

use crate::breaker::packed::Kind;
use crate::breaker::settings::Settings;
use crate::breaker::{CircuitBreaker, Refusal};

/// The clock's last moment, in milliseconds: sums end there, and what would happen then never happens.
pub(super) const NEVER: u64 = (1 << 40) - 1;

/// What a test chooses of a breaker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) opens: Opens,
    pub(super) cooldown: u64,
    pub(super) cooldown_max: u64,
    pub(super) probes: usize,
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

    /// The cooldown after so many failed probes in a row: doubled at each, up to the longest one allowed.
    fn cooldown_after(&self, failed_probes: usize) -> u64 {
        let mut length = self.cooldown;
        for _ in 0..failed_probes {
            length = (length * 2).min(NEVER);
        }
        length.min(self.cooldown.max(self.cooldown_max))
    }

    /// How long a probe may be silent. Without a cooldown it still has this very millisecond to itself.
    fn lease(&self) -> u64 {
        self.cooldown.max(1)
    }

    /// The same rules, said to the real breaker.
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
            .machine
            .settings()
    }
}

fn duration(millis: u64) -> Duration {
    match millis {
        NEVER => Duration::MAX,
        _ => Duration::from_millis(millis),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: u64 },
    HalfOpen,
    Forced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Dropped,
}

/// The breaker as its documentation tells it.
#[derive(Debug)]
pub(super) struct Model {
    rules: Rules,
    pub(super) now: u64,
    state: State,
    /// How many transitions there have been.
    era: usize,
    /// What has been recorded since the last transition, oldest first; true for a failure.
    failed: Vec<bool>,
    /// When probes were admitted since the last transition, also those that are back: they have kept the others' places.
    probe_admissions: Vec<u64>,
    /// For each permit that is still out, the era in which it was given.
    permits: Vec<usize>,
    failed_probes: usize,
}

impl Model {
    pub(super) fn new(rules: Rules, now: u64) -> Model {
        let mut model = Model {
            rules,
            now,
            state: State::Closed,
            era: 0,
            failed: Vec::new(),
            probe_admissions: Vec::new(),
            permits: Vec::new(),
            failed_probes: 0,
        };
        model.reset();
        model
    }

    /// Every transition clears the counts, and permits given before it are of another era: they say nothing any more.
    fn turn(&mut self, state: State) {
        self.state = state;
        self.era += 1;
        self.failed.clear();
        self.probe_admissions.clear();
    }

    fn close(&mut self) {
        self.failed_probes = 0;
        self.turn(State::Closed);
    }

    fn open(&mut self) {
        let until = self.later(self.rules.cooldown_after(self.failed_probes));
        self.turn(State::Open { until });
    }

    fn open_again(&mut self) {
        self.failed_probes += 1;
        self.open();
    }

    /// No failure at all is needed to reach a threshold of zero.
    pub(super) fn reset(&mut self) {
        match self.rules.threshold() {
            0 => self.force_open(),
            _ => self.close(),
        }
    }

    pub(super) fn force_open(&mut self) {
        self.failed_probes = 0;
        self.turn(State::Forced);
    }

    pub(super) fn later(&self, length: u64) -> u64 {
        (self.now + length).min(NEVER)
    }

    fn slots_taken(&self) -> usize {
        self.permits.iter().filter(|era| **era == self.era).count()
    }

    fn all_slots_are_taken(&self) -> bool {
        self.slots_taken() >= self.rules.probes
    }

    /// When the places that are taken count as lost: one cooldown after the last of them was given.
    fn lease_end(&self) -> u64 {
        let last = self.probe_admissions.iter().max().expect("places were given");
        (last + self.rules.lease()).min(NEVER)
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        let until = match self.state {
            State::Closed => return None,
            State::Forced => None,
            State::Open { until } => Some(until),
            State::HalfOpen if self.all_slots_are_taken() => Some(self.lease_end()),
            State::HalfOpen => return None,
        };
        if until.is_some_and(|until| self.now >= until) {
            return None;
        }
        Some(Refusal {
            consecutive_failures: self.failure_count(),
            threshold: self.rules.threshold(),
            retry_after_ms: until.map(|until| until - self.now),
        })
    }

    /// Whether the attempt is a probe.
    pub(super) fn admit(&mut self) -> Result<bool, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let places_are_lost = self.state == State::HalfOpen && self.all_slots_are_taken();
        if places_are_lost || matches!(self.state, State::Open { .. }) {
            self.turn(State::HalfOpen);
        }
        let probe = self.state == State::HalfOpen;
        if probe {
            self.probe_admissions.push(self.now);
        }
        self.permits.push(self.era);
        Ok(probe)
    }

    pub(super) fn resolve(&mut self, position: usize, outcome: Outcome) {
        let era = self.permits.remove(position);
        // What began in another era says nothing about this one, and a dropped permit says nothing at all.
        if era != self.era || outcome == Outcome::Dropped {
            return;
        }
        match self.state {
            State::Closed => self.record(outcome == Outcome::Failure),
            State::HalfOpen if outcome == Outcome::Failure => self.open_again(),
            State::HalfOpen => {
                self.failed.push(false);
                if self.failed.len() >= self.rules.probes {
                    self.close();
                }
            }
            State::Open { .. } | State::Forced => unreachable!("nobody is admitted in {:?}", self.state),
        }
    }

    /// A result in the closed state.
    fn record(&mut self, failed: bool) {
        self.failed.push(failed);
        let enough_is_known = match self.rules.opens {
            Opens::AfterFailuresInARow(_) => true,
            Opens::AtFailureRate { window, .. } => self.failed.len() >= window as usize,
            Opens::Never => false,
        };
        if enough_is_known && self.failure_count() >= self.rules.threshold() {
            self.open();
        }
    }

    pub(super) fn record_failure(&mut self) {
        match self.state {
            State::Closed => self.record(true),
            State::HalfOpen => self.open_again(),
            State::Open { until } if self.now >= until => self.open_again(),
            State::Open { .. } | State::Forced => self.failed.push(true),
        }
    }

    /// Taken at its word in every state but one that somebody asked for.
    pub(super) fn record_success(&mut self) {
        match self.state {
            State::Closed => self.record(false),
            State::Open { .. } | State::HalfOpen => self.close(),
            State::Forced => {}
        }
    }

    pub(super) fn failure_count(&self) -> u32 {
        let latest_first = self.failed.iter().rev();
        let failures = match (self.state, self.rules.opens) {
            (State::Closed, Opens::AfterFailuresInARow(_)) => latest_first.take_while(|failed| **failed).count(),
            (State::Closed, Opens::AtFailureRate { window, .. }) => {
                latest_first.take(window as usize).filter(|failed| **failed).count()
            }
            (_, Opens::Never) => 0,
            _ => latest_first.filter(|failed| **failed).count(),
        };
        // What opened it was cleared by opening, and is remembered as what it takes.
        let opened_by = match self.state {
            State::Closed | State::Forced => 0,
            State::Open { .. } | State::HalfOpen => self.rules.threshold(),
        };
        opened_by + u32::try_from(failures).unwrap()
    }

    pub(super) fn view(&self) -> (Kind, Duration) {
        match self.state {
            State::Closed => (Kind::Closed, Duration::ZERO),
            State::Open { until } if self.now < until => (Kind::Open, Duration::from_millis(until - self.now)),
            State::Open { .. } | State::HalfOpen => (Kind::HalfOpen, Duration::ZERO),
            State::Forced => (Kind::Forced, Duration::ZERO),
        }
    }
}
