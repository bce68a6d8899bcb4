//! [`Counters`]: how many calls and attempts a tool has had, counted without threads getting in each other's way.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use serde::Serialize;

use super::is_failure;
use crate::failure::Stop;

/// What was counted of a tool's calls since somebody asked for it. Exact once all calls have ended; while some run, a call that is
/// in its first poll is counted as if it had succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Calls that have begun: as many as have ended, and those under way.
    pub calls: u64,
    /// Calls that are under way.
    pub active: u64,
    /// Attempts that have begun.
    pub attempts: u64,
    /// Those of them that a breaker [in shadow](crate::ToolHandle::shadow) would have refused.
    pub overlooked: u64,
    /// Calls that have ended, by [why](crate::observe::Stop); a reason that did not occur is missing.
    pub ends: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// Calls that failed by their tool: without refusals, errors that are the caller's fault, and calls that their caller ended.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let failures = Stop::ALL.into_iter().filter(|stop| is_failure(*stop));
        failures.map(|stop| self.ended_by(stop)).sum()
    }

    /// Calls that the breaker refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.ended_by(Stop::Refused)
    }

    fn ended_by(&self, stop: Stop) -> u64 {
        self.ends.get(stop.as_str()).copied().unwrap_or_default()
    }
}

/// What one thread counts, on cache lines of its own: two of them, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    /// Calls whose tool was ready at once, and which succeeded: they have begun, made an attempt and ended in one step. One that
    /// turns out otherwise is taken back, so that the number of a thread may be below zero, and only the sum means something.
    ready: AtomicU64,
    begun: AtomicU64,
    attempts: AtomicU64,
    overlooked: AtomicU64,
    ends: [AtomicU64; Stop::ALL.len()],
}

impl Shard {
    /// Counts a call that is about to begin and is expected to succeed at once.
    #[inline]
    pub(crate) fn ready(&self) {
        add(&self.ready, 1);
    }

    /// Counts the same call as one that has begun with one attempt, and has not ended.
    pub(crate) fn not_ready(&self) {
        add(&self.ready, u64::MAX);
        self.begun();
        self.attempted();
    }

    /// Counts from zero again. No call may be under way.
    fn forget(&self) {
        let counters = [&self.ready, &self.begun, &self.attempts, &self.overlooked];
        for counter in counters.into_iter().chain(&self.ends) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn begun(&self) {
        add(&self.begun, 1);
    }

    pub(crate) fn attempted(&self) {
        add(&self.attempts, 1);
    }

    pub(crate) fn overlooked(&self) {
        add(&self.overlooked, 1);
    }

    pub(crate) fn ended(&self, stop: Stop) {
        add(&self.ends[stop as usize], 1);
    }
}

/// Relaxed: each number stands for itself.
#[inline]
fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// The shards of a tool: as many as threads run at a time, up to a limit. Threads share them in turn.
#[derive(Debug)]
pub(super) struct Shards(Box<[Shard]>);

impl Shards {
    const MOST: usize = 16;

    pub(super) fn new() -> Shards {
        let threads = available_parallelism().map_or(1, usize::from).min(Self::MOST);
        Shards((0..threads.next_power_of_two()).map(|_| Shard::default()).collect())
    }

    #[inline]
    pub(super) fn of_this_thread(&self) -> &Shard {
        // The number of shards is a power of two.
        &self.0[thread_number() & (self.0.len() - 1)]
    }

    pub(super) fn forget(&self) {
        self.0.iter().for_each(Shard::forget);
    }

    pub(super) fn sum(&self) -> Counters {
        let sum = |counter: fn(&Shard) -> &AtomicU64| {
            let counts = self.0.iter().map(|shard| counter(shard).load(Ordering::Relaxed));
            counts.fold(0, u64::wrapping_add)
        };
        let ready = sum(|shard| &shard.ready);
        let mut ends = BTreeMap::new();
        for stop in Stop::ALL {
            let counts = self
                .0
                .iter()
                .map(|shard| shard.ends[stop as usize].load(Ordering::Relaxed));
            let at_once = if stop == Stop::Succeeded { ready } else { 0 };
            match counts.fold(at_once, u64::wrapping_add) {
                0 => {}
                count => drop(ends.insert(stop.as_str(), count)),
            }
        }
        let calls = sum(|shard| &shard.begun).wrapping_add(ready);
        let ended = ends.values().sum();
        Counters {
            calls,
            active: calls.saturating_sub(ended),
            attempts: sum(|shard| &shard.attempts).wrapping_add(ready),
            overlooked: sum(|shard| &shard.overlooked),
            ends,
        }
    }
}

/// A number for this thread, from 0 in the order in which threads first ask.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}
