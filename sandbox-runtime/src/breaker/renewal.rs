//! How a breaker is as new: another of the same settings, or itself once more.

use super::CircuitBreaker;
use crate::clock;

impl CircuitBreaker {
    /// Another breaker with the same settings, to which nothing has happened.
    pub(crate) const fn another(&self) -> Self {
        Self::built(self.machine.settings())
    }

    /// Tells whether the other one has the same settings.
    pub(crate) fn is_set_like(&self, other: &CircuitBreaker) -> bool {
        self.machine.settings() == other.machine.settings()
    }

    /// Forgets all that has happened to it, and tells nobody. Of its calls, none may be under way; what is left of their
    /// admissions is stale.
    pub(crate) fn forget(&self) {
        if let Some(limits) = self.limits.get() {
            limits.forget();
        }
        let _ = self.machine.reset(clock::now);
    }
}
