//! How the breaker's state is packed into atomic words. The window packs its own.
//!
//! Every transition is one compare-and-swap of the [`PackedState`], whose generation each transition increments. The
//! [`Counts`] carry the generation that they belong to; counts of another generation read as zero, so a transition
//! clears them without a second write.

use crate::clock::{Reading, Tick};

/// The number of transitions made so far, modulo 2^17. An older generation, of a permit or in a word that has not been
/// written since, differs from the current one as long as fewer than 2^17 transitions lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u32);

impl Generation {
    pub(super) const BITS: u32 = 17;
    const MASK: u32 = (1 << Self::BITS) - 1;

    pub(super) const FIRST: Generation = Generation(0);

    pub(super) const fn next(self) -> Generation {
        Generation((self.0 + 1) & Self::MASK)
    }

    pub(super) const fn previous(self) -> Generation {
        Generation(self.0.wrapping_sub(1) & Self::MASK)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// Takes the lowest bits of `word`.
    #[expect(clippy::cast_possible_truncation, reason = "the bits above are cut off on purpose")]
    pub(super) const fn from_bits(word: u64) -> Generation {
        Generation(word as u32 & Self::MASK)
    }

    #[cfg(test)]
    pub(super) const fn after(transitions: u32) -> Generation {
        Generation(transitions & Self::MASK)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
}

/// The state and what belongs to it in one word: generation (17 bits), backoff exponent (5), state (2), `until` (40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedState(u64);

impl PackedState {
    const STATE_BITS: u32 = 2;
    const EXPONENT_BITS: u32 = 5;
    const EXPONENT_SHIFT: u32 = Tick::BITS + Self::STATE_BITS;
    const GENERATION_SHIFT: u32 = Self::EXPONENT_SHIFT + Self::EXPONENT_BITS;

    /// Enough: doubled this often, even a cooldown of one millisecond lasts over three weeks.
    pub(super) const MAX_EXPONENT: u32 = (1 << Self::EXPONENT_BITS) - 1;

    /// Packs a state without an end and without backoff.
    pub(super) const fn new(state: State, generation: Generation) -> PackedState {
        Self::with_end(state, generation, 0, Tick::ZERO)
    }

    pub(super) const fn with_end(
        state: State,
        generation: Generation,
        backoff_exponent: u32,
        until: Tick,
    ) -> PackedState {
        let state = match state {
            State::Closed => 0,
            State::Open => 1,
            State::HalfOpen => 2,
            State::ForcedOpen => 3,
        };
        PackedState(
            generation.bits() << Self::GENERATION_SHIFT
                | (backoff_exponent as u64) << Self::EXPONENT_SHIFT
                | state << Tick::BITS
                | until.bits(),
        )
    }

    pub(super) const fn from_word(word: u64) -> PackedState {
        PackedState(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    pub(super) const fn state(self) -> State {
        match self.0 >> Tick::BITS & 3 {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            _ => State::ForcedOpen,
        }
    }

    pub(super) const fn generation(self) -> Generation {
        Generation::from_bits(self.0 >> Self::GENERATION_SHIFT)
    }

    /// Returns how often the cooldown has doubled: the probes that failed in a row since the breaker last closed.
    pub(super) const fn backoff_exponent(self) -> u32 {
        (self.0 >> Self::EXPONENT_SHIFT) as u32 & Self::MAX_EXPONENT
    }

    /// Open: returns the end of the cooldown, rounded down. Half-open: the end of the lease, when the slots of silent probes become free.
    pub(super) const fn until(self) -> Tick {
        Tick::from_bits(self.0)
    }

    /// Reads the clock if this state changes with time; returns an arbitrary moment if it does not.
    pub(super) fn now_if_timed(self, now: impl Fn() -> Reading) -> Reading {
        match self.state() {
            State::Closed | State::ForcedOpen => Reading::ZERO,
            State::Open | State::HalfOpen => now(),
        }
    }
}

/// What one generation has counted: generation (17 bits), count (47).
///
/// Closed: failures in a row, or a [`Row`](super::row::Row) where they are forgotten; unused with a window, which counts for
/// itself. Open and forced open: [`OpenCounts`]. Half-open: [`ProbeCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts<C> {
    pub(super) generation: Generation,
    pub(super) count: C,
}

/// The count of a generation in at most [`BITS`](Self::BITS) bits. It begins as zero.
pub(super) trait Count: Copy {
    const BITS: u32 = u64::BITS - Generation::BITS;

    fn bits(self) -> u64;

    /// Takes the lowest bits of `word`.
    fn from_bits(word: u64) -> Self;
}

impl<C: Count> Counts<C> {
    pub(super) fn pack(self) -> u64 {
        self.generation.bits() << C::BITS | self.count.bits()
    }

    pub(super) fn unpack(word: u64) -> Counts<C> {
        Counts {
            generation: Generation::from_bits(word >> C::BITS),
            count: C::from_bits(word),
        }
    }

    /// Returns the count of `generation`, or `None` when the counts are those of an earlier or a later one.
    pub(super) fn count_of(self, generation: Generation) -> Option<C> {
        (self.generation == generation).then_some(self.count)
    }
}

/// Failures.
impl Count for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the bits above are cut off on purpose")]
    fn from_bits(word: u64) -> u32 {
        word as u32
    }
}

/// The count of an open or forced open generation: nanoseconds (20 bits), failures (27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenCounts {
    /// How much later than [`PackedState::until`], which is rounded down, the cooldown ends. Less than a millisecond.
    pub(super) nanos_after: u32,
    /// Those recorded by hand since the breaker opened. No more are counted than fit.
    pub(super) failures: u32,
}

impl OpenCounts {
    const FAILURE_BITS: u32 = 27;
    const MAX_FAILURES: u32 = (1 << Self::FAILURE_BITS) - 1;

    /// Returns how many milliseconds, rounded up, are left of a cooldown that ends this much after `until`; `None` when it is
    /// over.
    #[inline]
    pub(super) fn millis_left(self, until: Tick, now: Reading) -> Option<u64> {
        let ticks = until.checked_millis_since(now.tick)?;
        let millis = ticks + u64::from(now.nanos < self.nanos_after);
        (millis > 0).then_some(millis)
    }

    pub(super) fn add_failure(self) -> OpenCounts {
        OpenCounts {
            failures: Ord::min(self.failures + 1, Self::MAX_FAILURES),
            ..self
        }
    }
}

impl Count for OpenCounts {
    fn bits(self) -> u64 {
        u64::from(self.nanos_after) << Self::FAILURE_BITS | u64::from(self.failures)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the bits above are cut off on purpose")]
    fn from_bits(word: u64) -> OpenCounts {
        OpenCounts {
            nanos_after: (word >> Self::FAILURE_BITS) as u32 & 0xf_ffff,
            failures: word as u32 & Self::MAX_FAILURES,
        }
    }
}

/// The count of a half-open generation: longest limit (6 bits), doublings (5), slots taken (16), successes (16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProbeCounts {
    /// The longest time limit of the probes, rounded up to a power of two: its exponent, plus one. 0 if none has a limit.
    limit_magnitude: u8,
    /// How often the probe slots have doubled.
    pub(super) doublings: u8,
    pub(super) slots_taken: u16,
    pub(super) successes: u16,
}

impl ProbeCounts {
    /// Enough: doubled this often, even one slot becomes as many as can be counted.
    const MAX_DOUBLINGS: u8 = 16;

    /// Returns how many probes are admitted at a time, of a breaker that begins with `probes`.
    pub(super) fn slots(self, probes: u16) -> u16 {
        u16::try_from(u32::from(probes) << self.doublings).unwrap_or(u16::MAX)
    }

    pub(super) fn has_free_slot(self, probes: u16) -> bool {
        self.slots_taken < self.slots(probes)
    }

    /// Takes a slot for a probe that ends within `limit`.
    pub(super) fn take_slot(self, limit: Tick) -> ProbeCounts {
        ProbeCounts {
            limit_magnitude: Ord::max(self.limit_magnitude, limit.magnitude()),
            slots_taken: self.slots_taken.saturating_add(1),
            ..self
        }
    }

    /// Returns the longest time limit of the probes, rounded up to a power of two.
    pub(super) fn longest_limit(self) -> Tick {
        Tick::of_magnitude(self.limit_magnitude)
    }

    pub(super) fn free_slot(self) -> ProbeCounts {
        ProbeCounts {
            slots_taken: self.slots_taken.saturating_sub(1),
            ..self
        }
    }

    pub(super) fn add_success(self) -> ProbeCounts {
        ProbeCounts {
            successes: self.successes.saturating_add(1),
            ..self
        }
    }

    pub(super) fn double_slots(self) -> ProbeCounts {
        ProbeCounts {
            doublings: Ord::min(self.doublings + 1, Self::MAX_DOUBLINGS),
            ..self
        }
    }
}

impl Count for ProbeCounts {
    fn bits(self) -> u64 {
        u64::from(self.limit_magnitude) << 37
            | u64::from(self.doublings) << 32
            | u64::from(self.slots_taken) << 16
            | u64::from(self.successes)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the bits above are cut off on purpose")]
    fn from_bits(word: u64) -> ProbeCounts {
        ProbeCounts {
            limit_magnitude: (word >> 37) as u8 & 0x3f,
            doublings: (word >> 32) as u8 & 0x1f,
            slots_taken: (word >> 16) as u16,
            successes: word as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_before_is_never_the_current_one() {
        for current in (0..=Generation::MASK).map(Generation) {
            let before = current.previous();
            assert_ne!(before, current);
            assert_eq!(before.next(), current, "within {} bits", Generation::BITS);
        }
    }

    #[test]
    fn states_survive_packing_at_the_extremes() {
        for state in [State::Closed, State::Open, State::HalfOpen, State::ForcedOpen] {
            for generation in [0, 1, Generation::MASK] {
                for backoff_exponent in [0, PackedState::MAX_EXPONENT] {
                    for until in [Tick::ZERO, Tick::MAX] {
                        let generation = Generation(generation);
                        let packed = PackedState::with_end(state, generation, backoff_exponent, until);
                        assert_eq!(packed.state(), state);
                        assert_eq!(packed.generation(), generation);
                        assert_eq!(packed.backoff_exponent(), backoff_exponent);
                        assert_eq!(packed.until(), until);
                    }
                }
            }
        }
    }

    #[test]
    fn counts_belong_to_their_own_generation_only() {
        for generation in [0, 1, Generation::MASK].map(Generation) {
            for count in [7, u32::MAX] {
                let counts = Counts { generation, count };
                assert_eq!(Counts::unpack(counts.pack()), counts);
                assert_eq!(counts.count_of(generation), Some(count));
                assert_eq!(counts.count_of(generation.next()), None, "the counts of an earlier one");
            }
        }
    }

    #[test]
    fn probe_counts_survive_packing() {
        for doublings in [0, 1, ProbeCounts::MAX_DOUBLINGS] {
            for (slots_taken, successes) in [(0, 0), (1, 0), (0, 1), (u16::MAX, u16::MAX)] {
                for limit in [Tick::ZERO, Tick::MAX] {
                    let count = ProbeCounts {
                        limit_magnitude: limit.magnitude(),
                        doublings,
                        slots_taken,
                        successes,
                    };
                    let generation = Generation(Generation::MASK);
                    let counts = Counts { generation, count };
                    assert_eq!(Counts::unpack(counts.pack()), counts);
                }
            }
        }
    }

    #[test]
    fn open_counts_survive_packing_and_count_up_to_the_most_that_fits() {
        for nanos_after in [0, 1, 999_999] {
            let counts = |failures| OpenCounts { nanos_after, failures };
            for failures in [0, 1, OpenCounts::MAX_FAILURES] {
                assert_eq!(
                    OpenCounts::from_bits(u64::MAX << 47 | counts(failures).bits()),
                    counts(failures)
                );
            }
            assert_eq!(counts(7).add_failure(), counts(8));
            assert_eq!(
                counts(OpenCounts::MAX_FAILURES).add_failure(),
                counts(OpenCounts::MAX_FAILURES)
            );
        }
    }

    #[test]
    fn slots_double_up_to_as_many_as_can_be_counted() {
        for (probes, expected) in [
            (1, [1, 2, 4, 0x8000, u16::MAX, u16::MAX]),
            (3, [3, 6, 12, u16::MAX, u16::MAX, u16::MAX]),
            (u16::MAX, [u16::MAX; 6]),
        ] {
            for (times, slots) in [0, 1, 2, 15, 16, 1_000].into_iter().zip(expected) {
                let doubled = (0..times).fold(ProbeCounts::from_bits(0), |counts, _| counts.double_slots());
                assert_eq!(doubled.slots(probes), slots, "{probes} doubled {times} times");
            }
        }
    }
}
