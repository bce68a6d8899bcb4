//! [`Observer`]: learns what happens to calls and breakers.

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod instruments;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
#[cfg(feature = "tracing")]
pub mod tracing;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::breaker::Transition;
use crate::call::current::CallId;
use crate::failure::{Failure, FailureKind};
use crate::gate;
use crate::registry::{ToolHandle, tool_of_breaker};
use crate::surroundings::{self, Attachment};

pub use crate::breaker::{BreakerCause, BreakerPhase};
pub use crate::failure::{DelaySource, Stop};

/// Learns what happens to calls and breakers: for logs, metrics and alarms.
///
/// ```
/// use sandbox_runtime::observe::{Event, Happened, Observer, observe};
///
/// struct Log;
///
/// impl Observer for Log {
///     fn on_event(&self, event: &Event<'_>) {
///         if let Happened::CallEnded { stop, attempts, .. } = event.happened {
///             println!("{} ended after {attempts} attempts: {}", event.tool.name, stop.as_str());
///         }
///     }
/// }
///
/// let observing = observe(Log);
/// // .. the program runs, and at the end:
/// drop(observing);
/// ```
///
/// [`observe`] is for the whole process, [`observe_in`] for the calls in a future.
///
/// An observer is called on the thread that polls the call, outside of all locks of the engine, and also while a future is dropped:
/// it must not block. A panic in it is caught and changes nothing. It may call sandboxed tools; it is not told of these.
///
/// No argument and no result of a tool is in any event. The texts of errors are in the [`Failure`], redacted by
/// [`text::redact`](crate::text::redact).
pub trait Observer: Send + Sync + 'static {
    /// Tells whether it wants to know of calls of this tool. Asked at each call.
    fn wants(&self, tool: &ObservedTool) -> bool {
        let _ = tool;
        true
    }

    /// Takes note of an event.
    fn on_event(&self, event: &Event<'_>);

    /// What encloses every poll of a call, and takes note of its events beside the observer.
    #[doc(hidden)]
    fn enclose(&self, tool: &ObservedTool, call_id: CallId) -> Option<Box<dyn Enclosure>> {
        let _ = (tool, call_id);
        None
    }
}

/// Something around the polls of a call, such as a span.
#[doc(hidden)]
pub trait Enclosure: fmt::Debug + Send + Sync {
    /// The call is about to be polled.
    fn poll_began(&self);
    /// The poll is over, or the call has ended in it.
    fn poll_ended(&self);
    /// Takes note of an event of the call.
    fn on_event(&self, event: &Event<'_>);
}

/// The tool of an event.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ObservedTool {
    /// The name that failures have for it.
    pub name: &'static str,
    /// The annotated function; `None` for a tool made by hand.
    pub handle: Option<ToolHandle>,
}

impl ObservedTool {
    pub(crate) const fn new(name: &'static str, handle: Option<ToolHandle>) -> Self {
        ObservedTool { name, handle }
    }
}

/// What happened, and to what.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The tool. Of a breaker that is not the own one of an annotated function, only that it is `"breaker"` is known.
    pub tool: ObservedTool,
    /// The call; `None` if it happened to a breaker.
    pub call_id: Option<CallId>,
    /// What happened.
    pub happened: Happened<'a>,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Happened<'a> {
    /// A call has begun.
    CallStarted,
    /// An attempt has been admitted, and the tool is about to run.
    #[non_exhaustive]
    AttemptStarted {
        /// Which one, counted from 1.
        attempt: u32,
    },
    /// The attempt has ended.
    #[non_exhaustive]
    AttemptEnded {
        /// Which one, counted from 1.
        attempt: u32,
        /// How.
        outcome: AttemptOutcome,
        /// How long it took.
        elapsed: Duration,
    },
    /// Another attempt follows, after a delay that begins now.
    #[non_exhaustive]
    RetryScheduled {
        /// The attempt that has ended, counted from 1.
        attempt: u32,
        /// How long the delay is.
        delay: Duration,
        /// Who chose it.
        from: DelaySource,
    },
    /// The call has ended, also by a drop.
    #[non_exhaustive]
    CallEnded {
        /// Why there is not another attempt.
        stop: Stop,
        /// How many were begun.
        attempts: u32,
        /// How long the call took.
        elapsed: Duration,
        /// What the engine returned for the tool, if it did.
        failure: Option<&'a Failure>,
    },
    /// A breaker has changed its state.
    #[non_exhaustive]
    BreakerChanged {
        /// The state before.
        from: BreakerPhase,
        /// The state now.
        to: BreakerPhase,
        /// What made it change.
        cause: BreakerCause,
        /// The failures counted when it left the state before.
        failures: u32,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The tool has worked.
    Succeeded,
    /// The tool returned an error.
    Failed,
    /// The tool returned an error that is the caller's fault.
    Ignored,
    /// It reached its limit.
    TimedOut,
    /// The tool panicked.
    Panicked,
    /// The call was cancelled or dropped while it ran.
    Left,
}

/// `error.type` of OpenTelemetry for a call that ended like this: `timeout`, `deadline_exceeded`, `circuit_breaker_open`,
/// `cancelled`, `panic` or `tool_error`; `None` if it succeeded. Never the text of an error.
#[must_use]
pub const fn error_type(stop: Stop, failure: Option<&Failure>) -> Option<&'static str> {
    if let Some(failure) = failure {
        return Some(match failure.kind {
            FailureKind::Timeout => "timeout",
            FailureKind::CircuitBreakerOpen { .. } => "circuit_breaker_open",
            FailureKind::DeadlineExceeded => "deadline_exceeded",
            FailureKind::Panicked => "panic",
            FailureKind::Cancelled => "cancelled",
        });
    }
    match stop {
        Stop::Succeeded => None,
        Stop::Cancelled | Stop::Dropped => Some("cancelled"),
        _ => Some("tool_error"),
    }
}

static OBSERVERS: RwLock<Vec<Arc<dyn Observer>>> = RwLock::new(Vec::new());

thread_local! {
    /// Whether this thread is within an observer.
    static NOTIFYING: Cell<bool> = const { Cell::new(false) };
}

/// Attaches an observer to all calls of the process that begin from now on, until the guard is dropped.
pub fn observe(observer: impl Observer) -> Observing {
    let observer: Arc<dyn Observer> = Arc::new(observer);
    let mut observers = OBSERVERS.write().unwrap_or_else(PoisonError::into_inner);
    observers.push(Arc::clone(&observer));
    gate::open(gate::OBSERVERS);
    Observing(observer)
}

/// Attaches an observer to the calls in `future`, beside those for the whole process. Calls in spawned tasks are outside, unless
/// [`Budget::inherit`](crate::Budget::inherit) takes them along.
pub async fn observe_in<F: Future>(observer: impl Observer, future: F) -> F::Output {
    surroundings::attach(Arc::new(AroundCalls(Arc::new(observer))), future).await
}

/// Detaches its observer when it is dropped. Calls that are under way keep it until they end.
#[must_use = "the observer is detached when this is dropped"]
pub struct Observing(Arc<dyn Observer>);

impl Observing {
    /// Leaves the observer attached for the rest of the program.
    pub fn forever(self) {
        std::mem::forget(self);
    }
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observing").finish_non_exhaustive()
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        let mut observers = OBSERVERS.write().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|other| !Arc::ptr_eq(other, &self.0));
        if observers.is_empty() {
            // Under the lock, as it is opened: the gate is open while there is an observer.
            gate::close(gate::OBSERVERS);
        }
    }
}

/// An observer of the calls in a future.
struct AroundCalls(Arc<dyn Observer>);

impl fmt::Debug for AroundCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AroundCalls").finish_non_exhaustive()
    }
}

impl Attachment for AroundCalls {
    fn observer(&self) -> Option<&Arc<dyn Observer>> {
        Some(&self.0)
    }
}

/// The observers of the process that want to know of a tool. None within an observer.
pub(crate) fn observers_of(
    tool: &ObservedTool,
    around: impl Iterator<Item = Arc<dyn Observer>>,
) -> Vec<Arc<dyn Observer>> {
    if NOTIFYING.get() {
        return Vec::new();
    }
    let of_process = OBSERVERS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let wants = |observer: &Arc<dyn Observer>| {
        let asked = within_observer(|| observer.wants(tool));
        asked.unwrap_or_default()
    };
    around.chain(of_process).filter(wants).collect()
}

/// Notifies observers, one after the other.
pub(crate) fn notify(observers: &[Arc<dyn Observer>], event: &Event<'_>) {
    for observer in observers {
        let _ = within_observer(|| observer.on_event(event));
    }
}

/// [`within_observer`] for what encloses a call.
pub(crate) fn notify_enclosures(enclosures: &[Box<dyn Enclosure>], tell: impl Fn(&dyn Enclosure)) {
    for enclosure in enclosures {
        let _ = within_observer(|| tell(&**enclosure));
    }
}

/// What the observers have around a call.
pub(crate) fn enclosures_of(
    observers: &[Arc<dyn Observer>],
    tool: &ObservedTool,
    call_id: CallId,
) -> Vec<Box<dyn Enclosure>> {
    let made = observers
        .iter()
        .map(|observer| within_observer(|| observer.enclose(tool, call_id)));
    made.flatten().flatten().collect()
}

/// Runs code of an observer: it learns nothing of what it does itself, and a panic in it is its own.
fn within_observer<T>(code: impl FnOnce() -> T) -> Option<T> {
    let was_notifying = NOTIFYING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(code));
    NOTIFYING.set(was_notifying);
    // The destructor of a payload may panic as well.
    result.map_err(std::mem::forget).ok()
}

/// Reports a breaker's change of state.
#[cold]
pub(crate) fn breaker_changed(address: usize, transition: Transition) {
    let handle = tool_of_breaker(address);
    let tool = ObservedTool::new(handle.map_or("breaker", |handle| handle.name()), handle);
    let around = surroundings::observers_around();
    let observers = observers_of(&tool, around.into_iter());
    notify(
        &observers,
        &Event {
            tool,
            call_id: None,
            happened: Happened::BreakerChanged {
                from: transition.from.into(),
                to: transition.to.into(),
                cause: transition.cause,
                failures: transition.failures,
            },
        },
    );
}
