//! [`Story`]: what last happened to a tool, and how long its breaker has been in each state.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::breaker::{BreakerCause, BreakerPhase, Transition};
use crate::call::current::CallId;
use crate::failure::{Stop, millis};
use crate::policy::Policy;

/// The last call that failed by its tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LastFailure {
    /// Why there was not another attempt.
    #[serde(serialize_with = "as_str")]
    pub stop: Stop,
    /// What happened, for a log: the tool's own error if it returned one that displays, otherwise the failure of the engine.
    pub error: Option<String>,
    /// The identity of the call.
    pub call_id: CallId,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How long ago it ended, in milliseconds.
    pub ago_ms: u64,
}

/// A line for a terminal.
impl fmt::Display for LastFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.error.as_deref().unwrap_or(self.stop.as_str());
        write!(f, "{what}, {} s ago", self.ago_ms / 1_000)
    }
}

/// The last change of a breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LastChange {
    /// The state before.
    pub from: BreakerPhase,
    /// The state since.
    pub to: BreakerPhase,
    /// What made it change.
    pub cause: BreakerCause,
    /// The failures counted when it left the state before.
    pub failures: u32,
    /// How long ago that was, in milliseconds.
    pub ago_ms: u64,
}

/// A line for a terminal.
impl fmt::Display for LastChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to, cause) = (self.from.as_str(), self.to.as_str(), self.cause.as_str());
        let (failures, seconds) = (self.failures, self.ago_ms / 1_000);
        write!(f, "{from} to {to} ({cause}, failures: {failures}), {seconds} s ago")
    }
}

/// How long a breaker has been in each state since somebody asked for the tool, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BreakerTimes {
    /// Attempts passed.
    pub closed_ms: u64,
    /// Attempts were refused. A cooldown that is over goes on until somebody calls.
    pub open_ms: u64,
    /// A probe was to decide.
    pub half_open_ms: u64,
    /// Attempts were refused until a reset.
    pub forced_open_ms: u64,
}

fn as_str<S: serde::Serializer>(stop: &Stop, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stop.as_str())
}

/// How a call has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) stop: Stop,
    pub(crate) error: Option<String>,
    pub(crate) call_id: CallId,
    pub(crate) attempts: u32,
}

#[derive(Debug)]
pub(super) struct Story {
    /// That of the last call that brought one with it.
    pub(super) policy: Option<Policy>,
    failed: Option<(Failed, Instant)>,
    changed: Option<(Transition, Instant)>,
    /// Until when the times have been added up, and the state since then; unset until somebody asks, or the breaker changes.
    phase: Option<(BreakerPhase, Instant)>,
    /// By state.
    times: [Duration; 4],
}

impl Story {
    pub(super) const fn new() -> Story {
        Story {
            policy: None,
            failed: None,
            changed: None,
            phase: None,
            times: [Duration::ZERO; 4],
        }
    }

    pub(super) fn failed(&mut self, failed: Failed, now: Instant) {
        self.failed = Some((failed, now));
    }

    pub(super) fn breaker_changed(&mut self, transition: Transition, now: Instant) {
        self.changed = Some((transition, now));
        self.add_up(now);
        self.phase = Some((transition.to.into(), now));
    }

    /// Adds the time since the last change to the state that it led to.
    fn add_up(&mut self, now: Instant) {
        if let Some((phase, since)) = &mut self.phase {
            self.times[*phase as usize] += now.saturating_duration_since(*since);
            *since = now;
        }
    }

    pub(super) fn last_failure(&self, now: Instant) -> Option<LastFailure> {
        let (failed, at) = self.failed.as_ref()?;
        Some(LastFailure {
            stop: failed.stop,
            error: failed.error.clone(),
            call_id: failed.call_id,
            attempts: failed.attempts,
            ago_ms: ago(*at, now),
        })
    }

    pub(super) fn last_change(&self, now: Instant) -> Option<LastChange> {
        let (transition, at) = self.changed.as_ref()?;
        Some(LastChange {
            from: transition.from.into(),
            to: transition.to.into(),
            cause: transition.cause,
            failures: transition.failures,
            ago_ms: ago(*at, now),
        })
    }

    pub(super) fn breaker_times(&mut self, phase: BreakerPhase, now: Instant) -> BreakerTimes {
        self.phase.get_or_insert((phase, now));
        self.add_up(now);
        let [closed_ms, open_ms, half_open_ms, forced_open_ms] = self.times.map(millis);
        BreakerTimes {
            closed_ms,
            open_ms,
            half_open_ms,
            forced_open_ms,
        }
    }
}

fn ago(then: Instant, now: Instant) -> u64 {
    millis(now.saturating_duration_since(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_in_the_order_of_their_times() {
        let phases = [
            BreakerPhase::Closed,
            BreakerPhase::Open,
            BreakerPhase::HalfOpen,
            BreakerPhase::ForcedOpen,
        ];
        for (place, phase) in phases.into_iter().enumerate() {
            assert_eq!(phase as usize, place, "{phase:?}");
        }
    }
}
