//! [`Observer`]: learns what happens to calls and breakers.

mod attached;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod instruments;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
#[cfg(feature = "tracing")]
pub mod tracing;

use std::fmt;
use std::time::Duration;

use crate::breaker::{CircuitBreaker, Fault, Transition};
use crate::call::current::CallId;
use crate::failure::{Failure, FailureKind};
use crate::overrides::OverridesError;
use crate::registry::{ToolHandle, tool_of_breaker};
use crate::surroundings;

pub use crate::breaker::{BreakerCause, BreakerPhase};
pub use crate::failure::{DelaySource, Stop};
pub(crate) use attached::{
    Interest, enclosure_of, interests, is_notifying, is_of_no_interest, notify, notify_enclosure, observers_of,
};
pub use attached::{Observing, observe, observe_in};

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
/// it must not block, for the time that it takes is the call's, of which deadlines end. A panic in it is caught and changes nothing.
/// It may call sandboxed tools: it is not told of these, and they belong to nothing that surrounds the call, no run and no request.
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
    /// The tool. Of a breaker that is not the own one of an annotated function, only a name is known: that of the map, if
    /// a `KeyedBreakers` has made it, or else `"breaker"`.
    pub tool: ObservedTool,
    /// The call; `None` if it happened to a breaker or to the tool.
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
    /// The next attempt, maybe the first, is held back: by as many calls as may be made at a time, by the rate, or because the
    /// dependency has asked to wait.
    CallQueued,
    /// It is held back no longer: it begins, or the call ends.
    #[non_exhaustive]
    CallUnqueued {
        /// How long it was held back.
        waited: Duration,
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
    /// An operator has done something to the tool.
    #[non_exhaustive]
    OperatorActed {
        /// What was done.
        action: Action,
        /// Why, if that was said.
        reason: Option<&'a str>,
    },
    /// [`Overrides`](crate::Overrides) were not applied: what was in force still is. The event's tool is `"overrides"`.
    #[non_exhaustive]
    OverridesRefused {
        /// Everything that is wrong with them.
        error: &'a OverridesError,
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
        /// The kind of the failure that made it change, if one did: `timeout`, `panic`, `tool_error`, or `slow_call` for a success
        /// that took [too long](crate::CircuitBreaker::slow_call).
        error_type: Option<&'static str>,
    },
}

/// What an operator has done to a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Switched it off.
    Disabled,
    /// Switched it on.
    Enabled,
    /// Opened its breaker.
    ForcedOpen,
    /// Closed its breaker.
    Reset,
    /// Let its breaker refuse nothing.
    Shadowed,
    /// Let its breaker refuse again.
    Unshadowed,
    /// Gave it other settings, by [`Overrides`](crate::Overrides).
    Overridden,
    /// Gave it the settings of its attribute again.
    Restored,
}

impl Action {
    /// The action in lower case: for data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Disabled => "disabled",
            Action::Enabled => "enabled",
            Action::ForcedOpen => "forced_open",
            Action::Reset => "reset",
            Action::Shadowed => "shadowed",
            Action::Unshadowed => "unshadowed",
            Action::Overridden => "overridden",
            Action::Restored => "restored",
        }
    }
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

/// `error.type` of OpenTelemetry for a call that ended like this: `timeout`, `deadline_exceeded`, `circuit_breaker_open`, `disabled`,
/// `overloaded`, `rate_limited`, `_OTHER` (a run has made all of its calls), `cancelled`, `panic` or `tool_error`; `None` if it succeeded. Never the text of an error.
#[must_use]
pub const fn error_type(stop: Stop, failure: Option<&Failure>) -> Option<&'static str> {
    if let Some(failure) = failure {
        return Some(match failure.kind {
            FailureKind::Timeout => "timeout",
            FailureKind::CircuitBreakerOpen { .. } => "circuit_breaker_open",
            FailureKind::Disabled => "disabled",
            FailureKind::Overloaded { .. } => "overloaded",
            FailureKind::RateLimited { .. } => "rate_limited",
            // The conventions have no word for it.
            FailureKind::CallBudgetSpent => "_OTHER",
            FailureKind::DeadlineExceeded => "deadline_exceeded",
            FailureKind::Panicked => "panic",
            FailureKind::Cancelled => "cancelled",
            // As the error that it stands for.
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => "tool_error",
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

/// Reports what an operator has done.
#[cold]
pub(crate) fn operator_acted(handle: ToolHandle, action: Action, reason: Option<&str>) {
    #[cfg(any(feature = "rmcp", feature = "fleet"))]
    crate::changes::changed();
    let tool = ObservedTool::new(handle.name(), Some(handle));
    report(tool, Happened::OperatorActed { action, reason });
}

/// Reports overrides that were not applied.
#[cold]
pub(crate) fn overrides_refused(error: &OverridesError) {
    report(
        ObservedTool::new("overrides", None),
        Happened::OverridesRefused { error },
    );
}

/// Reports what happened to no call.
fn report(tool: ObservedTool, happened: Happened<'_>) {
    let observers = observers_of(&tool, surroundings::observers_around().into_iter());
    notify(
        &observers,
        &Event {
            tool,
            call_id: None,
            happened,
        },
    );
}

/// Reports a breaker's change of state.
#[cold]
pub(crate) fn breaker_changed(breaker: &CircuitBreaker, transition: Transition, fault: Option<Fault>) {
    let map = breaker.origin().name();
    let handle = match map {
        Some(_) => None,
        None => tool_of_breaker(breaker),
    };
    if let Some(handle) = handle {
        handle.record().breaker_changed(transition);
    }
    let name = handle.map(|handle| handle.name()).or(map);
    report(
        ObservedTool::new(name.unwrap_or("breaker"), handle),
        Happened::BreakerChanged {
            from: transition.from.into(),
            to: transition.to.into(),
            cause: transition.cause,
            failures: transition.failures,
            error_type: fault.map(Fault::error_type),
        },
    );
}
