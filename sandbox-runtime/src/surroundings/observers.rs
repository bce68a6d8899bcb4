//! [`CallObservers`]: reports what happens to one call to those who observe it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Attachment, CallEnd, Retry, Scope};
use crate::call::current::CallId;
use crate::failure::AttemptEnd;
use crate::gate;
use crate::observe::{
    AttemptOutcome, Enclosure, Event, Happened, ObservedTool, Observer, enclosures_of, notify, notify_enclosures,
    observers_of,
};
use crate::verdict::Verdict;

/// The observers of a call.
pub(crate) struct CallObservers {
    tool: ObservedTool,
    pub(super) call_id: CallId,
    observers: Vec<Arc<dyn Observer>>,
    enclosures: Vec<Box<dyn Enclosure>>,
    /// Whether a poll is under way.
    is_polled: AtomicBool,
    began: Instant,
    attempt_began: Mutex<Instant>,
}

impl CallObservers {
    /// Those around a call of this tool and those of the process, if one of them wants to know.
    pub(super) fn of(scope: Option<&Scope>, tool: impl FnOnce() -> ObservedTool) -> Option<CallObservers> {
        let around = || {
            scope
                .iter()
                .flat_map(|scope| scope.attachments())
                .filter_map(Attachment::observer)
        };
        if !gate::is_open_for(gate::OBSERVERS) && around().next().is_none() {
            return None;
        }
        let tool = tool();
        let observers = observers_of(&tool, around().cloned());
        if observers.is_empty() {
            return None;
        }
        let call = CallObservers::new(tool, observers);
        call.notify(Happened::CallStarted);
        Some(call)
    }

    fn new(tool: ObservedTool, observers: Vec<Arc<dyn Observer>>) -> Self {
        let now = Instant::now();
        let call_id = CallId::new();
        CallObservers {
            tool,
            call_id,
            enclosures: enclosures_of(&observers, &tool, call_id),
            is_polled: AtomicBool::new(false),
            observers,
            began: now,
            attempt_began: Mutex::new(now),
        }
    }

    fn notify(&self, happened: Happened<'_>) {
        let event = Event {
            tool: self.tool,
            call_id: Some(self.call_id),
            happened,
        };
        notify_enclosures(&self.enclosures, |enclosure| enclosure.on_event(&event));
        notify(&self.observers, &event);
    }

    /// Leaves what encloses the poll, if one is under way: the innermost first.
    fn leave_poll(&self) {
        // Relaxed: a call is polled by one thread at a time, and handed over by what orders more than this.
        if !self.enclosures.is_empty() && self.is_polled.swap(false, Ordering::Relaxed) {
            notify_enclosures(&self.enclosures, |enclosure| enclosure.poll_ended());
        }
    }
}

impl fmt::Debug for CallObservers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallObservers")
            .field("tool", &self.tool)
            .field("observers", &self.observers.len())
            .finish_non_exhaustive()
    }
}

impl Attachment for CallObservers {
    fn poll_began(&self) {
        if !self.enclosures.is_empty() {
            self.is_polled.store(true, Ordering::Relaxed);
            notify_enclosures(&self.enclosures, |enclosure| enclosure.poll_began());
        }
    }

    fn poll_ended(&self) {
        self.leave_poll();
    }

    fn attempt_began(&self, attempt: u32) {
        *self.attempt_began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.notify(Happened::AttemptStarted { attempt });
    }

    fn attempt_ended(&self, attempt: u32, end: Option<AttemptEnd>) {
        let began = *self.attempt_began.lock().unwrap_or_else(PoisonError::into_inner);
        self.notify(Happened::AttemptEnded {
            attempt,
            outcome: outcome_of(end),
            elapsed: since(began),
        });
    }

    fn retry_scheduled(&self, retry: &Retry<'_>) {
        self.notify(Happened::RetryScheduled {
            attempt: retry.attempt,
            delay: retry.delay,
            from: retry.from,
        });
    }

    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        self.notify(Happened::CallEnded {
            stop: end.stop,
            attempts: end.attempts,
            elapsed: since(self.began),
            failure: end.failure,
        });
        self.leave_poll();
        is_reported
    }
}

fn since(began: Instant) -> Duration {
    Instant::now().saturating_duration_since(began)
}

fn outcome_of(end: Option<AttemptEnd>) -> AttemptOutcome {
    match end {
        None => AttemptOutcome::Left,
        Some(AttemptEnd::Returned(Verdict::Success)) => AttemptOutcome::Succeeded,
        Some(AttemptEnd::Returned(Verdict::Ignore)) => AttemptOutcome::Ignored,
        Some(AttemptEnd::Returned(_)) => AttemptOutcome::Failed,
        Some(AttemptEnd::TimedOut) => AttemptOutcome::TimedOut,
        Some(AttemptEnd::Panicked) => AttemptOutcome::Panicked,
    }
}
