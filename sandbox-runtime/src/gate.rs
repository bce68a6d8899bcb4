//! The gate: one load that tells whether anything is attached to calls.
//!
//! A program that attaches nothing pays for reading one word that nobody writes. Everything behind the gate is reached
//! through [`Surroundings`](crate::surroundings::Surroundings), which a call makes for itself.

use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use crate::sync::{Flags, Lock};

/// One bit for each kind of attachment that exists somewhere in the process.
static OPEN: AtomicU32 = AtomicU32::new(OPEN_AT_START);

/// How many tools an operator has set something for.
pub(crate) static STEERED_TOOLS: Number = Number::new(STEERED);

/// How many dependencies have asked to be left alone.
pub(crate) static HOLDING: Number = Number::new(HOLDS);

/// Scopes around calls: a budget, a report, a server that reports failures. Stays set: a program opens a scope for every run
/// of an agent, and must not write a word for it that every call reads.
pub(crate) const SCOPES: u32 = 1;

/// Observers of the whole process: set and cleared, rarely.
pub(crate) const OBSERVERS: u32 = 2;

/// Records of annotated functions. Stays set once somebody has asked for one.
pub(crate) const RECORDS: u32 = 4;

/// Tools for which an operator has set something: set while there is one.
pub(crate) const STEERED: u32 = 8;

/// Dependencies that have asked to be left alone: set while there is one.
pub(crate) const HOLDS: u32 = 16;

/// Faults that the environment has for all calls of the process. Open until the first call has found out that there are none.
#[cfg(feature = "faults")]
pub(crate) const FAULTS: u32 = 32;

#[cfg(feature = "faults")]
const OPEN_AT_START: u32 = FAULTS;
#[cfg(not(feature = "faults"))]
const OPEN_AT_START: u32 = 0;

/// Tells whether a call has to look for surroundings.
#[inline]
pub(crate) fn is_open() -> bool {
    // Relaxed: a call inside a scope runs on the thread that opened it, or was handed over by that thread.
    OPEN.all() != 0
}

/// Opens the gate. It has to be open before the first call that the attachment concerns.
pub(crate) fn open(kind: u32) {
    if OPEN.all() & kind == 0 {
        OPEN.set(kind);
    }
}

/// Closes the gate for a kind of which nothing is left.
pub(crate) fn close(kind: u32) {
    OPEN.clear(kind);
}

/// All kinds of which something exists.
#[inline]
pub(crate) fn all_open() -> u32 {
    OPEN.all()
}

/// Tells whether something of a kind exists.
pub(crate) fn is_open_for(kind: u32) -> bool {
    OPEN.all() & kind != 0
}

/// How many things there are of a kind that comes and goes. While there is one, the gate is open for it.
#[derive(Debug)]
pub(crate) struct Number<L = Mutex<usize>> {
    kind: u32,
    number: L,
}

impl Number {
    const fn new(kind: u32) -> Number {
        Number {
            kind,
            number: Mutex::new(0),
        }
    }

    pub(crate) fn add(&self) {
        self.change_at(&OPEN, |number| number + 1);
    }

    pub(crate) fn subtract(&self) {
        self.change_at(&OPEN, |number| number - 1);
    }
}

impl<L: Lock<usize>> Number<L> {
    #[cfg(test)]
    pub(crate) const fn of(kind: u32, number: L) -> Self {
        Number { kind, number }
    }

    /// Changes it, and opens or closes a gate for it. Under the lock, or the one who closes could be the later one.
    pub(crate) fn change_at(&self, gate: &impl Flags, change: impl FnOnce(usize) -> usize) {
        self.number.change(|number| {
            *number = change(*number);
            match *number {
                0 => gate.clear(self.kind),
                _ => gate.set(self.kind),
            }
        });
    }
}
