//! The breaker's state machine. It is pure except for its atomics: the time is passed in, and every [`Transition`] is
//! returned to the caller that made it.
//!
//! ```text
//!            threshold reached               cooldown over
//!   Closed ─────────────────────▶ Open ─────────────────────▶ HalfOpen
//!      ▲                            ▲                          │  │  ▲
//!      │                            └────── probe failed ──────┘  │  └─ probe slots lost: a new generation
//!      └──────────────────── probes succeeded ────────────────────┘
//! ```
//!
//! `now` is a function, so that the closed state reads a clock only where failures are forgotten.
//!
//! Orderings: the words guard no other memory. The closed state loads with `Acquire` and relies only on what it reads;
//! everything that changes the state is `SeqCst`, because half-open admission writes one word and then reads the other.
//! The window explains its own orderings.

mod admission;
#[cfg(any(test, feature = "fleet"))]
mod by_others;
mod counts;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::packed::{Generation, OpenCounts, PackedState, ProbeCounts, State};
use super::settings::Settings;
use super::transition::{BreakerCause, Transition};
use super::window::Window;
use crate::clock::{Reading, Tick};
use crate::sync::Word;

pub(crate) use admission::Admission;

#[derive(Debug)]
pub(super) struct Machine<W = AtomicU64> {
    state: W,
    counts: W,
    window: Window<W>,
    settings: Settings,
}

impl Machine {
    pub(super) const fn new(settings: Settings) -> Machine {
        Machine {
            state: AtomicU64::new(PackedState::new(settings.initial_state(), Generation::FIRST).word()),
            counts: AtomicU64::new(0),
            window: Window::empty(AtomicU64::new(0), AtomicU64::new(0)),
            settings,
        }
    }

    /// Replaces the settings; for builders, before the first use.
    pub(super) const fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }
}

#[cfg(test)]
impl<W> Machine<W> {
    /// Creates a machine of other words that has reached `generation` and has counted nothing.
    pub(super) fn made_of(word: impl Fn(u64) -> W, settings: Settings, generation: Generation) -> Machine<W> {
        Machine {
            state: word(PackedState::new(settings.initial_state(), generation).word()),
            counts: word(0),
            window: Window::empty(word(0), word(0)),
            settings,
        }
    }
}

// Results of attempts, with and without an admission.
impl<W: Word> Machine<W> {
    /// Takes the success of an admitted attempt.
    #[inline]
    pub(super) fn succeed(&self, admission: Admission, now: impl Fn() -> Reading) -> Option<Transition> {
        let generation = admission.generation();
        if admission.is_probe() {
            self.succeed_probe(generation, now)
        } else {
            self.succeed_if_closed(admission, now)
        }
    }

    /// The same for an attempt that is known not to be a probe.
    #[inline]
    pub(super) fn succeed_if_closed(&self, admission: Admission, now: impl Fn() -> Reading) -> Option<Transition> {
        // Whether its generation is over is checked only where the success changes something: mostly it does not.
        self.count_success(admission.generation(), now)
    }

    #[cold]
    fn succeed_probe(&self, generation: Generation, now: impl Fn() -> Reading) -> Option<Transition> {
        let counts = self.update_counts(generation, |counts: ProbeCounts| Some(counts.free_slot().add_success()))?;
        if counts.successes < self.settings.probes {
            return None;
        }
        self.leave_half_open(generation, |current| {
            self.try_close(current, BreakerCause::ProbesSucceeded, &now)
        })
    }

    /// Takes the failure of an admitted attempt.
    #[inline(always)]
    pub(super) fn fail(&self, admission: Admission, now: impl Fn() -> Reading) -> Option<Transition> {
        let generation = admission.generation();
        if admission.is_probe() {
            self.fail_probe(generation, now())
        } else if self.is_at(State::Closed, generation) {
            self.count_failure(generation, now)
        } else {
            None
        }
    }

    #[cold]
    fn fail_probe(&self, generation: Generation, now: Reading) -> Option<Transition> {
        self.leave_half_open(generation, |current| {
            self.reopen(current, now, BreakerCause::ProbeFailed)
        })
    }

    /// Takes back an admission whose attempt had no result: nothing is counted, and a probe's slot is free. This never
    /// makes a transition.
    ///
    /// If every slot was taken, there are twice as many from now on, because the probe may have been dropped for that very
    /// reason: by a caller that gave up when the attempt beside it was refused. Such a refusal is followed by a result or
    /// by the doubling: the first probe that is dropped after it finds every slot taken. And there never are more than
    /// twice as many slots as there were probes at a time.
    pub(super) fn release(&self, admission: Admission) {
        if admission.is_probe() {
            self.update_counts(admission.generation(), |counts: ProbeCounts| {
                let left = counts.free_slot();
                let is_full = !counts.has_free_slot(self.settings.probes);
                Some(if is_full { left.double_slots() } else { left })
            });
        }
    }

    /// Records a failure without an admission: it belongs to no generation, and counts for the one that it meets.
    pub(super) fn record_failure(&self, now: impl Fn() -> Reading) -> Option<Transition> {
        loop {
            let (current, at) = self.read(&now);
            match current.state() {
                State::Closed => return self.count_failure(current.generation(), now),
                State::ForcedOpen => {
                    self.count_while_open(current.generation());
                    return None;
                }
                State::Open if self.cooldown_left(current, at).is_some() => {
                    self.count_while_open(current.generation());
                    return None;
                }
                State::Open | State::HalfOpen => {
                    let transition = self.reopen(current, at, BreakerCause::RecordedByHand);
                    if transition.is_some() {
                        return transition;
                    }
                }
            }
        }
    }

    /// Records a success without an admission: like a failure, it counts for the generation that it meets.
    pub(super) fn record_success(&self, now: impl Fn() -> Reading) -> Option<Transition> {
        loop {
            let current = self.load_state();
            match current.state() {
                State::Closed => return self.count_success(current.generation(), now),
                State::ForcedOpen => return None,
                State::Open | State::HalfOpen => {
                    let transition = self.try_close(current, BreakerCause::RecordedByHand, &now);
                    if transition.is_some() {
                        return transition;
                    }
                }
            }
        }
    }
}

// Transitions, from one generation to the next.
impl<W: Word> Machine<W> {
    /// Closes the breaker from any state; with a threshold of zero it is forced open.
    pub(super) fn reset(&self, now: impl Fn() -> Reading) -> Option<Transition> {
        self.force(self.settings.initial_state(), BreakerCause::Reset, now)
    }

    pub(super) fn force_open(&self, now: impl Fn() -> Reading) -> Option<Transition> {
        self.force(State::ForcedOpen, BreakerCause::ForcedOpen, now)
    }

    /// Begins a new generation in any case, which clears the counts; if the state stays the same, that is not a
    /// transition.
    fn force(&self, state: State, cause: BreakerCause, now: impl Fn() -> Reading) -> Option<Transition> {
        loop {
            let current = self.load_state();
            let forced = PackedState::new(state, current.generation().next());
            let failures = self.failures_in(current, &now);
            let transition = self.try_transition(current, forced, cause, failures);
            if transition.is_some() {
                return transition.filter(|transition| transition.from != transition.to);
            }
        }
    }

    /// Opens the closed breaker of `generation` after `failures`.
    #[cold]
    #[inline(never)]
    fn trip(&self, generation: Generation, failures: u32, now: impl Fn() -> Reading) -> Option<Transition> {
        let closed = PackedState::new(State::Closed, generation);
        let lasts = self.settings.cooldown_at(0);
        self.open(closed, 0, lasts, now(), BreakerCause::ThresholdReached, failures)
    }

    /// Opens the breaker again after a failure in `current`, with the cooldown doubled.
    fn reopen(&self, current: PackedState, now: Reading, cause: BreakerCause) -> Option<Transition> {
        let backoff_exponent = Ord::min(current.backoff_exponent() + 1, PackedState::MAX_EXPONENT);
        let lasts = self.settings.cooldown_at(backoff_exponent);
        let failures = self.failures_in(current, || now);
        self.open(current, backoff_exponent, lasts, now, cause, failures)
    }

    fn open(
        &self,
        current: PackedState,
        backoff_exponent: u32,
        lasts: Tick,
        now: Reading,
        cause: BreakerCause,
        failures: u32,
    ) -> Option<Transition> {
        let until = now.tick.saturating_add(lasts);
        let open = PackedState::with_end(State::Open, current.generation().next(), backoff_exponent, until);
        let transition = self.try_transition(current, open, cause, failures)?;
        self.end_within_tick(open.generation(), now);
        Some(transition)
    }

    /// Closes the breaker, which counts from zero then, unless the state has left `current`.
    fn try_close(&self, current: PackedState, cause: BreakerCause, now: impl Fn() -> Reading) -> Option<Transition> {
        let closed = PackedState::new(State::Closed, current.generation().next());
        self.try_transition(current, closed, cause, self.failures_in(current, now))
    }

    /// Lets `current` end after so long. That is not a transition: the generation lasts. Returns whether the state was still
    /// `current`.
    fn try_end_after(&self, current: PackedState, lasts: Tick, now: Reading) -> bool {
        let (state, generation) = (current.state(), current.generation());
        let until = now.tick.saturating_add(lasts);
        let ending = PackedState::with_end(state, generation, current.backoff_exponent(), until);
        let is_set = self.state.compare_exchange(current.word(), ending.word()).is_ok();
        if is_set && state == State::Open {
            self.end_within_tick(generation, now);
        }
        is_set
    }

    /// Lets the cooldown of `generation` end as long after a tick as it began. Without this second write, it would end up to
    /// a millisecond early; it does so if the thread is held up between the writes for all of the cooldown. If another
    /// thread sets another end between the writes, that one may be less than a millisecond off.
    fn end_within_tick(&self, generation: Generation, began: Reading) {
        let nanos_after = began.nanos;
        self.update_counts(generation, |counts: OpenCounts| {
            (counts.nanos_after != nanos_after).then_some(OpenCounts { nanos_after, ..counts })
        });
    }

    /// Leaves the half-open `generation` by `try_leave` unless it is over; while it lasts, only its lease may change.
    #[cold]
    fn leave_half_open(
        &self,
        generation: Generation,
        try_leave: impl Fn(PackedState) -> Option<Transition>,
    ) -> Option<Transition> {
        loop {
            let current = self.load_state();
            if current.state() != State::HalfOpen || current.generation() != generation {
                return None;
            }
            let transition = try_leave(current);
            if transition.is_some() {
                return transition;
            }
        }
    }

    /// Makes the transition unless the state has left `from`, where `failures` were counted.
    #[expect(clippy::cast_possible_truncation, reason = "the exponent has 5 bits")]
    fn try_transition(
        &self,
        from: PackedState,
        to: PackedState,
        cause: BreakerCause,
        failures: u32,
    ) -> Option<Transition> {
        self.state.compare_exchange(from.word(), to.word()).ok()?;
        Some(Transition {
            from: from.state(),
            to: to.state(),
            cause,
            failures,
            failed_probes: Ord::max(from.backoff_exponent(), to.backoff_exponent()) as u8,
        })
    }
}

// Reading.
impl<W: Word> Machine<W> {
    pub(super) const fn settings(&self) -> Settings {
        self.settings
    }

    fn load_state(&self) -> PackedState {
        PackedState::from_word(self.state.load(Ordering::SeqCst))
    }

    /// Reads the state and, if it changes with time, the clock.
    ///
    /// There may be several clocks: each of tokio's paused runtimes has its own. An end that was set by one that is ahead
    /// of this one is set again, so that nobody waits longer than if the state had just begun.
    #[inline]
    fn read(&self, now: impl Fn() -> Reading) -> (PackedState, Reading) {
        loop {
            let current = self.load_state();
            let now = current.now_if_timed(&now);
            // Mostly enough, and the shortest to compute: the longest that a state may last is never less than a cooldown.
            let is_near = current.until().millis_since(now.tick) <= self.settings.cooldown.bits();
            if is_near || !self.bring_forward(current, now) {
                return (current, now);
            }
        }
    }

    /// Brings the end of `current` forward if it is too far from `now`. Returns whether the state has to be read again. That
    /// is not a transition: the generation lasts.
    #[cold]
    fn bring_forward(&self, current: PackedState, now: Reading) -> bool {
        let longest = match current.state() {
            State::Closed | State::ForcedOpen => return false,
            State::Open => self.settings.cooldown_at(current.backoff_exponent()),
            State::HalfOpen => {
                let counts: ProbeCounts = self.count_of(current.generation());
                // The lease matters only then. And only then is it certain that the limits of those who have extended it
                // have been counted.
                if counts.has_free_slot(self.settings.probes) {
                    return false;
                }
                self.settings.probe_lease(counts.longest_limit())
            }
        };
        let is_too_far = now.tick.saturating_add(longest) < current.until();
        if is_too_far {
            // Whoever was quicker has changed the state, which is read again in any case.
            self.try_end_after(current, longest, now);
        }
        is_too_far
    }

    #[inline]
    fn is_at(&self, state: State, generation: Generation) -> bool {
        let current = self.load_state();
        current.state() == state && current.generation() == generation
    }

    /// Tells whether the state is the one after construction, whatever has been counted in it.
    #[cfg(feature = "keyed")]
    pub(super) fn is_initial(&self) -> bool {
        self.load_state().state() == self.settings.initial_state()
    }

    /// Returns the state that an attempt would meet at `now`, and how much longer it is open.
    pub(super) fn state_at(&self, now: impl Fn() -> Reading) -> (State, Duration) {
        let (current, now) = self.read(now);
        match current.state() {
            State::Open => match self.cooldown_left(current, now) {
                Some(millis) => (State::Open, Duration::from_millis(millis)),
                None => (State::HalfOpen, Duration::ZERO),
            },
            state => (state, Duration::ZERO),
        }
    }

    /// Returns how many milliseconds, rounded up, are left of the cooldown of `open`; `None` when it is over.
    fn cooldown_left(&self, open: PackedState, now: Reading) -> Option<u64> {
        self.open_counts(open).millis_left(open.until(), now)
    }
}
