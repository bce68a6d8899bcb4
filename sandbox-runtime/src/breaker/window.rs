//! The window: the latest results of a closed breaker.
//!
//! 64 results leave no room in their word for the generation that they belong to. So they go alternately into two words,
//! the half windows: each holds every other result, its generation, and how many results it has taken. The counts show
//! whose turn it is: the second half's when the first is one ahead, else the first's. A half of another generation counts
//! as empty, so a transition clears the window without a write.
//!
//! A result is recorded by one compare-and-swap of the half whose turn it is, and that one proves both halves: it has not
//! changed since it was read, and as long as it does not change, it is not the other one's turn to change. What was
//! computed before the swap is the window at the moment of the swap, and every result is judged by the window that it
//! makes.
//!
//! Orderings: every reader loads the first half before the second. Whoever wrote the first had loaded the second, so the
//! second as loaded is never too old for the first. It may be too new, if results came in between; but then the first
//! has changed since, and a swap of it fails. `Acquire` guarantees this, and that what is loaded after the second (the
//! breaker's generation, or the first half again) is not too old for either.

use std::sync::atomic::Ordering;

use super::packed::Generation;
use crate::sync::Word;

#[derive(Debug)]
pub(super) struct Window<W> {
    first: W,
    second: W,
}

impl<W> Window<W> {
    /// Creates a window of two words that are zero: it is empty in every generation.
    pub(super) const fn empty(first: W, second: W) -> Window<W> {
        Window { first, second }
    }
}

impl<W: Word> Window<W> {
    /// Records a result of `generation` and returns the window with it; `None` when `is_current` denies that the
    /// generation lasts.
    ///
    /// A result whose generation ends meanwhile may still be written where no later generation has written yet. Later
    /// ones see by its tag that it is not theirs.
    // Inlined, so that parts of the results that the caller does not use are not computed.
    #[inline]
    pub(super) fn record(
        &self,
        generation: Generation,
        failed: bool,
        is_current: impl Fn() -> bool,
    ) -> Option<Results> {
        loop {
            let words = self.read();
            let halves = words.map(HalfWindow::unpack);
            // Nobody records for a generation before the breaker has reached it. If the breaker, whose state is read after
            // the halves, is at this one, then other tags are of earlier ones and may be overwritten.
            if halves.iter().any(|half| half.generation != generation) && !is_current() {
                return None;
            }
            let before = Results::new(generation, halves);
            let (half, word) = if before.newest_in_first {
                (&self.second, words[1])
            } else {
                (&self.first, words[0])
            };
            let results = before.push(failed);
            if half.compare_exchange(word, results.newer.pack()).is_ok() {
                return Some(results);
            }
        }
    }

    /// Counts the failures among the latest `size` results of `generation`, as they were at one moment.
    pub(super) fn failures_among(&self, size: u32, generation: Generation) -> u32 {
        let mut words = self.read();
        loop {
            let again = self.read();
            // The first half has not changed while the second was read.
            if again[0] == words[0] {
                return Results::new(generation, words.map(HalfWindow::unpack)).failures_among(size);
            }
            words = again;
        }
    }

    fn read(&self) -> [u64; 2] {
        let first = self.first.load(Ordering::Acquire);
        let second = self.second.load(Ordering::Acquire);
        [first, second]
    }
}

/// The latest results of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Results {
    /// The half that took the newest result.
    newer: HalfWindow,
    /// The other half, whose turn it is.
    older: HalfWindow,
    newest_in_first: bool,
}

impl Results {
    fn new(generation: Generation, [first, second]: [HalfWindow; 2]) -> Results {
        // The first result goes into the first half: if that half is of another generation, so is the second.
        let first = first.in_generation(generation);
        let second = match first.count {
            0 => HalfWindow::empty(generation),
            _ => second.in_generation(generation),
        };
        let newest_in_first = first.count == second.count_after();
        let (newer, older) = if newest_in_first {
            (first, second)
        } else {
            (second, first)
        };
        Results {
            newer,
            older,
            newest_in_first,
        }
    }

    fn push(self, failed: bool) -> Results {
        Results {
            newer: self.older.push(failed),
            older: self.newer,
            newest_in_first: !self.newest_in_first,
        }
    }

    pub(super) fn has_at_least(self, number: u32) -> bool {
        self.newer.count + self.older.count >= number
    }

    pub(super) fn failures_among(self, latest: u32) -> u32 {
        let newer = self.newer.latest(latest.div_ceil(2));
        let older = self.older.latest(latest / 2);
        // Counted together: not every x86-64 processor has an instruction for it.
        (u64::from(newer) << HalfWindow::SIZE | u64::from(older)).count_ones()
    }
}

/// Every other result of a generation: generation (17 bits), count (15), results (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HalfWindow {
    generation: Generation,
    /// How many results it has taken. After the last value that fits it continues from [`SIZE`](Self::SIZE): a half that
    /// has been full stays full. Only a recorder that is held up for 65,000 results can mistake a repeated count for an
    /// unchanged half.
    count: u32,
    /// The latest results, the newest in the lowest bit; a failure is a one.
    results: u32,
}

impl HalfWindow {
    const SIZE: u32 = u32::BITS;
    const COUNT_BITS: u32 = u64::BITS - Generation::BITS - Self::SIZE;
    const MAX_COUNT: u32 = (1 << Self::COUNT_BITS) - 1;

    const fn empty(generation: Generation) -> HalfWindow {
        HalfWindow {
            generation,
            count: 0,
            results: 0,
        }
    }

    const fn pack(self) -> u64 {
        (self.generation.bits() << Self::COUNT_BITS | self.count as u64) << Self::SIZE | self.results as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the bits above are cut off on purpose")]
    const fn unpack(word: u64) -> HalfWindow {
        let above = word >> Self::SIZE;
        HalfWindow {
            generation: Generation::from_bits(above >> Self::COUNT_BITS),
            count: above as u32 & Self::MAX_COUNT,
            results: word as u32,
        }
    }

    fn in_generation(self, generation: Generation) -> HalfWindow {
        if self.generation == generation {
            self
        } else {
            HalfWindow::empty(generation)
        }
    }

    fn count_after(self) -> u32 {
        match self.count {
            Self::MAX_COUNT => Self::SIZE,
            count => count + 1,
        }
    }

    fn push(self, failed: bool) -> HalfWindow {
        HalfWindow {
            count: self.count_after(),
            results: self.results << 1 | u32::from(failed),
            ..self
        }
    }

    /// Returns the latest `number` results and cuts off the others.
    fn latest(self, number: u32) -> u32 {
        self.results.checked_shl(Self::SIZE - number).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::AtomicU64;

    use super::*;

    const LAST: Generation = Generation::from_bits(u64::MAX);

    fn empty() -> Window<AtomicU64> {
        Window::empty(AtomicU64::new(0), AtomicU64::new(0))
    }

    fn record(window: &Window<AtomicU64>, generation: Generation, failed: bool) -> Results {
        window.record(generation, failed, || true).unwrap()
    }

    #[test]
    fn halves_survive_packing_at_the_extremes() {
        for generation in [Generation::FIRST, Generation::FIRST.next(), LAST] {
            for count in [0, 1, HalfWindow::MAX_COUNT] {
                for results in [0, 1, 1 << 31, u32::MAX] {
                    let half = HalfWindow {
                        generation,
                        count,
                        results,
                    };
                    assert_eq!(HalfWindow::unpack(half.pack()), half);
                }
            }
        }
    }

    /// Over two wraps of the counts. The pattern of the results does not repeat within a window.
    #[test]
    fn the_window_holds_the_latest_results_however_many_there_were() {
        let sizes = [1, 2, 3, 31, 32, 33, 63, 64];
        let window = empty();
        let mut latest_first = VecDeque::new();
        for number in 1..=5 * HalfWindow::MAX_COUNT {
            let failed = number.wrapping_mul(0x9e37_79b9).count_ones() % 2 == 1;
            latest_first.push_front(failed);
            latest_first.truncate(64);
            let results = record(&window, LAST, failed);
            // Checks every result while the window fills and around the wraps, and a few in between.
            if (64..HalfWindow::MAX_COUNT).contains(&(number / 2 % HalfWindow::MAX_COUNT)) && number % 101 != 0 {
                continue;
            }
            for size in sizes {
                let expected = latest_first
                    .iter()
                    .take(size as usize)
                    .filter(|failed| **failed)
                    .count();
                assert_eq!(
                    results.failures_among(size) as usize,
                    expected,
                    "of {size} after {number}"
                );
                assert_eq!(window.failures_among(size, LAST) as usize, expected);
                assert_eq!(results.has_at_least(size), number >= size, "{number} are {size}");
            }
        }
    }

    #[test]
    fn results_alternate_between_the_halves() {
        let window = empty();
        let mut words = window.read();
        for number in 0..3 * HalfWindow::MAX_COUNT {
            record(&window, LAST, true);
            let after = window.read();
            let turn = number as usize % 2;
            assert_ne!(
                after[turn], words[turn],
                "the count moves although all results are failures"
            );
            assert_eq!(after[1 - turn], words[1 - turn]);
            words = after;
        }
    }

    #[test]
    fn another_generation_begins_with_an_empty_window() {
        for recorded in [1, 2, 3, 64, 65] {
            let window = empty();
            (0..recorded).for_each(|_| {
                record(&window, LAST, true);
            });
            let next = LAST.next();
            assert_eq!(window.failures_among(64, next), 0);
            let results = record(&window, next, false);
            assert_eq!((results.failures_among(64), results.has_at_least(2)), (0, false));
            assert_eq!(
                window.failures_among(64, LAST),
                0,
                "although its second half is still there"
            );
            let results = record(&window, next, true);
            assert_eq!((results.failures_among(64), results.has_at_least(2)), (1, true));
            assert_eq!(window.failures_among(64, LAST), 0);
        }
    }

    #[test]
    fn a_generation_that_is_over_overwrites_no_later_one() {
        let window = empty();
        record(&window, LAST, true);
        for later in 1..=2 {
            record(&window, LAST.next(), true);
            let words = window.read();
            assert_eq!(window.record(LAST, true, || false), None);
            assert_eq!(window.read(), words, "with {later} later results");
        }
    }

    /// The window is wrong for a while then, but a recorder must not wait for halves that fit together.
    #[test]
    fn a_half_left_over_from_before_the_generations_wrapped_does_not_block_recording() {
        let left_over = HalfWindow {
            count: 5,
            ..HalfWindow::empty(LAST)
        };
        let window = Window::empty(AtomicU64::new(0), AtomicU64::new(left_over.pack()));
        for _ in 0..64 {
            record(&window, LAST, true);
        }
        assert_eq!(window.failures_among(20, LAST), 20);
    }
}
