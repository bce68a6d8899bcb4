//! [`Transition`]: a change of the breaker's state, and what made it.

use serde::{Serialize, Serializer};

use super::packed::State;
use super::state::BreakerState;

/// The states of a breaker, without what belongs to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerPhase {
    /// Attempts pass.
    Closed,
    /// Attempts are refused until the cooldown is over.
    Open,
    /// Attempts pass as probes.
    HalfOpen,
    /// Attempts are refused until a reset.
    ForcedOpen,
}

impl BreakerPhase {
    /// `closed`, `open`, `half_open` or `forced_open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerPhase::Closed => "closed",
            BreakerPhase::Open => "open",
            BreakerPhase::HalfOpen => "half_open",
            BreakerPhase::ForcedOpen => "forced_open",
        }
    }
}

impl From<State> for BreakerPhase {
    fn from(state: State) -> Self {
        match state {
            State::Closed => BreakerPhase::Closed,
            State::Open => BreakerPhase::Open,
            State::HalfOpen => BreakerPhase::HalfOpen,
            State::ForcedOpen => BreakerPhase::ForcedOpen,
        }
    }
}

impl From<BreakerState> for BreakerPhase {
    fn from(state: BreakerState) -> Self {
        match state {
            BreakerState::Closed => BreakerPhase::Closed,
            BreakerState::Open { .. } => BreakerPhase::Open,
            BreakerState::HalfOpen => BreakerPhase::HalfOpen,
            BreakerState::ForcedOpen => BreakerPhase::ForcedOpen,
        }
    }
}

/// A change of state, returned once, to the caller that made it.
///
/// The transitions of a breaker form a chain: each one leaves the state that the one before it entered. Opening again
/// (a new cooldown) and a new round of probes are transitions; a reset of a closed breaker is not one, nor is forcing
/// open a breaker that is forced open already. Callers on several threads may report them in another order.
///
/// It takes eight bytes, so that an `Option` of it is returned in a register: nearly every result makes no transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: BreakerCause,
    /// The failures counted when the breaker left `from`, including the one that made it leave.
    pub(crate) failures: u32,
    /// The probes that failed in a row since the breaker was last closed, including this one; at most 31 are counted. A
    /// failure recorded by hand in place of a probe counts as one.
    pub(crate) failed_probes: u8,
}

#[cfg(feature = "fleet")]
impl Transition {
    /// Tells whether the failures for which the breaker is not closed now were found by other replicas; `None` if it is for the same ones
    /// as before: a probe begins, or others hold it open.
    pub(super) const fn is_by_others(self) -> Option<bool> {
        match (self.from, self.to, self.cause) {
            (State::Closed, State::Open, BreakerCause::Fleet) => Some(true),
            (_, State::HalfOpen, _) | (_, State::Open, BreakerCause::Fleet) => None,
            _ => Some(false),
        }
    }
}

/// What kind of failure an attempt was: in one byte, for it is handed on with every failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Error,
    Timeout,
    Panic,
    SlowCall,
}

impl Fault {
    /// As `error.type` of OpenTelemetry, which has no word for a success that was slow.
    pub(crate) const fn error_type(self) -> &'static str {
        match self {
            Fault::Error => "tool_error",
            Fault::Timeout => "timeout",
            Fault::Panic => "panic",
            Fault::SlowCall => "slow_call",
        }
    }
}

/// What made a breaker change its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerCause {
    /// The failures in a row, or in the window, reached the threshold.
    ThresholdReached,
    /// An attempt was requested after the cooldown.
    CooldownOver,
    /// A probe failed.
    ProbeFailed,
    /// As many probes succeeded as it takes to close the breaker.
    ProbesSucceeded,
    /// Silent probes held every slot until their lease ended: a new round of probes begins.
    ProbeSlotsLost,
    /// A result was recorded by hand while the breaker was not closed: a success closed it, or a failure opened it again.
    RecordedByHand,
    /// Somebody reset the breaker.
    Reset,
    /// Somebody forced the breaker open.
    ForcedOpen,
    /// The replicas of the service agreed: see the crate `sandbox-fleet`.
    Fleet,
}

impl BreakerCause {
    /// The cause in lower case, with underscores: for data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerCause::ThresholdReached => "threshold_reached",
            BreakerCause::CooldownOver => "cooldown_over",
            BreakerCause::ProbeFailed => "probe_failed",
            BreakerCause::ProbesSucceeded => "probes_succeeded",
            BreakerCause::ProbeSlotsLost => "probe_slots_lost",
            BreakerCause::RecordedByHand => "recorded_by_hand",
            BreakerCause::Reset => "reset",
            BreakerCause::ForcedOpen => "forced_open",
            BreakerCause::Fleet => "fleet",
        }
    }
}

impl Serialize for BreakerCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for BreakerPhase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

const _: () = assert!(size_of::<Option<Transition>>() == size_of::<u64>());

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_has_a_word_of_its_own() {
        use BreakerCause::{
            CooldownOver, Fleet, ForcedOpen, ProbeFailed, ProbeSlotsLost, ProbesSucceeded, RecordedByHand, Reset,
            ThresholdReached,
        };
        let causes = [
            ThresholdReached,
            CooldownOver,
            ProbeFailed,
            ProbesSucceeded,
            ProbeSlotsLost,
            RecordedByHand,
            Reset,
            ForcedOpen,
            Fleet,
        ];
        let faults = [Fault::Error, Fault::Timeout, Fault::Panic, Fault::SlowCall];
        let phases = [
            BreakerPhase::Closed,
            BreakerPhase::Open,
            BreakerPhase::HalfOpen,
            BreakerPhase::ForcedOpen,
        ];
        let words = [
            causes.map(BreakerCause::as_str).to_vec(),
            faults.map(Fault::error_type).to_vec(),
            phases.map(BreakerPhase::as_str).to_vec(),
        ];
        for words in words {
            let is_word = |word: &&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
            assert!(words.iter().all(is_word), "{words:?}");
            let different: HashSet<_> = words.iter().filter(|word| !word.is_empty()).collect();
            assert_eq!(different.len(), words.len(), "{words:?}");
        }
    }

    #[cfg(feature = "fleet")]
    #[test]
    fn it_is_known_who_has_found_the_failures() {
        use BreakerCause::{CooldownOver, Fleet, ForcedOpen, ProbesSucceeded, ThresholdReached};
        use State::{Closed, HalfOpen, Open};
        let cases = [
            (Closed, Open, Fleet, Some(true), "others"),
            (Closed, Open, ThresholdReached, Some(false), "this replica"),
            (Closed, Open, ForcedOpen, Some(false), "an operator, here"),
            (Open, HalfOpen, CooldownOver, None, "as before: a probe begins"),
            (HalfOpen, Open, Fleet, None, "as before: others hold it open"),
            (HalfOpen, Closed, ProbesSucceeded, Some(false), "nobody: it is closed"),
        ];
        for (from, to, cause, by_others, who) in cases {
            let transition = Transition {
                from,
                to,
                cause,
                failures: 1,
                failed_probes: 0,
            };
            assert_eq!(
                transition.is_by_others(),
                by_others,
                "{from:?} to {to:?} by {cause:?}: {who}"
            );
        }
    }
}
