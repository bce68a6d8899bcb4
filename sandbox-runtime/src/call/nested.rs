//! Calls within calls: an inner one that was refused, cancelled or cut by the end of its run is not a failure of the outer tool.
//!
//! What the outer tool makes of it may be anything: a variant, an [`io::Error`](std::io::Error), a text. So it is not the error
//! that shows it, but the moment: the inner call ended in the same poll in which the outer tool returned an error.

use std::cell::Cell;

thread_local! {
    /// How many calls on this thread have ended so.
    static ENDED: Cell<u32> = const { Cell::new(0) };
}

/// A moment on this thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u32);

#[inline]
pub(crate) fn mark() -> Mark {
    Mark(ENDED.get())
}

impl Mark {
    /// Forgets what has ended since: it was not called by the tool around.
    pub(crate) fn restore(self) {
        ENDED.set(self.0);
    }

    /// Tells whether an inner call has been refused, cancelled or cut since.
    pub(super) fn saw_inner_end(self) -> bool {
        ENDED.get() != self.0
    }
}

/// Notes, for the tool around it, that a call has been refused, cancelled or cut by the end of its run.
#[inline]
pub(super) fn note_end() {
    ENDED.set(ENDED.get().wrapping_add(1));
}
