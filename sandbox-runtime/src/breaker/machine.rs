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
//! that moves the state on is `SeqCst`, because half-open admission writes one word and then reads the other. The window
//! has reasons of its own.

mod admission;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::packed::{Counts, Generation, Kind, PackedState, ProbeCounts, Word};
use super::settings::{Settings, TripRule};
use super::window::Window;
use crate::clock::Tick;

pub(crate) use admission::Admission;

#[derive(Debug)]
pub(super) struct Machine<W = AtomicU64> {
    phase: W,
    counts: W,
    window: Window<W>,
    settings: Settings,
}

impl Machine {
    pub(super) const fn new(settings: Settings) -> Machine {
        Machine {
            phase: AtomicU64::new(PackedState::new(settings.initial(), Generation::FIRST).pack()),
            counts: AtomicU64::new(0),
            window: Window::empty(AtomicU64::new(0), AtomicU64::new(0)),
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
            phase: word(PackedState::new(settings.initial(), generation).pack()),
            counts: word(0),
            window: Window::empty(word(0), word(0)),
            settings,
        }
    }
}

impl<W: Word> Machine<W> {
    pub(super) const fn settings(&self) -> Settings {
        self.settings
    }

    fn phase(&self) -> PackedState {
        PackedState::unpack(self.phase.load(Ordering::SeqCst))
    }

    /// An admitted attempt succeeded.
    #[inline]
    pub(super) fn succeed(&self, admission: Admission, now: impl Fn() -> Tick) {
        let generation = admission.generation();
        if admission.is_probe() {
            self.succeed_probe(generation);
        } else {
            // Whether its generation is over is left to what it would change: mostly there is nothing to change.
            self.count_success(generation, now);
        }
    }

    #[cold]
    fn succeed_probe(&self, generation: Generation) {
        let counts = self.update_probe_counts(generation, |counts| {
            Some(ProbeCounts {
                slots_taken: counts.slots_taken.saturating_sub(1),
                successes: counts.successes.saturating_add(1),
            })
        });
        if counts.is_some_and(|counts| counts.successes >= self.settings.probes) {
            self.transition_from(Kind::HalfOpen, generation, |phase| {
                PackedState::new(Kind::Closed, phase.generation.next())
            });
        }
    }

    /// An admitted attempt failed.
    #[cold]
    pub(super) fn fail(&self, admission: Admission, now: impl Fn() -> Tick) {
        let generation = admission.generation();
        if admission.is_probe() {
            self.open(Kind::HalfOpen, generation, now());
        } else if self.is_at(Kind::Closed, generation) {
            self.count_failure(generation, now);
        }
    }

    /// An admitted attempt came to nothing: nothing is counted, a probe's place is free.
    pub(super) fn release(&self, admission: Admission) {
        if admission.is_probe() {
            self.update_probe_counts(admission.generation(), |counts| {
                Some(ProbeCounts {
                    slots_taken: counts.slots_taken.saturating_sub(1),
                    ..counts
                })
            });
        }
    }

    #[inline]
    fn count_success(&self, generation: Generation, now: impl Fn() -> Tick) {
        match self.settings.trip_rule {
            TripRule::Windowed { .. } => self.count_in_window(generation, false, now),
            // A breaker that never opens counts nothing: what holds for no failures holds for it.
            TripRule::Consecutive { .. } | TripRule::Disabled => {
                let count = Counts::unpack(self.counts.load(Ordering::Acquire)).count_of(generation);
                if count.is_some_and(|failures| failures != 0) {
                    self.update_counts(generation, |_| Some(0));
                }
            }
        }
    }

    fn count_failure(&self, generation: Generation, now: impl Fn() -> Tick) {
        match self.settings.trip_rule {
            TripRule::Consecutive { failures } => {
                let count = self.update_counts(generation, |count| Some(count.saturating_add(1)));
                if count.is_some_and(|count| count >= failures) {
                    self.open(Kind::Closed, generation, now());
                }
            }
            TripRule::Windowed { .. } => self.count_in_window(generation, true, now),
            TripRule::Disabled => {}
        }
    }

    /// Judges the window as it was when this result went in, whatever has been recorded since: no moment that deserves
    /// opening passes unseen.
    fn count_in_window(&self, generation: Generation, failed: bool, now: impl Fn() -> Tick) {
        let TripRule::Windowed { size, failures } = self.settings.trip_rule else {
            return;
        };
        let results = self
            .window
            .record(generation, failed, || self.phase().generation == generation);
        if results.is_some_and(|results| results.are_at_least(size) && results.failures_among(size) >= failures) {
            self.open(Kind::Closed, generation, now());
        }
    }

    /// Returns whether it was this that opened it.
    fn open(&self, from: Kind, generation: Generation, now: Tick) -> bool {
        self.transition_from(from, generation, |phase| {
            let backoff_exponent = match from {
                Kind::Closed => 0,
                _ => Ord::min(phase.backoff_exponent + 1, PackedState::MAX_EXPONENT),
            };
            PackedState {
                kind: Kind::Open,
                generation: generation.next(),
                backoff_exponent,
                until: now.saturating_add(self.settings.cooldown_at(backoff_exponent)),
            }
        })
    }

    /// A failure seen by somebody without an admission: it belongs to no generation, and counts for the one that it
    /// meets. Returns the failures counted.
    pub(super) fn record_failure(&self, now: impl Fn() -> Tick) -> u32 {
        loop {
            let PackedState {
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
        match self.settings.trip_rule {
            TripRule::Consecutive { .. } | TripRule::Windowed { .. } => {
                self.update_counts(generation, |count| Some(count.saturating_add(1)));
            }
            TripRule::Disabled => {}
        }
    }

    /// A success seen by somebody without an admission: as with a failure, it counts for what it meets.
    pub(super) fn record_success(&self, now: impl Fn() -> Tick) {
        loop {
            let phase = self.phase();
            match phase.kind {
                Kind::Closed => return self.count_success(phase.generation, now),
                Kind::Forced => return,
                Kind::Open | Kind::HalfOpen => {
                    if self.try_transition(phase, PackedState::new(Kind::Closed, phase.generation.next())) {
                        return;
                    }
                }
            }
        }
    }

    pub(super) fn failure_count(&self) -> u32 {
        self.failures_in(self.phase())
    }

    fn failures_in(&self, phase: PackedState) -> u32 {
        let counts = Counts::unpack(self.counts.load(Ordering::SeqCst));
        let counted = counts.count_of(phase.generation).unwrap_or(0);
        match (phase.kind, self.settings.trip_rule) {
            (Kind::Closed, TripRule::Windowed { size, .. }) => self.window.failures_among(size, phase.generation),
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
                let left = phase.until.duration_since(now);
                let kind = if now < phase.until { Kind::Open } else { Kind::HalfOpen };
                (kind, left)
            }
            kind => (kind, Duration::ZERO),
        }
    }

    pub(super) fn force(&self, kind: Kind) {
        let mut phase = self.phase();
        while !self.try_transition(phase, PackedState::new(kind, phase.generation.next())) {
            phase = self.phase();
        }
    }

    #[inline]
    fn is_at(&self, kind: Kind, generation: Generation) -> bool {
        let phase = PackedState::unpack(self.phase.load(Ordering::SeqCst));
        phase.kind == kind && phase.generation == generation
    }

    fn try_transition(&self, from: PackedState, to: PackedState) -> bool {
        self.phase.compare_exchange(from.pack(), to.pack()).is_ok()
    }

    /// Leaves `generation` of `kind` unless that is over already; only its lease may have changed meanwhile. Returns
    /// whether it was this that left it.
    fn transition_from(&self, kind: Kind, generation: Generation, to: impl Fn(PackedState) -> PackedState) -> bool {
        let mut phase = self.phase();
        while phase.kind == kind && phase.generation == generation {
            if self.try_transition(phase, to(phase)) {
                return true;
            }
            phase = self.phase();
        }
        false
    }

    /// Changes what `generation` has counted and returns it; `None` when its counting is over or `change` declines.
    fn update_counts(&self, generation: Generation, change: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut word = self.counts.load(Ordering::SeqCst);
        loop {
            let counted = match Counts::unpack(word).count_of(generation) {
                Some(count) => count,
                // Another one's counts. Nobody counts for a generation before the phase has reached it: if the phase,
                // read after them, is at `generation`, they are older, and nothing has been counted since.
                None if self.phase().generation == generation => 0,
                None => return None,
            };
            let count = change(counted)?;
            let counts = Counts { generation, count };
            match self.counts.compare_exchange(word, counts.pack()) {
                Ok(_) => return Some(count),
                Err(current) => word = current,
            }
        }
    }

    fn update_probe_counts(
        &self,
        generation: Generation,
        change: impl Fn(ProbeCounts) -> Option<ProbeCounts>,
    ) -> Option<ProbeCounts> {
        self.update_counts(generation, |count| {
            change(ProbeCounts::unpack(count)).map(ProbeCounts::pack)
        })
        .map(ProbeCounts::unpack)
    }

    fn probe_counts_of(&self, generation: Generation) -> ProbeCounts {
        let counts = Counts::unpack(self.counts.load(Ordering::SeqCst));
        ProbeCounts::unpack(counts.count_of(generation).unwrap_or(0))
    }
}
