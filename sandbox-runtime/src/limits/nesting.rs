//! The limits among whose places this thread is polling the tools of calls, so that a call within one shares its place.
//!
//! Without it, a tool that calls itself would wait for itself.

use std::cell::RefCell;
use std::sync::Arc;

use super::Limits;

thread_local! {
    /// The addresses of their limits, from the outermost to the innermost.
    static HELD: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Tells whether this thread polls the tool of a call that has a place among these.
pub(super) fn is_within(limits: &Arc<Limits>) -> bool {
    HELD.try_with(|held| held.borrow().contains(&address(limits)))
        .unwrap_or(false)
}

/// This thread begins to poll the tool of a call with a place. In a thread whose locals have been destroyed, nothing is noted.
pub(super) fn enter(limits: &Arc<Limits>) {
    let _ = HELD.try_with(|held| held.borrow_mut().push(address(limits)));
}

/// The poll is over.
pub(super) fn leave(limits: &Arc<Limits>) {
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if let Some(last) = held.iter().rposition(|other| *other == address(limits)) {
            held.remove(last);
        }
    });
}

fn address(limits: &Arc<Limits>) -> usize {
    Arc::as_ptr(limits).addr()
}
