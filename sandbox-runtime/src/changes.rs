//! How others learn that a tool is not as it was.

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

static CHANGES: Notify = Notify::const_new();

/// A breaker has changed its state, or an operator has done something to a tool.
pub(crate) fn changed() {
    CHANGES.notify_waiters();
}

/// Resolves at the next change, also at one before it is first polled.
pub(crate) fn next_change() -> Notified<'static> {
    CHANGES.notified()
}
