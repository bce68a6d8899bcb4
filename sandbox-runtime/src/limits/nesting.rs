//! [`Nesting`]: the limits among whose places this thread is polling the tools of calls, so that a call within one shares its place.
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
    let address = Arc::as_ptr(limits).addr();
    HELD.try_with(|held| held.borrow().contains(&address)).unwrap_or(false)
}

/// A call with a place, while it is polled.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// The address of the limits, while a poll is under way.
    entered: Option<usize>,
}

impl Nesting {
    /// A poll begins. In a thread whose locals have been destroyed, nothing is entered.
    pub(super) fn enter(&mut self, limits: &Arc<Limits>) {
        let address = Arc::as_ptr(limits).addr();
        if self.entered.is_none() && HELD.try_with(|held| held.borrow_mut().push(address)).is_ok() {
            self.entered = Some(address);
        }
    }

    /// The poll is over.
    pub(super) fn leave(&mut self) {
        if let Some(address) = self.entered.take() {
            let remove = |held: &RefCell<Vec<usize>>| {
                let mut held = held.borrow_mut();
                if let Some(last) = held.iter().rposition(|other| *other == address) {
                    held.remove(last);
                }
            };
            let _ = HELD.try_with(remove);
        }
    }
}

/// The poll may have ended in a panic.
impl Drop for Nesting {
    fn drop(&mut self) {
        self.leave();
    }
}
