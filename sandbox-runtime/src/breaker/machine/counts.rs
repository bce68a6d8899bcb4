//! Counting: the results of one generation, which may be too many failures.

use std::sync::atomic::Ordering;

use super::Machine;
use crate::breaker::packed::{Count, Counts, Generation, OpenCounts, PackedState, State};
use crate::breaker::settings::TripRule;
use crate::breaker::transition::Transition;
use crate::clock::Reading;
use crate::sync::Word;

impl<W: Word> Machine<W> {
    #[inline]
    pub(super) fn count_success(&self, generation: Generation, now: impl Fn() -> Reading) -> Option<Transition> {
        match self.settings.trip_rule {
            TripRule::Windowed => self.count_in_window(generation, false, now),
            // A disabled breaker counts no failures, so that a success of it never finds any.
            TripRule::Consecutive | TripRule::Forgetting | TripRule::Disabled => {
                // Whose failures they are is checked only when there are any: mostly there are none. What a generation that
                // is over has left behind is cleared once.
                if u32::from_bits(self.counts.load(Ordering::Acquire)) != 0 {
                    self.clear_failures(generation);
                }
                None
            }
        }
    }

    /// Ends a row of failures.
    // Out of line: the success of an attempt, which mostly finds none, then needs no stack frame.
    #[inline(never)]
    fn clear_failures(&self, generation: Generation) {
        self.update_counts(generation, |_: u32| Some(0));
    }

    #[inline]
    pub(super) fn count_failure(&self, generation: Generation, now: impl Fn() -> Reading) -> Option<Transition> {
        match self.settings.trip_rule {
            TripRule::Consecutive => {
                let failures = self.update_counts(generation, |count: u32| Some(count.saturating_add(1)))?;
                if failures < self.settings.threshold {
                    return None;
                }
                self.trip(generation, failures, now)
            }
            TripRule::Windowed => self.count_in_window(generation, true, now),
            // All others at once: of four cases the compiler makes a table, which takes longer than two comparisons.
            _ => self.count_in_forgotten_row(generation, now),
        }
    }

    /// Counts a failure in a row that may be forgotten, if there are such rows.
    // Out of line: the shorter path, for rows that last, then needs no stack frame.
    #[inline(never)]
    fn count_in_forgotten_row(&self, generation: Generation, now: impl Fn() -> Reading) -> Option<Transition> {
        let forgetting = self.settings.forgetting()?;
        let now = now();
        let row = self.update_counts(generation, |row| Some(forgetting.add_failure(row, now.tick)))?;
        let failures = forgetting.failures_at(row, now.tick);
        if failures < self.settings.threshold {
            return None;
        }
        self.trip(generation, failures, || now)
    }

    /// Judges the window as it was when this result went in, whatever has been recorded since: no window that deserves
    /// opening is missed.
    // Out of line: the shorter path, for failures in a row, then needs no stack frame.
    #[inline(never)]
    fn count_in_window(&self, generation: Generation, failed: bool, now: impl Fn() -> Reading) -> Option<Transition> {
        let is_current = || self.load_state().generation() == generation;
        let results = self.window.record(generation, failed, is_current)?;
        let window = self.settings.window();
        if !results.has_at_least(window) {
            return None;
        }
        let failures = results.failures_among(window);
        if failures < self.settings.threshold {
            return None;
        }
        self.trip(generation, failures, now)
    }

    /// Counts a failure recorded by hand while the breaker is open or forced open.
    pub(super) fn count_while_open(&self, generation: Generation) {
        match self.settings.trip_rule {
            TripRule::Consecutive | TripRule::Forgetting | TripRule::Windowed => {
                self.update_counts(generation, |counts: OpenCounts| Some(counts.add_failure()));
            }
            TripRule::Disabled => {}
        }
    }

    /// Changes the count of `generation` and returns it; `None` when that generation is over or `change` declines.
    pub(super) fn update_counts<C: Count>(&self, generation: Generation, change: impl Fn(C) -> Option<C>) -> Option<C> {
        let mut word = self.counts.load(Ordering::SeqCst);
        loop {
            let counted = match Counts::unpack(word).count_of(generation) {
                Some(count) => count,
                // The counts of another generation. Nobody counts for a generation before the state has reached it: if
                // the state, read after the counts, is at `generation`, they are older, and its own count is zero.
                None if self.load_state().generation() == generation => C::from_bits(0),
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

    pub(super) fn count_of<C: Count>(&self, generation: Generation) -> C {
        let counts = Counts::unpack(self.counts.load(Ordering::SeqCst));
        counts.count_of(generation).unwrap_or(C::from_bits(0))
    }

    pub(in crate::breaker) fn failure_count(&self, now: impl Fn() -> Reading) -> u32 {
        self.failures_in(self.load_state(), now)
    }

    /// Returns the failures counted in `current`; reads the clock only where failures are forgotten.
    // Inlined everywhere: a refusal has matched on the state already.
    #[inline(always)]
    pub(super) fn failures_in(&self, current: PackedState, now: impl Fn() -> Reading) -> u32 {
        let threshold = self.settings.threshold;
        match current.state() {
            State::Closed => self.failures_while_closed(current.generation(), now),
            State::Open => threshold.saturating_add(self.open_counts(current).failures),
            State::HalfOpen => threshold,
            State::ForcedOpen => self.open_counts(current).failures,
        }
    }

    #[inline]
    pub(super) fn open_counts(&self, open: PackedState) -> OpenCounts {
        self.count_of(open.generation())
    }

    fn failures_while_closed(&self, generation: Generation, now: impl Fn() -> Reading) -> u32 {
        match self.settings.trip_rule {
            TripRule::Windowed => self.window.failures_among(self.settings.window(), generation),
            TripRule::Consecutive | TripRule::Forgetting | TripRule::Disabled => match self.settings.forgetting() {
                Some(forgetting) => forgetting.failures_at(self.count_of(generation), now().tick),
                None => self.count_of(generation),
            },
        }
    }
}
