//! Whether anything surrounds calls: the [budget](crate::Budget) of a run, a [report](crate::ToolExecutionResult::of), or a
//! server that tells their failures.
//!
//! What does is kept in task-local variables, and looking there costs some nanoseconds. A program that has none pays for
//! reading one flag, which nobody writes.

use std::sync::atomic::{AtomicBool, Ordering};

static ENTERED: AtomicBool = AtomicBool::new(false);

/// To be called before anything is put around a call.
pub(crate) fn enter() {
    // Relaxed: a call in a scope runs on the thread that has entered it, or was handed over by it.
    ENTERED.store(true, Ordering::Relaxed);
}

/// Whether a call has to look for what surrounds it.
#[inline]
pub(crate) fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}
