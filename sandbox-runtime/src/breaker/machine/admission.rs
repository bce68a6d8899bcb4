//! Who is let in, and why others are not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Machine;
use crate::breaker::words::{Generation, Kind, Phase, Trial, Word};
use crate::clock::Tick;

/// Leave to make one attempt, and what its result will count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(super) generation: Generation,
    pub(super) probe: bool,
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

impl<W: Word> Machine<W> {
    /// Asks to make an attempt.
    #[inline]
    pub(in crate::breaker) fn admit(&self, now: impl Fn() -> Tick) -> Result<Admission, Refusal> {
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
    pub(in crate::breaker) fn refusal(&self, now: impl Fn() -> Tick) -> Option<Refusal> {
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
}
