//! Admission: which attempts may be made, and why others are refused.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Machine;
use crate::breaker::packed::{Generation, PackedState, ProbeCounts, State};
use crate::breaker::transition::{BreakerCause, Transition};
use crate::clock::{Reading, Tick};
use crate::failure::Refusal;
use crate::sync::Word;

/// The right to make one attempt, and what its result will count for: generation (the upper 17 bits), whether it is a probe (1),
/// and a one, so that a call's future stores an `Option` of it in four bytes. The bits between are [free](Self::FREE_BITS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission(NonZeroU32);

impl Admission {
    /// Bits that it does not look at: its holder may use them.
    pub(crate) const FREE_BITS: [u32; 2] = [4, 8];

    /// The generation is at the top, so that it takes one shift to read it, whatever the holder has done with its bits.
    const GENERATION: u32 = u32::BITS - Generation::BITS;

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a generation has 17 bits")]
    fn new(generation: Generation, is_probe: bool) -> Admission {
        let bits = (generation.bits() as u32) << Self::GENERATION | u32::from(is_probe) << 1;
        Admission(NonZeroU32::MIN | bits)
    }

    /// The right to make an attempt beside `generation`, such as one within a probe, which alone decides: the admission is of a
    /// generation that is over, so its result counts for nothing.
    fn beside(generation: Generation) -> Admission {
        Admission::new(generation.previous(), false)
    }

    #[inline]
    pub(crate) fn bits(self) -> NonZeroU32 {
        self.0
    }

    /// The admission of these bits; `None` of no bits.
    #[inline]
    pub(crate) fn from_bits(bits: u32) -> Option<Admission> {
        NonZeroU32::new(bits).map(Admission)
    }

    /// The admission of bits that have been one; the free bits may be set.
    #[inline]
    pub(crate) fn from_bits_of_one(bits: NonZeroU32) -> Admission {
        Admission(bits)
    }

    #[inline]
    pub(in crate::breaker) fn generation(self) -> Generation {
        Generation::from_bits(u64::from(self.0.get() >> Self::GENERATION))
    }

    #[inline]
    pub(crate) fn is_probe(self) -> bool {
        self.0.get() & 2 != 0
    }
}

impl<W: Word> Machine<W> {
    /// Admits an attempt that ends within `limit`, if that is known. A probe keeps its slot until one cooldown after that.
    /// An attempt that is made by the tool of a probe of the current generation, which is for `is_within_probe` to know,
    /// takes no slot.
    ///
    /// Passes each transition to `on_transition` as it is made: beside quick threads, one admission may make several.
    #[inline]
    pub(in crate::breaker) fn admit(
        &self,
        limit: Duration,
        now: impl Fn() -> Reading,
        is_within_probe: impl Fn(Generation) -> bool,
        on_transition: impl FnMut(Transition),
    ) -> Result<Admission, Refusal> {
        match self.admit_if_closed() {
            Some(admission) => Ok(admission),
            None => self.admit_unless_open(limit, now, is_within_probe, on_transition),
        }
    }

    #[inline]
    pub(in crate::breaker) fn admit_if_closed(&self) -> Option<Admission> {
        let current = PackedState::from_word(self.state.load(Ordering::Acquire));
        match current.state() {
            State::Closed => Some(Admission::new(current.generation(), false)),
            _ => None,
        }
    }

    /// Admits an attempt that was refused; its result does not count.
    pub(in crate::breaker) fn admit_in_shadow(&self) -> Admission {
        Admission::beside(self.load_state().generation())
    }

    #[cold]
    fn admit_unless_open(
        &self,
        limit: Duration,
        now: impl Fn() -> Reading,
        is_within_probe: impl Fn(Generation) -> bool,
        mut on_transition: impl FnMut(Transition),
    ) -> Result<Admission, Refusal> {
        loop {
            let (current, now) = self.read(&now);
            if let Some(refusal) = self.refusal_in(current, now, &is_within_probe) {
                return Err(refusal);
            }
            if let Some(admission) = self.try_admit(current, now, limit, &is_within_probe, &mut on_transition) {
                return Ok(admission);
            }
        }
    }

    /// Admits an attempt that `current` does not refuse at `now`; `None` when the state has changed and must be read again.
    #[cold]
    fn try_admit(
        &self,
        current: PackedState,
        now: Reading,
        limit: Duration,
        is_within_probe: impl Fn(Generation) -> bool,
        on_transition: impl FnOnce(Transition),
    ) -> Option<Admission> {
        let limit = Tick::rounded_up(limit);
        let lease_end = now.tick.saturating_add(self.settings.probe_lease(limit));
        match current.state() {
            State::Closed => Some(Admission::new(current.generation(), false)),
            State::HalfOpen if is_within_probe(current.generation()) => Some(Admission::beside(current.generation())),
            // Slots taken since `refusal_in` looked are not lost: while the lease lasts, they are waited for.
            State::HalfOpen if now.tick < current.until() || self.has_free_slot(current.generation()) => self
                .acquire_probe_slot(current, limit, lease_end)
                .then(|| Admission::new(current.generation(), true)),
            _ => {
                if let Some(transition) = self.begin_probing(current, now, lease_end) {
                    on_transition(transition);
                }
                None
            }
        }
    }

    /// Begins a half-open generation, because the cooldown is over or because every slot has been lost.
    fn begin_probing(&self, current: PackedState, now: Reading, lease_end: Tick) -> Option<Transition> {
        let cause = match current.state() {
            State::HalfOpen => BreakerCause::ProbeSlotsLost,
            _ => BreakerCause::CooldownOver,
        };
        let (next, exponent) = (current.generation().next(), current.backoff_exponent());
        let half_open = PackedState::with_end(State::HalfOpen, next, exponent, lease_end);
        self.try_transition(current, half_open, cause, self.failures_in(current, || now))
    }

    /// Extends the lease first and takes the slot then: whoever finds all slots taken also finds the latest lease. The
    /// last read checks that the slots still belonged to this generation when one was taken.
    fn acquire_probe_slot(&self, current: PackedState, limit: Tick, lease_end: Tick) -> bool {
        let (generation, exponent) = (current.generation(), current.backoff_exponent());
        let until = Ord::max(current.until(), lease_end);
        let leased = PackedState::with_end(State::HalfOpen, generation, exponent, until);
        if leased != current && self.state.compare_exchange(current.word(), leased.word()).is_err() {
            return false;
        }
        let probes = self.settings.probes;
        let taken = self.update_counts(generation, |counts: ProbeCounts| {
            counts.has_free_slot(probes).then(|| counts.take_slot(limit))
        });
        taken.is_some() && self.is_at(State::HalfOpen, generation)
    }

    fn has_free_slot(&self, generation: Generation) -> bool {
        let counts: ProbeCounts = self.count_of(generation);
        counts.has_free_slot(self.settings.probes)
    }

    /// Returns why an attempt would not be admitted at `now`; takes no slot.
    #[inline]
    pub(in crate::breaker) fn refusal(
        &self,
        now: impl Fn() -> Reading,
        is_within_probe: impl Fn(Generation) -> bool,
    ) -> Option<Refusal> {
        match self.load_state().state() {
            State::Closed => None,
            _ => self.refusal_unless_closed(now, is_within_probe),
        }
    }

    #[cold]
    fn refusal_unless_closed(
        &self,
        now: impl Fn() -> Reading,
        is_within_probe: impl Fn(Generation) -> bool,
    ) -> Option<Refusal> {
        let (current, now) = self.read(now);
        self.refusal_in(current, now, is_within_probe)
    }

    fn refusal_in(
        &self,
        current: PackedState,
        now: Reading,
        is_within_probe: impl Fn(Generation) -> bool,
    ) -> Option<Refusal> {
        let threshold = self.settings.threshold;
        let retry_after_ms = match current.state() {
            State::Closed => return None,
            State::Open => {
                // Read once: most refusals are such.
                let counts = self.open_counts(current);
                let millis = counts.millis_left(current.until(), now)?;
                let failures = threshold.saturating_add(counts.failures);
                return Some(Refusal::new(failures, threshold, Some(millis)));
            }
            State::HalfOpen if now.tick >= current.until() => return None,
            State::HalfOpen if self.has_free_slot(current.generation()) => return None,
            State::HalfOpen if is_within_probe(current.generation()) => return None,
            State::HalfOpen => Some(Ord::min(SHORTLY_MS, current.until().millis_since(now.tick))),
            State::ForcedOpen => None,
        };
        let refusal = Refusal::new(self.failures_in(current, || now), threshold, retry_after_ms);
        Some(match current.state() {
            State::HalfOpen => refusal.beside_probe(),
            _ => refusal,
        })
    }
}

/// When to come back after a refusal beside a probe that is under way. When that one ends is unknown; its lease, which is
/// how long a silent probe would keep its slot, does not tell. So this is short: a tool that is well answers within
/// a second or a few, and to ask once more costs nothing.
const SHORTLY_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admissions_survive_packing() {
        for generation in [0, 1, u32::MAX].map(Generation::after) {
            for is_probe in [false, true] {
                let admission = Admission::new(generation, is_probe);
                assert_eq!((admission.generation(), admission.is_probe()), (generation, is_probe));
            }
        }
        assert_eq!(size_of::<Option<Admission>>(), 4);
    }
}
