//! The breaker's state machine: pure but for its atomics, with the time passed in.
//!
//! ```text
//!              threshold reached               cooldown over
//!   Closed ───────────────────────▶ Open ─────────────────────▶ HalfOpen
//!      ▲                              ▲                          │  │  ▲
//!      │                              └───── a probe failed ─────┘  │  └─ every place lost: a new generation
//!      └─────────────── as many successes as `probes` ──────────────┘
//! ```
//!
//! `now` is a function, so that the closed state never reads a clock.
//!
//! Orderings: the words guard no other memory. The closed state loads with `Acquire` and trusts only what it reads; all
//! that moves the state on is `SeqCst`, because half-open admission writes one word and then reads the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::words::{Generation, Kind, Phase, Tally, Trial};
use crate::clock::Tick;

/// What the machine needs of an atomic word; a model checker brings its own.
pub(super) trait Word {
    fn load(&self, ordering: Ordering) -> u64;
    fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64>;
}

impl Word for AtomicU64 {
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }
    fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}

/// What opens a closed breaker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trip {
    /// So many failures in a row.
    Consecutive { failures: u32 },
    /// So many failures among the last `size` results.
    Windowed { size: u32, failures: u32 },
    /// Nothing.
    Never,
}

impl Trip {
    pub(super) const fn failures(self) -> u32 {
        match self {
            Trip::Consecutive { failures } | Trip::Windowed { failures, .. } => failures,
            Trip::Never => u32::MAX,
        }
    }
}

/// All that does not change once the breaker is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) trip: Trip,
    pub(super) cooldown: Tick,
    pub(super) cooldown_max: Tick,
    pub(super) probes: u16,
}

impl Settings {
    /// The state after construction and after a reset. A threshold of zero has been reached before the first call.
    pub(super) const fn initial(&self) -> Kind {
        match self.trip.failures() {
            0 => Kind::Forced,
            _ => Kind::Closed,
        }
    }

    fn cooldown_at(&self, level: u32) -> Tick {
        let longest = Ord::max(self.cooldown, self.cooldown_max);
        self.cooldown.doubled(level).min(longest)
    }

    /// How long an unresolved probe keeps its place. Never nothing, or places would be free while they are taken.
    fn lease(&self) -> Tick {
        Ord::max(self.cooldown, Tick::length_of(Duration::from_millis(1)))
    }
}

/// Leave to make one attempt, and what its result will count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    generation: Generation,
    probe: bool,
}

impl Admission {
    pub(crate) fn is_probe(self) -> bool {
        self.probe
    }
}

/// The answer of a breaker that lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) failures: u32,
    pub(crate) threshold: u32,
    /// `None`: not before a reset.
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Machine<W = AtomicU64> {
    phase: W,
    tally: W,
    /// The latest results, newest lowest, a one for a failure. Not cleared by transitions: the tally says how many of
    /// them belong to the present generation. A thread held up between its look at the phase and its write here may
    /// bring one result of an older generation into the window. It judges nothing itself then, but the next result to
    /// be judged is judged with it. And of results pushed at once only the last is sure to be judged as the latest.
    window: W,
    settings: Settings,
}

impl Machine {
    pub(super) const fn new(settings: Settings) -> Machine {
        Machine {
            phase: AtomicU64::new(Phase::new(settings.initial(), Generation::FIRST).pack()),
            tally: AtomicU64::new(0),
            window: AtomicU64::new(0),
            settings,
        }
    }

    /// The same machine with other settings; for builders, before the first use.
    pub(super) const fn with(self, settings: Settings) -> Machine {
        Machine { settings, ..self }
    }
}

#[cfg(test)]
impl<W> Machine<W> {
    /// A machine of other words, after transitions that left nothing counted.
    pub(super) fn made_of(word: impl Fn(u64) -> W, settings: Settings, generation: Generation) -> Machine<W> {
        Machine {
            phase: word(Phase::new(settings.initial(), generation).pack()),
            tally: word(0),
            window: word(0),
            settings,
        }
    }
}

impl<W: Word> Machine<W> {
    pub(super) const fn settings(&self) -> Settings {
        self.settings
    }

    fn phase(&self) -> Phase {
        Phase::unpack(self.phase.load(Ordering::SeqCst))
    }

    /// Asks to make an attempt.
    #[inline]
    pub(super) fn admit(&self, now: impl Fn() -> Tick) -> Result<Admission, Refusal> {
        let phase = Phase::unpack(self.phase.load(Ordering::Acquire));
        match phase.kind {
            Kind::Closed => Ok(Admission {
                generation: phase.generation,
                probe: false,
            }),
            _ => self.admit_unless_open(now()),
        }
    }

    #[cold]
    fn admit_unless_open(&self, now: Tick) -> Result<Admission, Refusal> {
        loop {
            let phase = self.phase();
            if let Some(refusal) = self.refusal_in(phase, now) {
                return Err(refusal);
            }
            let generation = phase.generation;
            match phase.kind {
                Kind::Closed => {
                    return Ok(Admission {
                        generation,
                        probe: false,
                    });
                }
                // Places taken since the look above are not lost ones: while the lease lasts, they are waited for.
                Kind::HalfOpen
                    if now < phase.until || self.trial_of(generation).places_taken < self.settings.probes =>
                {
                    if self.take_place(phase, now) {
                        return Ok(Admission {
                            generation,
                            probe: true,
                        });
                    }
                }
                // The cooldown is over, or every place has been lost.
                _ => {
                    let half_open = Phase {
                        kind: Kind::HalfOpen,
                        generation: generation.next(),
                        level: phase.level,
                        until: now.plus(self.settings.lease()),
                    };
                    self.move_on(phase, half_open);
                }
            }
        }
    }

    /// The lease first, then the place: whoever finds all places taken then finds the latest lease as well. The last look
    /// tells whether the places still were this generation's when one was taken.
    fn take_place(&self, phase: Phase, now: Tick) -> bool {
        let leased = Phase {
            until: Ord::max(phase.until, now.plus(self.settings.lease())),
            ..phase
        };
        if leased != phase && !self.move_on(phase, leased) {
            return false;
        }
        let taken = self.update_trial(phase.generation, |trial| {
            (trial.places_taken < self.settings.probes).then(|| Trial {
                places_taken: trial.places_taken + 1,
                ..trial
            })
        });
        taken.is_some() && self.is_at(Kind::HalfOpen, phase.generation)
    }

    /// Why an attempt would not be admitted at `now`; changes nothing.
    pub(super) fn refusal(&self, now: impl Fn() -> Tick) -> Option<Refusal> {
        let phase = self.phase();
        match phase.kind {
            Kind::Closed => None,
            _ => self.refusal_in(phase, now()),
        }
    }

    fn refusal_in(&self, phase: Phase, now: Tick) -> Option<Refusal> {
        let refused = match phase.kind {
            Kind::Closed => false,
            Kind::Open => now < phase.until,
            Kind::HalfOpen => {
                let full = self.trial_of(phase.generation).places_taken >= self.settings.probes;
                full && now < phase.until
            }
            Kind::Forced => true,
        };
        refused.then(|| Refusal {
            failures: self.failures_in(phase),
            threshold: self.settings.trip.failures(),
            retry_after: (phase.kind != Kind::Forced).then(|| phase.until.since(now)),
        })
    }

    /// An admitted attempt succeeded.
    #[inline]
    pub(super) fn succeed(&self, admission: Admission, now: impl Fn() -> Tick) {
        let Admission { generation, probe } = admission;
        if probe {
            self.succeed_probe(generation);
        } else if self.is_at(Kind::Closed, generation) {
            self.count_success(generation, now);
        }
    }

    #[cold]
    fn succeed_probe(&self, generation: Generation) {
        if !self.is_at(Kind::HalfOpen, generation) {
            return;
        }
        let trial = self.update_trial(generation, |trial| {
            Some(Trial {
                places_taken: trial.places_taken.saturating_sub(1),
                successes: trial.successes.saturating_add(1),
            })
        });
        if trial.is_some_and(|trial| trial.successes >= self.settings.probes) {
            self.leave(Kind::HalfOpen, generation, |phase| {
                Phase::new(Kind::Closed, phase.generation.next())
            });
        }
    }

    /// An admitted attempt failed.
    #[cold]
    pub(super) fn fail(&self, admission: Admission, now: impl Fn() -> Tick) {
        let Admission { generation, probe } = admission;
        if probe {
            self.open(Kind::HalfOpen, generation, now());
        } else if self.is_at(Kind::Closed, generation) {
            self.count_failure(generation, now);
        }
    }

    /// An admitted attempt came to nothing: nothing is counted, a probe's place is free.
    pub(super) fn release(&self, admission: Admission) {
        if admission.probe {
            self.update_trial(admission.generation, |trial| {
                Some(Trial {
                    places_taken: trial.places_taken.saturating_sub(1),
                    ..trial
                })
            });
        }
    }

    #[inline]
    fn count_success(&self, generation: Generation, now: impl Fn() -> Tick) {
        match self.settings.trip {
            Trip::Consecutive { .. } => {
                let count = Tally::unpack(self.tally.load(Ordering::Acquire)).count_of(generation);
                if count.is_some_and(|failures| failures != 0) {
                    self.update_tally(generation, |_| Some(0));
                }
            }
            Trip::Windowed { .. } => self.count_in_window(generation, false, now),
            Trip::Never => {}
        }
    }

    fn count_failure(&self, generation: Generation, now: impl Fn() -> Tick) {
        match self.settings.trip {
            Trip::Consecutive { failures } => {
                let count = self.update_tally(generation, |count| Some(count.saturating_add(1)));
                if count.is_some_and(|count| count >= failures) {
                    self.open(Kind::Closed, generation, now());
                }
            }
            Trip::Windowed { .. } => self.count_in_window(generation, true, now),
            Trip::Never => {}
        }
    }

    fn count_in_window(&self, generation: Generation, failed: bool, now: impl Fn() -> Tick) {
        let Trip::Windowed { size, failures } = self.settings.trip else {
            return;
        };
        let mut results = self.window.load(Ordering::Acquire);
        while let Err(current) = self.window.compare_exchange(results, results << 1 | u64::from(failed)) {
            results = current;
        }
        // Counted after it was pushed: a full count means that many results of this generation are in the window. A full
        // count stays, and so does the word: no write.
        let filling = self.update_tally(generation, |count| (count < size).then_some(count + 1));
        let tally = Tally::unpack(self.tally.load(Ordering::SeqCst));
        let full = filling == Some(size) || tally.count_of(generation) == Some(size);
        if full && self.failures_among(size) >= failures {
            self.open(Kind::Closed, generation, now());
        }
    }

    /// Failures among the latest `results` in the window.
    fn failures_among(&self, results: u32) -> u32 {
        let window = self.window.load(Ordering::SeqCst);
        match 64_u32.saturating_sub(results) {
            64 => 0,
            unused => (window << unused).count_ones(),
        }
    }

    /// Returns whether it was this that opened it.
    fn open(&self, from: Kind, generation: Generation, now: Tick) -> bool {
        self.leave(from, generation, |phase| {
            let level = match from {
                Kind::Closed => 0,
                _ => Ord::min(phase.level + 1, Phase::MAX_LEVEL),
            };
            Phase {
                kind: Kind::Open,
                generation: generation.next(),
                level,
                until: now.plus(self.settings.cooldown_at(level)),
            }
        })
    }

    /// A failure seen by somebody without an admission: it belongs to no generation, and counts for the one that it
    /// meets. Returns the failures counted.
    pub(super) fn record_failure(&self, now: impl Fn() -> Tick) -> u32 {
        loop {
            let Phase {
                kind,
                generation,
                until,
                ..
            } = self.phase();
            match kind {
                Kind::Closed => self.count_failure(generation, &now),
                Kind::Open if now() < until => self.count_by_hand(generation),
                Kind::Forced => self.count_by_hand(generation),
                Kind::Open | Kind::HalfOpen => {
                    if !self.open(kind, generation, now()) {
                        continue;
                    }
                }
            }
            return self.failure_count();
        }
    }

    fn count_by_hand(&self, generation: Generation) {
        self.update_tally(generation, |count| Some(count.saturating_add(1)));
    }

    /// A success seen by somebody without an admission: as with a failure, it counts for what it meets.
    pub(super) fn record_success(&self, now: impl Fn() -> Tick) {
        loop {
            let phase = self.phase();
            match phase.kind {
                Kind::Closed => return self.count_success(phase.generation, now),
                Kind::Forced => return,
                Kind::Open | Kind::HalfOpen => {
                    if self.move_on(phase, Phase::new(Kind::Closed, phase.generation.next())) {
                        return;
                    }
                }
            }
        }
    }

    pub(super) fn failure_count(&self) -> u32 {
        self.failures_in(self.phase())
    }

    fn failures_in(&self, phase: Phase) -> u32 {
        let tally = Tally::unpack(self.tally.load(Ordering::SeqCst));
        let counted = tally.count_of(phase.generation).unwrap_or(0);
        match (phase.kind, self.settings.trip) {
            (Kind::Closed, Trip::Windowed { .. }) => self.failures_among(counted),
            (Kind::Closed | Kind::Forced, _) => counted,
            (Kind::Open, trip) => trip.failures().saturating_add(counted),
            (Kind::HalfOpen, trip) => trip.failures(),
        }
    }

    /// Which state an attempt would meet at `now`, and until when.
    pub(super) fn view(&self, now: impl Fn() -> Tick) -> (Kind, Duration) {
        let phase = self.phase();
        match phase.kind {
            Kind::Open => {
                let now = now();
                let left = phase.until.since(now);
                let kind = if now < phase.until { Kind::Open } else { Kind::HalfOpen };
                (kind, left)
            }
            kind => (kind, Duration::ZERO),
        }
    }

    pub(super) fn force(&self, kind: Kind) {
        let mut phase = self.phase();
        while !self.move_on(phase, Phase::new(kind, phase.generation.next())) {
            phase = self.phase();
        }
    }

    #[inline]
    fn is_at(&self, kind: Kind, generation: Generation) -> bool {
        let phase = Phase::unpack(self.phase.load(Ordering::SeqCst));
        phase.kind == kind && phase.generation == generation
    }

    fn move_on(&self, from: Phase, to: Phase) -> bool {
        self.phase.compare_exchange(from.pack(), to.pack()).is_ok()
    }

    /// Leaves `generation` of `kind` unless that is over already; only its lease may have changed meanwhile. Returns
    /// whether it was this that left it.
    fn leave(&self, kind: Kind, generation: Generation, to: impl Fn(Phase) -> Phase) -> bool {
        let mut phase = self.phase();
        while phase.kind == kind && phase.generation == generation {
            if self.move_on(phase, to(phase)) {
                return true;
            }
            phase = self.phase();
        }
        false
    }

    /// Changes what `generation` has counted and returns it; `None` when its counting is over or `change` declines.
    fn update_tally(&self, generation: Generation, change: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut word = self.tally.load(Ordering::SeqCst);
        loop {
            let counted = match Tally::unpack(word).count_of(generation) {
                Some(count) => count,
                // Another one's counts. Nobody counts for a generation before the phase has reached it: if the phase,
                // read after them, is at `generation`, they are older, and nothing has been counted since.
                None if self.phase().generation == generation => 0,
                None => return None,
            };
            let count = change(counted)?;
            let tally = Tally { generation, count };
            match self.tally.compare_exchange(word, tally.pack()) {
                Ok(_) => return Some(count),
                Err(current) => word = current,
            }
        }
    }

    fn update_trial(&self, generation: Generation, change: impl Fn(Trial) -> Option<Trial>) -> Option<Trial> {
        self.update_tally(generation, |count| change(Trial::unpack(count)).map(Trial::pack))
            .map(Trial::unpack)
    }

    fn trial_of(&self, generation: Generation) -> Trial {
        let tally = Tally::unpack(self.tally.load(Ordering::SeqCst));
        Trial::unpack(tally.count_of(generation).unwrap_or(0))
    }
}
