//! The gate: one load that tells whether anything is attached to calls.
//!
//! A program that attaches nothing pays for reading one word that nobody writes. Everything behind the gate is reached
//! through [`Surroundings`](crate::surroundings::Surroundings), which a call makes for itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// One bit for each kind of attachment that exists somewhere in the process.
static OPEN: AtomicU32 = AtomicU32::new(OPEN_AT_START);

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
    OPEN.load(Ordering::Relaxed) != 0
}

/// Opens the gate. It has to be open before the first call that the attachment concerns.
pub(crate) fn open(kind: u32) {
    if OPEN.load(Ordering::Relaxed) & kind == 0 {
        OPEN.fetch_or(kind, Ordering::Relaxed);
    }
}

/// Closes the gate for a kind of which nothing is left.
pub(crate) fn close(kind: u32) {
    OPEN.fetch_and(!kind, Ordering::Relaxed);
}

/// How many things there are of the kinds that come and go.
static NUMBERS: Mutex<[usize; 2]> = Mutex::new([0; 2]);

/// Changes how many things there are of a kind that comes and goes, and opens or closes the gate for it.
pub(crate) fn count(kind: u32, change: impl FnOnce(usize) -> usize) {
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let number = &mut numbers[usize::from(kind == HOLDS)];
    *number = change(*number);
    match *number {
        0 => close(kind),
        _ => open(kind),
    }
}

/// All kinds of which something exists.
#[inline]
pub(crate) fn all_open() -> u32 {
    OPEN.load(Ordering::Relaxed)
}

/// Tells whether something of a kind exists.
pub(crate) fn is_open_for(kind: u32) -> bool {
    OPEN.load(Ordering::Relaxed) & kind != 0
}
