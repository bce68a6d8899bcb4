//! [`ToolStatus`]: how a tool is at a moment, as data and as a line of a table.

use std::fmt;

use serde::Serialize;

use crate::breaker::{BreakerPhase, BreakerState, CircuitBreaker};
use crate::failure::millis;
use crate::policy::Policy;
use crate::record::{BreakerTimes, Counters, LastChange, LastFailure, Record};
use crate::steering::Off;

/// How a tool is at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolStatus {
    /// The name that failures have for it.
    pub name: &'static str,
    /// The path of the module that it stands in.
    pub module: &'static str,
    /// The file in which its attribute stands.
    pub file: &'static str,
    /// The line in which its attribute stands.
    pub line: u32,
    /// Its settings as the attribute has them.
    pub policy: Policy,
    /// Its settings as they are in force. Of a function with `policy = ..` they are those of its last call since somebody asked, and
    /// `None` before there was one.
    pub policy_in_force: Option<Policy>,
    /// Its breaker, if it has one of its own.
    pub breaker: Option<BreakerStatus>,
    /// The name of the `KeyedBreakers` that has made the breaker of its last call since somebody asked; `None` if its breaker was
    /// another, and before there was a call.
    pub breaker_map: Option<&'static str>,
    /// Its calls since somebody asked for them.
    pub counters: Counters,
    /// The last call since then that failed by the tool: no refusal, nothing that its caller did.
    pub last_failure: Option<LastFailure>,
    /// Set while an operator has switched it off.
    pub disabled: Option<Disabled>,
    /// Whether its breaker refuses nothing: see [`ToolHandle::shadow`](crate::ToolHandle::shadow).
    pub shadow: bool,
    /// What the other replicas of the service know of it, if the process is one of a fleet of the crate `sandbox-fleet`.
    #[cfg(feature = "fleet")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<crate::fleet::InFleet>,
}

/// Why a tool is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Disabled {
    /// The operator's words.
    pub reason: String,
    /// How long it lasts, in milliseconds; `None` until somebody switches it on.
    pub left_ms: Option<u64>,
}

impl Disabled {
    pub(super) fn of(off: &Off) -> Disabled {
        Disabled {
            reason: off.reason.to_string(),
            left_ms: off.left_ms(),
        }
    }
}

impl fmt::Display for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left_ms {
            Some(left) => write!(f, "disabled for {left} ms: {}", self.reason),
            None => write!(f, "disabled: {}", self.reason),
        }
    }
}

/// How a breaker is at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// `closed`, `open`, `half_open` or `forced_open`.
    pub state: &'static str,
    /// The failures counted: in a row, or in the window.
    pub failures: u32,
    /// How many of them open it.
    pub threshold: u32,
    /// The rest of the cooldown in milliseconds, rounded up; `None` unless it is open.
    pub retry_after_ms: Option<u64>,
    /// Its last change since somebody asked for the tool.
    pub last_change: Option<LastChange>,
    /// How long it has been in each state since then.
    pub times: BreakerTimes,
}

impl BreakerStatus {
    pub(super) fn of(breaker: &CircuitBreaker, record: &Record) -> BreakerStatus {
        let state = breaker.state();
        let retry_after_ms = match state {
            BreakerState::Open { retry_after } => Some(millis(retry_after)),
            _ => None,
        };
        let phase = BreakerPhase::from(state);
        BreakerStatus {
            state: phase.as_str(),
            failures: breaker.failure_count(),
            threshold: breaker.threshold(),
            retry_after_ms,
            last_change: record.last_change(),
            times: record.breaker_times(phase),
        }
    }
}

/// A line for a terminal.
impl fmt::Display for ToolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cells().join("  "))
    }
}

impl ToolStatus {
    pub(super) const COLUMNS: [&str; 9] = [
        "tool",
        "breaker",
        "calls",
        "failed",
        "refused",
        "limit",
        "attempts",
        "place",
        "last failure",
    ];

    pub(super) fn cells(&self) -> [String; 9] {
        let breaker = match (&self.disabled, &self.breaker) {
            (Some(disabled), _) => disabled.to_string(),
            (None, Some(breaker)) if self.shadow => format!("shadow: {breaker}"),
            (None, Some(breaker)) => breaker.to_string(),
            (None, None) => self
                .breaker_map
                .map_or_else(|| "-".to_owned(), |map| format!("of {map}")),
        };
        let policy = self.policy_in_force;
        let limit = match policy.map(|policy| policy.timeout) {
            None => "given".to_owned(),
            Some(Policy::NO_TIMEOUT) => "-".to_owned(),
            Some(limit) => format!("{} ms", limit.as_millis()),
        };
        let attempts = policy.map_or_else(|| "given".to_owned(), |policy| policy.max_attempts().to_string());
        [
            format!("{}::{}", self.module, self.name),
            breaker,
            self.counters.calls.to_string(),
            self.counters.failed().to_string(),
            self.counters.refused().to_string(),
            limit,
            attempts,
            format!("{}:{}", self.file, self.line),
            self.last_failure
                .as_ref()
                .map(LastFailure::to_string)
                .unwrap_or_default(),
        ]
    }
}

impl fmt::Display for BreakerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BreakerStatus {
            state,
            failures,
            threshold,
            retry_after_ms,
            ..
        } = self;
        match retry_after_ms {
            Some(millis) => write!(f, "{state} for {millis} ms"),
            None => write!(f, "{state}, {failures} of {threshold}"),
        }
    }
}
