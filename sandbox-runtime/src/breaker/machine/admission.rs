//! Who is let in, and why others are not.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Machine;
use crate::breaker::packed::{Generation, Kind, PackedState, ProbeCounts, Word};
use crate::breaker::refusal::Refusal;
use crate::clock::Tick;

/// Leave to make one attempt, and what its result will count for: the generation and whether it is a probe, plus one, so
/// that a call's future keeps an `Option` of it in four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission(NonZeroU32);

impl Admission {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a generation has 17 bits")]
    fn new(generation: Generation, is_probe: bool) -> Admission {
        let bits = (generation.bits() as u32) << 1 | u32::from(is_probe);
        Admission(NonZeroU32::MIN.saturating_add(bits))
    }

    #[inline]
    pub(super) fn generation(self) -> Generation {
        Generation::from_bits(u64::from((self.0.get() - 1) >> 1))
    }

    #[inline]
    pub(crate) fn is_probe(self) -> bool {
        (self.0.get() - 1) & 1 == 1
    }
}

impl<W: Word> Machine<W> {
    /// Asks to make an attempt that will have ended within `limit`, if that is known. A probe keeps its place until one
    /// cooldown after that.
    #[inline]
    pub(in crate::breaker) fn admit(&self, limit: Duration, now: impl Fn() -> Tick) -> Result<Admission, Refusal> {
        match self.admit_if_closed() {
            Some(admission) => Ok(admission),
            None => self.admit_unless_open(limit, now),
        }
    }

    #[inline]
    pub(in crate::breaker) fn admit_if_closed(&self) -> Option<Admission> {
        let phase = PackedState::unpack(self.phase.load(Ordering::Acquire));
        match phase.kind {
            Kind::Closed => Some(Admission::new(phase.generation, false)),
            _ => None,
        }
    }

    #[cold]
    fn admit_unless_open(&self, limit: Duration, now: impl Fn() -> Tick) -> Result<Admission, Refusal> {
        loop {
            let phase = self.phase();
            let now = phase.needs(&now);
            if let Some(refusal) = self.refusal_in(phase, now) {
                return Err(refusal);
            }
            let generation = phase.generation;
            let lease = self.settings.lease().saturating_add(Tick::rounded_up(limit));
            match phase.kind {
                Kind::Closed => return Ok(Admission::new(generation, false)),
                // Places taken since the look above are not lost ones: while the lease lasts, they are waited for.
                Kind::HalfOpen
                    if now < phase.until || self.probe_counts_of(generation).slots_taken < self.settings.probes =>
                {
                    if self.acquire_probe_slot(phase, now.saturating_add(lease)) {
                        return Ok(Admission::new(generation, true));
                    }
                }
                // The cooldown is over, or every place has been lost.
                _ => {
                    let half_open = PackedState {
                        kind: Kind::HalfOpen,
                        generation: generation.next(),
                        backoff_exponent: phase.backoff_exponent,
                        until: now.saturating_add(lease),
                    };
                    self.try_transition(phase, half_open);
                }
            }
        }
    }

    /// The lease first, then the place: whoever finds all places taken then finds the latest lease as well. The last look
    /// tells whether the places still were this generation's when one was taken.
    fn acquire_probe_slot(&self, phase: PackedState, until: Tick) -> bool {
        let leased = PackedState {
            until: Ord::max(phase.until, until),
            ..phase
        };
        if leased != phase && !self.try_transition(phase, leased) {
            return false;
        }
        let taken = self.update_probe_counts(phase.generation, |counts| {
            (counts.slots_taken < self.settings.probes).then(|| ProbeCounts {
                slots_taken: counts.slots_taken + 1,
                ..counts
            })
        });
        taken.is_some() && self.is_at(Kind::HalfOpen, phase.generation)
    }

    /// Why an attempt would not be admitted at `now`; changes nothing.
    pub(in crate::breaker) fn refusal(&self, now: impl Fn() -> Tick) -> Option<Refusal> {
        let phase = self.phase();
        match phase.kind {
            Kind::Closed => None,
            _ => self.refusal_in(phase, phase.needs(now)),
        }
    }

    fn refusal_in(&self, phase: PackedState, now: Tick) -> Option<Refusal> {
        let refused = match phase.kind {
            Kind::Closed => false,
            Kind::Open => now < phase.until,
            Kind::HalfOpen => {
                let full = self.probe_counts_of(phase.generation).slots_taken >= self.settings.probes;
                full && now < phase.until
            }
            Kind::Forced => true,
        };
        refused.then(|| {
            Refusal::new(
                self.failures_in(phase),
                self.settings.trip_rule.failures(),
                (phase.kind != Kind::Forced).then(|| phase.until.millis_since(now)),
            )
        })
    }
}

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
