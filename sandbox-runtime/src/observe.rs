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
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::breaker::Transition;
use crate::call::current::CallId;
use crate::failure::{Failure, FailureKind};
use crate::gate;
use crate::registry::{ToolHandle, tool_of_breaker};
use crate::site::SiteRef;
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
    /// Tells whether it wants to know of calls of this tool. Default: of all. Asked when a function under `#[sandboxed]` is first
    /// called, and once more when another observer is attached or detached; in [`observe_in`] and of tools made by hand, at each call.
    fn wants(&self, tool: &ObservedTool) -> bool {
        let _ = tool;
        true
    }

    /// Takes note of an event.
    fn on_event(&self, event: &Event<'_>);

    /// What encloses every poll of a call, and takes note of its events beside the observer. Of several observers that have such a
    /// thing, only the first is told of a call.
    #[doc(hidden)]
    fn encloser(&self) -> Option<&dyn Enclose> {
        None
    }
}

/// Puts something around calls.
#[doc(hidden)]
pub trait Enclose {
    /// What encloses every poll of a call, which may be what a client has asked for.
    fn enclose(&self, tool: &ObservedTool, call_id: CallId, request: Option<&ServedRequest>) -> Box<dyn Enclosure>;

    /// Tells whether it would be of use now.
    fn is_awake(&self) -> bool;
}

/// The request of an MCP client that a call answers.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct ServedRequest {
    /// The tool, by the name that the client knows.
    pub tool: String,
    /// The id of the request.
    pub id: String,
    /// The session, over HTTP.
    pub session: Option<String>,
    /// The version of the protocol.
    pub protocol: Option<String>,
    /// `tcp` or `pipe`.
    pub transport: &'static str,
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
    /// One poll of a call took longer than 100 ms, mostly because its tool blocks the thread: other tasks did not run meanwhile, and
    /// no time limit was looked at. What blocks belongs into `spawn_blocking`. Of calls within calls, each is told of.
    #[non_exhaustive]
    ThreadBlocked {
        /// How long it took.
        elapsed: Duration,
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

impl AttemptOutcome {
    /// The outcome in lower case, with underscores: for data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Succeeded => "succeeded",
            AttemptOutcome::Failed => "failed",
            AttemptOutcome::Ignored => "ignored",
            AttemptOutcome::TimedOut => "timed_out",
            AttemptOutcome::Panicked => "panicked",
            AttemptOutcome::Left => "left",
        }
    }
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

/// The same for one attempt.
#[cfg(any(feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
const fn error_of_attempt(outcome: AttemptOutcome) -> Option<&'static str> {
    match outcome {
        AttemptOutcome::Succeeded => None,
        AttemptOutcome::Failed | AttemptOutcome::Ignored => Some("tool_error"),
        AttemptOutcome::TimedOut => Some("timeout"),
        AttemptOutcome::Panicked => Some("panic"),
        AttemptOutcome::Left => Some("cancelled"),
    }
}

static OBSERVERS: RwLock<Vec<Arc<dyn Observer>>> = RwLock::new(Vec::new());

/// Changes whenever the observers do: the bits that [`Interest`] leaves.
static GENERATION: AtomicU32 = AtomicU32::new(Interest::GENERATION);

/// What the observers of the process want to know of one function, as of one generation of them.
#[derive(Debug)]
pub(crate) struct Interest(AtomicU32);

impl Interest {
    /// Of one that encloses calls, which may sleep.
    const OF_ENCLOSER: u32 = 1;
    const OF_ANOTHER: u32 = 2;
    const GENERATION: u32 = 4;

    pub(crate) const fn unknown() -> Self {
        Interest(AtomicU32::new(0))
    }
}

/// Tells whether an observer of the process wants to know of a call, if that has been asked of this generation of observers.
#[inline]
pub(crate) fn known_interest(site: Option<SiteRef>) -> Option<bool> {
    let Some(site) = site else {
        // Of a tool made by hand, nobody remembers.
        return Some(true);
    };
    // Relaxed: whoever attaches an observer and hands a call to this thread orders the two.
    let interest = site.0.interest.0.load(Ordering::Relaxed);
    let is_current = interest & !(Interest::GENERATION - 1) == GENERATION.load(Ordering::Relaxed);
    is_current.then(|| is_interest(interest))
}

/// Asks the observers of the process, and remembers their answer.
pub(crate) fn ask_for_interest(site: Option<SiteRef>) -> bool {
    let Some(site) = site else {
        return true;
    };
    // Before the observers: if one is attached meanwhile, the answer is outdated, and it is known to be.
    let generation = GENERATION.load(Ordering::Relaxed);
    let interest = generation | ask(site);
    site.0.interest.0.store(interest, Ordering::Relaxed);
    is_interest(interest)
}

#[inline]
fn is_interest(interest: u32) -> bool {
    interest & Interest::OF_ANOTHER != 0 || interest & Interest::OF_ENCLOSER != 0 && is_encloser_awake()
}

#[cfg(feature = "tracing")]
use self::tracing::is_awake as is_encloser_awake;

/// Only spans enclose calls.
#[cfg(not(feature = "tracing"))]
fn is_encloser_awake() -> bool {
    false
}

#[cold]
fn ask(site: SiteRef) -> u32 {
    let tool = ObservedTool::new(site.0.info.name, Some(site.into()));
    let interested = of_process().into_iter().filter(|observer| wants(observer, &tool));
    let kinds = interested.map(|observer| match observer.encloser() {
        Some(_) => Interest::OF_ENCLOSER,
        None => Interest::OF_ANOTHER,
    });
    kinds.fold(0, |interest, kind| interest | kind)
}

fn of_process() -> Vec<Arc<dyn Observer>> {
    OBSERVERS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn wants(observer: &Arc<dyn Observer>, tool: &ObservedTool) -> bool {
    within_observer(|| observer.wants(tool)).unwrap_or_default()
}

thread_local! {
    /// Whether this thread is within an observer.
    static NOTIFYING: Cell<bool> = const { Cell::new(false) };
}

/// Attaches an observer to all calls of the process that begin from now on, until the guard is dropped.
pub fn observe(observer: impl Observer) -> Observing {
    let observer: Arc<dyn Observer> = Arc::new(observer);
    let mut observers = OBSERVERS.write().unwrap_or_else(PoisonError::into_inner);
    observers.push(Arc::clone(&observer));
    GENERATION.fetch_add(Interest::GENERATION, Ordering::Relaxed);
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
        GENERATION.fetch_add(Interest::GENERATION, Ordering::Relaxed);
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

/// The observers around a call and of the process that want to know of it. None within an observer.
pub(crate) fn observers_of(
    tool: &ObservedTool,
    around: impl Iterator<Item = Arc<dyn Observer>>,
) -> Vec<Arc<dyn Observer>> {
    if NOTIFYING.get() {
        return Vec::new();
    }
    let mut is_enclosed = false;
    let mut is_told = |observer: &Arc<dyn Observer>| match observer.encloser() {
        Some(encloser) => encloser.is_awake() && !std::mem::replace(&mut is_enclosed, true),
        None => true,
    };
    let interested = around.chain(of_process()).filter(|observer| wants(observer, tool));
    interested.filter(|observer| is_told(observer)).collect()
}

/// Notifies observers, one after the other.
pub(crate) fn notify(observers: &[Arc<dyn Observer>], event: &Event<'_>) {
    for observer in observers {
        let _ = within_observer(|| observer.on_event(event));
    }
}

/// Notifies what encloses a call.
pub(crate) fn notify_enclosure(enclosure: &dyn Enclosure, tell: impl FnOnce(&dyn Enclosure)) {
    let _ = within_observer(|| tell(enclosure));
}

/// What one of the observers has around a call.
pub(crate) fn enclosure_of(
    observers: &[Arc<dyn Observer>],
    tool: &ObservedTool,
    call_id: CallId,
    request: impl FnOnce() -> Option<ServedRequest>,
) -> Option<Box<dyn Enclosure>> {
    let encloser = observers.iter().find_map(|observer| observer.encloser())?;
    within_observer(|| encloser.enclose(tool, call_id, request().as_ref()))
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
    if let Some(handle) = handle {
        handle.record().breaker_changed(transition);
    }
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
