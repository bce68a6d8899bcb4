//! [`Observer`]: remembers the failures of the calls in a request or a task.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Observation;
use super::name::Names;
use crate::failure::Failure;
use crate::surroundings::report::Observed;
use crate::surroundings::{self, CallEnd};

#[derive(Debug, Default)]
pub(super) struct Observer {
    calls: Mutex<Observed>,
    /// The last failure that a function could not return to its caller. If a tool calls another and both fail, the outer one
    /// fails last: it is the one that the client called.
    unreported: Mutex<Option<Failure>>,
}

impl Observer {
    /// Remembers how a call ended, and tells that it is reported.
    pub(super) fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        locked(&self.calls).record(end, is_reported);
        true
    }

    pub(super) fn keep_unreturnable(&self, failure: Failure) {
        *locked(&self.unreported) = Some(failure);
    }

    /// What was observed until now, with the failure of the tool that the client has called.
    pub(super) fn observation(&self, names: Option<&Names<'_>>) -> Observation {
        let calls = std::mem::take(&mut *locked(&self.calls));
        let own = calls.end.and_then(|call| Some((call.failure?, call.site)));
        let is_called = |names: &Names<'_>, (failure, site): &(Failure, _)| names.is_called(failure.tool, *site);
        let own = own.filter(|own| names.is_some_and(|names| is_called(names, own)));
        Observation {
            own: own.map(|(failure, _)| failure),
            failures: calls.failures,
            unreported: locked(&self.unreported).take(),
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while a lock is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a failure to the server, for a function that returns `()`.
///
/// # Panics
///
/// Panics outside a request to a [`Sandboxed`](super::Sandboxed) server and outside a [`task`](super::task): the failure would be
/// lost there.
pub(super) fn defer_to_server(failure: Failure) {
    if let Err(failure) = surroundings::keep_unreturnable(failure) {
        panic!(
            "{failure}; a function that returns `()` can report it only when a client calls it as a tool, and the server is \
             in `sandbox_runtime::mcp::Sandboxed`; return a `Result`"
        );
    }
}
