//! [`Permit`]: an attempt that is admitted by hand.

use std::fmt;

use super::{Admission, CircuitBreaker, Fault};

/// The right to make one attempt, returned by [`CircuitBreaker::admit`].
///
/// Takes the attempt's result once. A permit that is dropped counts for nothing and frees its probe slot at once: the
/// caller went away, or the attempt has not shown whether the dependency works.
#[must_use = "a permit that is dropped counts for nothing"]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    pending: Option<Admission>,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(breaker: &'a CircuitBreaker, admission: Admission) -> Permit<'a> {
        Permit {
            breaker,
            pending: Some(admission),
        }
    }

    /// Records that the attempt succeeded.
    #[inline]
    pub fn success(mut self) {
        if let Some(admission) = self.pending.take() {
            self.breaker.succeed(admission);
        }
    }

    /// Records that the attempt failed.
    pub fn failure(mut self) {
        if let Some(admission) = self.pending.take() {
            self.breaker.fail(admission, Fault::Error);
        }
    }

    /// Returns whether the attempt is a probe: the breaker was half-open, and the attempt decides whether it closes.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pending.is_some_and(Admission::is_probe)
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(admission) = self.pending.take() {
            self.breaker.release(admission);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}
