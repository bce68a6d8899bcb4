//! [`CallObservers`]: reports what happens to one call to those who observe it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Attachment, CallEnd, Retry, Scope};
use crate::call::current::CallId;
use crate::failure::AttemptEnd;
use crate::gate;
use crate::observe::{
    AttemptOutcome, Enclosure, Event, Happened, ObservedTool, Observer, ServedRequest, enclosure_of, notify,
    notify_enclosure, observers_of,
};
use crate::verdict::Verdict;

/// The observers of a call.
pub(crate) struct CallObservers {
    tool: ObservedTool,
    pub(super) call_id: CallId,
    observers: Vec<Arc<dyn Observer>>,
    enclosure: Option<Box<dyn Enclosure>>,
    began: Instant,
    times: Mutex<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    attempt_began: Instant,
    /// Set while a poll is under way.
    poll_began: Option<Instant>,
}

/// How long a poll may take before it is said to block its thread: a thousand times what is usual between two awaits, 10 to 100 µs
/// by the rule of thumb in ["Async: What is blocking?"](https://ryhl.io/blog/async-what-is-blocking/).
const BLOCKED: Duration = Duration::from_millis(100);

impl CallObservers {
    /// Those around a call of this tool and those of the process, if one of them wants to know.
    pub(super) fn of(scope: Option<&Scope>, tool: ObservedTool) -> Option<CallObservers> {
        let around = || {
            scope
                .iter()
                .flat_map(|scope| scope.attachments())
                .filter_map(Attachment::observer)
        };
        if !gate::is_open_for(gate::OBSERVERS) && around().next().is_none() {
            return None;
        }
        let observers = observers_of(&tool, around().cloned());
        if observers.is_empty() {
            return None;
        }
        let request = || {
            let is_served = tool.handle.is_some_and(|handle| handle.is_served());
            let mut attachments = scope.iter().flat_map(|scope| scope.attachments());
            attachments.find_map(|attachment| attachment.claim_request(tool.name, is_served))
        };
        let call = CallObservers::new(tool, observers, request);
        call.notify(Happened::CallStarted);
        Some(call)
    }

    fn new(
        tool: ObservedTool,
        observers: Vec<Arc<dyn Observer>>,
        request: impl FnOnce() -> Option<ServedRequest>,
    ) -> Self {
        let now = Instant::now();
        let call_id = CallId::new();
        CallObservers {
            tool,
            call_id,
            enclosure: enclosure_of(&observers, &tool, call_id, request),
            observers,
            began: now,
            times: Mutex::new(Times {
                attempt_began: now,
                poll_began: None,
            }),
        }
    }

    fn notify(&self, happened: Happened<'_>) {
        let event = Event {
            tool: self.tool,
            call_id: Some(self.call_id),
            happened,
        };
        self.tell_enclosure(|enclosure| enclosure.on_event(&event));
        notify(&self.observers, &event);
    }

    fn tell_enclosure(&self, tell: impl FnOnce(&dyn Enclosure)) {
        if let Some(enclosure) = &self.enclosure {
            notify_enclosure(&**enclosure, tell);
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        // Nothing panics while it is locked.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells, at the end of the poll under way, if it has blocked its thread.
    fn notice_blocking(&self) {
        let began = self.times().poll_began;
        if let Some(elapsed) = began.map(since).filter(|elapsed| *elapsed > BLOCKED) {
            self.notify(Happened::ThreadBlocked { elapsed });
        }
    }

    /// Leaves what encloses the poll, if one is under way.
    fn leave_poll(&self) {
        let was_polled = self.times().poll_began.take();
        if was_polled.is_some() {
            self.tell_enclosure(|enclosure| enclosure.poll_ended());
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
        self.times().poll_began = Some(Instant::now());
        self.tell_enclosure(|enclosure| enclosure.poll_began());
    }

    fn poll_ended(&self) {
        self.notice_blocking();
        self.leave_poll();
    }

    fn attempt_began(&self, attempt: u32) {
        self.times().attempt_began = Instant::now();
        self.notify(Happened::AttemptStarted { attempt });
    }

    fn attempt_ended(&self, attempt: u32, end: Option<AttemptEnd>) {
        let began = self.times().attempt_began;
        self.notify(Happened::AttemptEnded {
            attempt,
            outcome: outcome_of(end),
            elapsed: since(began),
        });
    }

    fn queued(&self) {
        self.notify(Happened::CallQueued);
    }

    fn unqueued(&self, waited: Duration) {
        self.notify(Happened::CallUnqueued { waited });
    }

    fn retry_scheduled(&self, retry: &Retry<'_>) {
        self.notify(Happened::RetryScheduled {
            attempt: retry.attempt,
            delay: retry.delay,
            from: retry.from,
        });
    }

    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        self.notice_blocking();
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
