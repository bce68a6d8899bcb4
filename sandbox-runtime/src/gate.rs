//! The gate: one load that tells whether anything is attached to calls.
//!
//! A program that attaches nothing pays for reading one word that nobody writes. Everything behind the gate is reached
//! through [`Surroundings`](crate::surroundings::Surroundings), which a call makes for itself.

use std::sync::atomic::{AtomicU32, Ordering};

/// One bit for each kind of attachment that exists somewhere in the process.
static OPEN: AtomicU32 = AtomicU32::new(0);

/// Scopes around calls: a budget, a report, a server that reports failures. Stays set: a program opens a scope for every run
/// of an agent, and must not write a word for it that every call reads.
pub(crate) const SCOPES: u32 = 1;

/// Observers of the whole process: set and cleared, rarely.
pub(crate) const OBSERVERS: u32 = 2;

/// Records of annotated functions. Stays set once somebody has asked for one.
pub(crate) const RECORDS: u32 = 4;

/// Tools that are switched off: set while there is one.
pub(crate) const SWITCHES: u32 = 8;

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

/// All kinds of which something exists.
#[inline]
pub(crate) fn all_open() -> u32 {
    OPEN.load(Ordering::Relaxed)
}

/// Tells whether something of a kind exists.
pub(crate) fn is_open_for(kind: u32) -> bool {
    OPEN.load(Ordering::Relaxed) & kind != 0
}
