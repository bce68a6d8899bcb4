//! The breaker's words: how its state is packed into atomics. Those of the window have a module of their own.
//!
//! Every transition is one compare-and-swap of the [`PackedState`], which carries a generation that each transition moves on.
//! The [`Counts`] carries the generation that its counts belong to; counts of another generation read as zero, so a
//! transition clears them without a second write.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Tick;

/// What the machine needs of an atomic word; a model checker brings its own.
pub(super) trait Word {
    fn load(&self, ordering: Ordering) -> u64;
    fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64>;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }
    #[inline]
    fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}

/// Which transition a state follows. Wraps; an older one, of a permit or in a word that was not written since, is told
/// apart from the present one as long as fewer than 2^17 transitions lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u32);

impl Generation {
    pub(super) const BITS: u32 = 17;
    const MASK: u32 = (1 << Self::BITS) - 1;

    pub(super) const FIRST: Generation = Generation(0);

    pub(super) const fn next(self) -> Generation {
        Generation((self.0 + 1) & Self::MASK)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// From the lowest bits of `word`.
    #[expect(clippy::cast_possible_truncation, reason = "what lies above is cut off on purpose")]
    pub(super) const fn from_bits(word: u64) -> Generation {
        Generation(word as u32 & Self::MASK)
    }

    #[cfg(test)]
    pub(super) const fn after(transitions: u32) -> Generation {
        Generation(transitions & Self::MASK)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Closed,
    Open,
    HalfOpen,
    Forced,
}

/// The state itself: `until` (40 bits), generation (17), backoff_exponent (5), kind (2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedState {
    pub(super) kind: Kind,
    pub(super) generation: Generation,
    /// Probes failed in a row since the breaker last closed: how often the cooldown has doubled.
    pub(super) backoff_exponent: u32,
    /// Open: when the cooldown ends. Half-open: when places that never came back are free again.
    pub(super) until: Tick,
}

impl PackedState {
    const EXPONENT_BITS: u32 = 5;
    /// More doublings are not made: even a cooldown of a millisecond lasts over three weeks by then.
    pub(super) const MAX_EXPONENT: u32 = (1 << Self::EXPONENT_BITS) - 1;

    pub(super) const fn new(kind: Kind, generation: Generation) -> PackedState {
        PackedState {
            kind,
            generation,
            backoff_exponent: 0,
            until: Tick::ZERO,
        }
    }

    /// The moment that it takes to say what this phase means; any, without reading the clock, where time does not matter.
    pub(super) fn needs(self, now: impl Fn() -> Tick) -> Tick {
        match self.kind {
            Kind::Closed | Kind::Forced => Tick::ZERO,
            Kind::Open | Kind::HalfOpen => now(),
        }
    }

    pub(super) const fn pack(self) -> u64 {
        let kind = match self.kind {
            Kind::Closed => 0,
            Kind::Open => 1,
            Kind::HalfOpen => 2,
            Kind::Forced => 3,
        };
        let above = (self.generation.bits() << Self::EXPONENT_BITS | self.backoff_exponent as u64) << 2 | kind;
        above << Tick::BITS | self.until.bits()
    }

    pub(super) const fn unpack(word: u64) -> PackedState {
        let above = word >> Tick::BITS;
        let kind = match above & 3 {
            0 => Kind::Closed,
            1 => Kind::Open,
            2 => Kind::HalfOpen,
            _ => Kind::Forced,
        };
        PackedState {
            kind,
            generation: Generation::from_bits(above >> (2 + Self::EXPONENT_BITS)),
            backoff_exponent: (above >> 2) as u32 & Self::MAX_EXPONENT,
            until: Tick::from_bits(word),
        }
    }
}

/// The counts of one generation: generation (upper half), counts (lower half).
///
/// Closed: the count of failures in a row; none when there is a window, which counts for itself. Open: failures recorded
/// by hand. Half-open: places taken (upper half of the counts) and successes (lower half).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) generation: Generation,
    pub(super) count: u32,
}

impl Counts {
    pub(super) const fn pack(self) -> u64 {
        self.generation.bits() << 32 | self.count as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the upper half is cut off on purpose")]
    pub(super) const fn unpack(word: u64) -> Counts {
        Counts {
            generation: Generation::from_bits(word >> 32),
            count: word as u32,
        }
    }

    /// What `generation` has counted; `None` when these are the counts of another one, before or after it.
    pub(super) fn count_of(self, generation: Generation) -> Option<u32> {
        (self.generation == generation).then_some(self.count)
    }
}

/// The count of a half-open generation, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProbeCounts {
    pub(super) slots_taken: u16,
    pub(super) successes: u16,
}

impl ProbeCounts {
    pub(super) const fn pack(self) -> u32 {
        (self.slots_taken as u32) << 16 | self.successes as u32
    }

    pub(super) const fn unpack(count: u32) -> ProbeCounts {
        ProbeCounts {
            slots_taken: (count >> 16) as u16,
            successes: (count & 0xffff) as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_survive_packing_at_the_extremes() {
        for kind in [Kind::Closed, Kind::Open, Kind::HalfOpen, Kind::Forced] {
            for generation in [0, 1, Generation::MASK] {
                for backoff_exponent in [0, PackedState::MAX_EXPONENT] {
                    for until in [Tick::ZERO, Tick::MAX] {
                        let phase = PackedState {
                            kind,
                            generation: Generation(generation),
                            backoff_exponent,
                            until,
                        };
                        assert_eq!(PackedState::unpack(phase.pack()), phase);
                    }
                }
            }
        }
    }

    #[test]
    fn a_tally_has_counts_for_its_own_generation_only() {
        for generation in [0, 1, Generation::MASK].map(Generation) {
            let counts = Counts { generation, count: 7 };
            assert_eq!(Counts::unpack(counts.pack()), counts);
            assert_eq!(counts.count_of(generation), Some(7));
            assert_eq!(counts.count_of(generation.next()), None, "the counts of an earlier one");
        }
    }

    #[test]
    fn trials_survive_packing() {
        for (slots_taken, successes) in [(0, 0), (1, 0), (0, 1), (u16::MAX, u16::MAX)] {
            let counts = ProbeCounts { slots_taken, successes };
            assert_eq!(ProbeCounts::unpack(counts.pack()), counts);
        }
    }
}
