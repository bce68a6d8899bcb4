//! What the crate `sandbox-fleet` needs of the engine. It changes without notice.
//!
//! Nothing here is on the way of a call: whoever uses it learns that something has changed, and then looks.

use std::future::Future;
use std::time::Duration;

use crate::breaker::CircuitBreaker;
use crate::registry::{ToolHandle, changes, tools_in_order};

/// Every tool of the program, or of the isolated scope around the caller, without beginning to record.
#[must_use]
pub fn tools() -> Vec<ToolHandle> {
    tools_in_order()
}

/// Tells whether a text names this tool: its name, its path, or a module that it is in.
#[must_use]
pub fn is_meant(tool: ToolHandle, name: &str) -> bool {
    tool.is_named(name) || tool.is_within(name)
}

/// Resolves when a breaker changes its state, or an operator does something, after this has been called.
pub fn changed() -> impl Future<Output = ()> + Send {
    changes::next_change()
}

/// Opens a breaker for so long, at most for one cooldown, or sets for how much longer it is open. One that is forced open stays so.
pub fn open_for(breaker: &CircuitBreaker, lasts: Duration) {
    breaker.open_for(lasts);
}

/// Closes a breaker, unless it is forced open.
pub fn close(breaker: &CircuitBreaker) {
    breaker.close();
}

/// The cooldown of a breaker before any probe has failed.
#[must_use]
pub fn cooldown(breaker: &CircuitBreaker) -> Duration {
    breaker.first_cooldown()
}

/// Tells whether somebody wants a breaker to be tried: since this was last asked, it has refused an attempt, or somebody has asked
/// before whether it would.
#[must_use]
pub fn is_wanted(breaker: &CircuitBreaker) -> bool {
    breaker.is_wanted()
}

/// How long an attempt of a tool takes at most.
#[must_use]
pub fn time_limit(tool: ToolHandle) -> Duration {
    tool.policy().timeout
}
