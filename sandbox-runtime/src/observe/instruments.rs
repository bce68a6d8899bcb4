//! [`Instruments`]: what there is to measure, for whichever library records it.
//!
//! Names, units and attributes are those of [OpenTelemetry's conventions for generative AI][conventions] (schema 1.42.0, in
//! development) where these have them; for retries and breakers there are none yet, and the prefix is `sandboxed.`.
//!
//! [conventions]: https://github.com/open-telemetry/semantic-conventions-genai

use std::time::Duration;

use super::{BreakerPhase, Event, Happened, Observer, error_of_attempt, error_type};
use crate::registry::{ToolHandle, tools};

/// An instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instrument {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) description: &'static str,
}

const fn instrument(name: &'static str, unit: &'static str, description: &'static str) -> Instrument {
    Instrument {
        name,
        unit,
        description,
    }
}

pub(super) const CALL_DURATION: Instrument = instrument(
    "gen_ai.execute_tool.duration",
    "s",
    "How long calls of tools take, retries included.",
);
pub(super) const ATTEMPT_DURATION: Instrument =
    instrument("sandboxed.attempt.duration", "s", "How long attempts take.");
pub(super) const RETRY_DELAY: Instrument = instrument("sandboxed.retry.delay", "s", "How long retries are delayed.");
pub(super) const CALLS_ACTIVE: Instrument = instrument("sandboxed.calls.active", "{call}", "Calls under way.");
pub(super) const CALLS_QUEUED: Instrument = instrument(
    "sandboxed.calls.queued",
    "{call}",
    "Calls whose next attempt is held back by a limit.",
);
pub(super) const CALL_STOPS: Instrument = instrument(
    "sandboxed.call.stops",
    "{call}",
    "Calls that have ended, by why no further attempt was made.",
);
pub(super) const BREAKER_TRANSITIONS: Instrument = instrument(
    "sandboxed.breaker.transitions",
    "{transition}",
    "Changes of a breaker's state.",
);
pub(super) const BREAKER_REJECTIONS: Instrument = instrument(
    "sandboxed.breaker.rejections",
    "{call}",
    "Calls whose first attempt the breaker refused.",
);

pub(super) const BREAKER_STATE_TIME: Instrument = instrument(
    "sandboxed.breaker.state.time",
    "s",
    "How long breakers have been in each state.",
);

/// The bounds of the buckets for lengths of time, those that the conventions have for [`CALL_DURATION`], in seconds.
#[cfg_attr(
    not(feature = "opentelemetry"),
    expect(dead_code, reason = "the crate metrics leaves them to the exporter")
)]
pub(super) const DURATION_BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

pub(super) const OPERATION: (&str, &str) = ("gen_ai.operation.name", "execute_tool");
pub(super) const TOOL: &str = "gen_ai.tool.name";
const ERROR: &str = "error.type";
const ATTEMPT_TYPE: &str = "sandboxed.attempt.type";
const STOP: &str = "sandboxed.stop";
const FROM: &str = "sandboxed.breaker.from";
const TO: &str = "sandboxed.breaker.to";
const STATE: &str = "resilience.circuit_breaker.state";

/// An attribute of a measurement. All values are words of this crate, or names of tools.
pub(super) type Attribute = (&'static str, &'static str);

/// Lets the times begin that will be told.
pub(super) fn begin_breaker_times() {
    for tool in &tools() {
        let _ = tool.breaker_times();
    }
}

/// How long the breaker of a tool has been in each state, with the attributes of each.
pub(super) fn breaker_times(tool: &ToolHandle) -> impl Iterator<Item = ([Attribute; 2], Duration)> + use<> {
    let name = tool.name();
    let times = tool.breaker_times().into_iter().flatten();
    times.map(move |(phase, time)| ([(TOOL, name), (STATE, phase.as_str())], time))
}

/// Records measurements.
pub(super) trait Recorder: Send + Sync + 'static {
    /// Records a length of time.
    fn duration(&self, instrument: Instrument, duration: Duration, attributes: &[Attribute]);
    /// Adds one to a number that only grows.
    fn count(&self, instrument: Instrument, attributes: &[Attribute]);
    /// Changes a number that goes up and down.
    fn change(&self, instrument: Instrument, by: i8, attributes: &[Attribute]);
    /// Something has happened to a tool of which times are known: for a library that does not ask for them by itself.
    fn times_may_be_told(&self, tool: &ToolHandle) {
        let _ = tool;
    }
}

/// Measures what it observes.
#[derive(Debug)]
pub(super) struct Instruments<R>(pub(super) R);

impl<R: Recorder> Instruments<R> {
    fn tell_times(&self, event: &Event<'_>) {
        if let Some(tool) = &event.tool.handle {
            self.0.times_may_be_told(tool);
        }
    }
}

impl<R: Recorder> Observer for Instruments<R> {
    fn on_event(&self, event: &Event<'_>) {
        let recorder = &self.0;
        let tool = (TOOL, event.tool.name);
        match event.happened {
            Happened::CallStarted => recorder.change(CALLS_ACTIVE, 1, &[tool]),
            Happened::AttemptEnded {
                attempt,
                outcome,
                elapsed,
                ..
            } => {
                let attempt_type = if attempt == 1 { "original" } else { "retry" };
                let mut attributes = vec![tool, (ATTEMPT_TYPE, attempt_type)];
                attributes.extend(error_of_attempt(outcome).map(|error| (ERROR, error)));
                recorder.duration(ATTEMPT_DURATION, elapsed, &attributes);
            }
            Happened::CallQueued => recorder.change(CALLS_QUEUED, 1, &[tool]),
            Happened::CallUnqueued { .. } => recorder.change(CALLS_QUEUED, -1, &[tool]),
            Happened::RetryScheduled { delay, .. } => recorder.duration(RETRY_DELAY, delay, &[tool]),
            Happened::CallEnded {
                stop,
                attempts,
                elapsed,
                failure,
                ..
            } => {
                self.tell_times(event);
                let error = error_type(stop, failure);
                let mut attributes = vec![OPERATION, tool];
                attributes.extend(error.map(|error| (ERROR, error)));
                recorder.duration(CALL_DURATION, elapsed, &attributes);
                recorder.count(CALL_STOPS, &[tool, (STOP, stop.as_str())]);
                recorder.change(CALLS_ACTIVE, -1, &[tool]);
                if attempts == 0 && error == Some("circuit_breaker_open") {
                    recorder.count(BREAKER_REJECTIONS, &[tool]);
                }
            }
            Happened::BreakerChanged { from, to, .. } => {
                self.tell_times(event);
                let phase = |key, phase: BreakerPhase| (key, phase.as_str());
                recorder.count(BREAKER_TRANSITIONS, &[tool, phase(FROM, from), phase(TO, to)]);
            }
            Happened::AttemptStarted { .. }
            | Happened::ThreadBlocked { .. }
            | Happened::OperatorActed { .. }
            | Happened::OverridesRefused { .. } => {}
        }
    }
}
