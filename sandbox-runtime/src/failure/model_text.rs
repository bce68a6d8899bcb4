//! [`Failure::for_model`]: the text that a model can act on.

use std::fmt;

use super::refusal::is_found_by_others;
use super::{Failure, FailureKind, UsedUp};

impl Failure {
    /// What the model that called the tool should read: what happened, whether it may have taken effect, and what to do now.
    ///
    /// ```
    /// # use sandbox_runtime::sandboxed;
    /// # use std::future::pending;
    /// #[sandboxed(timeout_ms = 2_000, max_retries = 0, idempotent = false, on_failure = |failure| Err(failure.for_model()))]
    /// async fn send_email(to: String) -> Result<(), String> {
    ///     pending().await
    /// }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// assert_eq!(
    ///     send_email("a@example.org".into()).await.unwrap_err(),
    ///     "`send_email` timed out after 2 s. It may have taken effect: check before you call it again.",
    /// );
    /// # }
    /// ```
    ///
    /// A tool whose error is a `String` returns this text without further arguments.
    #[must_use]
    pub fn for_model(&self) -> String {
        let happened = self.happened();
        let earlier = match &self.last_error {
            Some(error) => format!(" An earlier attempt failed: {}", WithFullStop(error)),
            None => String::new(),
        };
        let advice = self.advice();
        // In the same words for every tool, and once: whoever is told again of a run that is over is only told that.
        let run = match self.used_up() {
            Some(used_up) => format!(" {}", used_up.fact()),
            None => String::new(),
        };
        format!("{happened}{earlier}{run} {advice}")
    }

    fn happened(&self) -> String {
        let (tool, again) = (self.tool, self.again());
        match self.kind {
            FailureKind::Timeout => {
                let limit = HumanMillis(self.timeout_ms);
                match self.attempts {
                    1 => format!("`{tool}` timed out after {limit}."),
                    attempts => format!("`{tool}` timed out after {limit}, in the last of {attempts} attempts."),
                }
            }
            FailureKind::CircuitBreakerOpen { is_probing: true, .. } => {
                format!("`{tool}` was not called{again}: it has failed before, and is being tried now by another call.")
            }
            FailureKind::CircuitBreakerOpen { .. } if self.retry_after_ms.is_none() => {
                format!("`{tool}` is switched off (its circuit breaker is held open) and was not called{again}.")
            }
            FailureKind::CircuitBreakerOpen {
                consecutive_failures,
                threshold,
                ..
            } => {
                let by_whom = match is_found_by_others(consecutive_failures, threshold) {
                    true => " in other replicas of this service",
                    false => "",
                };
                format!(
                    "`{tool}` is unavailable after repeated failures{by_whom} (circuit breaker open) and was not called{again}."
                )
            }
            FailureKind::Disabled => {
                let reason = WithFullStop(self.reason().unwrap_or_default());
                format!("`{tool}` has been switched off by its operator and was not called: {reason}")
            }
            FailureKind::Overloaded { .. } => {
                format!("`{tool}` was not called: as many calls of it are under way as may be at a time.")
            }
            FailureKind::RateLimited { by_dependency: true } => {
                format!("`{tool}` was not called: the service behind it has asked to wait.")
            }
            FailureKind::RateLimited { by_dependency: false } => {
                format!("`{tool}` was not called: it has been called as often as it may be for now.")
            }
            FailureKind::CallBudgetSpent => {
                format!("`{tool}` was not called: there are no calls of tools left.")
            }
            FailureKind::DeadlineExceeded if self.attempts == 0 => {
                format!("`{tool}` was not called: there is no time left.")
            }
            FailureKind::DeadlineExceeded => {
                let limit = HumanMillis(self.deadline_ms.unwrap_or_default());
                format!("`{tool}` did not finish in the {limit} that it had.")
            }
            #[cfg(feature = "faults")]
            FailureKind::ExecutionFailed => format!("`{tool}` failed: {}.", crate::faults::REASON),
            // What a programmer wrote into the panic is not for a model.
            FailureKind::Panicked => format!("`{tool}` crashed."),
            FailureKind::Cancelled => format!("`{tool}` was cancelled."),
        }
    }

    fn advice(&self) -> String {
        let may_have_taken_effect = self.may_have_executed && !self.idempotent;
        let check = match may_have_taken_effect {
            true => "It may have taken effect: check before you call it again.",
            false => "",
        };
        match (self.kind, self.retry_after_ms) {
            (FailureKind::CircuitBreakerOpen { .. }, Some(millis)) if may_have_taken_effect => {
                let wait = wait(millis);
                format!(
                    "It may have taken effect in the attempt before: check that, and do not call it again for {wait}."
                )
            }
            (FailureKind::CircuitBreakerOpen { is_probing: true, .. } | FailureKind::Overloaded { .. }, _) => {
                "Try again shortly.".to_owned()
            }
            (FailureKind::RateLimited { .. }, left) => {
                format!("Call it again in {}, not before.", wait(left.unwrap_or_default()))
            }
            (FailureKind::CircuitBreakerOpen { .. } | FailureKind::Disabled, Some(millis)) => {
                format!("Do not call it again for {}; go on without it.", wait(millis))
            }
            (FailureKind::CircuitBreakerOpen { .. } | FailureKind::Disabled, None) => {
                "Do not call it again; go on without it.".to_owned()
            }
            (FailureKind::CallBudgetSpent, _) => "Finish with what you have.".to_owned(),
            // The breaker has opened: whatever else there is to advise, the next call would be refused.
            (_, Some(millis)) => {
                let off = format!("It is switched off for {} now: go on without it.", wait(millis));
                if may_have_taken_effect {
                    format!("{check} {off}")
                } else {
                    off
                }
            }
            (FailureKind::DeadlineExceeded, None) if self.attempts == 0 => "Finish with what you have.".to_owned(),
            _ if self.used_up() == Some(UsedUp::Calls) => {
                format!("{check} Finish with what you have.").trim_start().to_owned()
            }
            _ if may_have_taken_effect => check.to_owned(),
            (FailureKind::Timeout, None) => {
                "Calling it again does no harm, but the same request is unlikely to be answered: ask for \
                                             less, or go on without it."
                    .to_owned()
            }
            (FailureKind::DeadlineExceeded, None) => "Ask for less, or go on without it.".to_owned(),
            #[cfg(feature = "faults")]
            (FailureKind::ExecutionFailed, None) => "Try again later, or go on without it.".to_owned(),
            (FailureKind::Panicked, None) => {
                "The same call is likely to crash again: change it, or go on without it.".to_owned()
            }
            (FailureKind::Cancelled, None) => "Do not call it again unless you are asked to.".to_owned(),
        }
    }
}

impl UsedUp {
    const fn fact(self) -> &'static str {
        match self {
            UsedUp::Calls => "No tool will be called any more in this run.",
            UsedUp::Retries => "No call that fails will be tried again in this run.",
        }
    }

    /// What a model reads of it beside an answer that is not a failure of the engine.
    pub(crate) const fn notice(self) -> &'static str {
        match self {
            UsedUp::Calls => "No tool will be called any more in this run. Finish with what you have.",
            UsedUp::Retries => "No call that fails will be tried again in this run. Go on without it.",
        }
    }
}

/// A time to wait, in whole seconds: a model that comes back a moment too early is refused once more.
pub(crate) fn wait(millis: u64) -> HumanMillis {
    HumanMillis(millis.div_ceil(1_000).max(1).saturating_mul(1_000))
}

/// A length of time in milliseconds, in the unit that a person would choose.
pub(crate) struct HumanMillis(pub(crate) u64);

impl fmt::Display for HumanMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0;
        match (millis / 1_000, millis % 1_000) {
            (0, millis) => write!(f, "{millis} ms"),
            (seconds, 0) => write!(f, "{seconds} s"),
            (seconds, rest) => {
                let fraction = format!("{rest:03}");
                write!(f, "{seconds}.{} s", fraction.trim_end_matches('0'))
            }
        }
    }
}

/// A foreign text, with a full stop if it does not end like a sentence.
struct WithFullStop<'a>(&'a str);

impl fmt::Display for WithFullStop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = self.0.ends_with(['.', '!', '?', '…']);
        write!(f, "{}{}", self.0, if closed { "" } else { "." })
    }
}
