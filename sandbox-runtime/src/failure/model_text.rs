//! [`Failure::for_model`]: the text that a model can act on.

use std::fmt;

use super::{Failure, FailureKind};

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
        let earlier = match (&self.kind, &self.last_error) {
            (FailureKind::Panicked, _) | (_, None) => String::new(),
            (_, Some(error)) => format!(" An earlier attempt failed: {}", WithFullStop(error)),
        };
        let advice = self.advice();
        format!("{happened}{earlier} {advice}")
    }

    fn happened(&self) -> String {
        let tool = self.tool;
        match self.kind {
            FailureKind::Timeout if self.attempts == 1 => {
                format!("`{tool}` timed out after {}.", HumanMillis(self.timeout_ms))
            }
            FailureKind::Timeout => {
                let limit = HumanMillis(self.timeout_ms);
                format!("`{tool}` timed out: {} attempts of up to {limit}.", self.attempts)
            }
            FailureKind::CircuitBreakerOpen { .. } if self.retry_after_ms.is_none() => {
                format!("`{tool}` is switched off (its circuit breaker is held open) and was not called.")
            }
            FailureKind::CircuitBreakerOpen { .. } => {
                format!("`{tool}` is unavailable after repeated failures (circuit breaker open) and was not called.")
            }
            FailureKind::DeadlineExceeded if self.attempts == 0 => {
                format!("`{tool}` was not called: there is no time left.")
            }
            FailureKind::DeadlineExceeded => {
                let limit = HumanMillis(self.deadline_ms.unwrap_or_default());
                format!("`{tool}` did not finish in the {limit} that it had.")
            }
            FailureKind::Panicked => {
                let message = self.last_error.as_deref().unwrap_or("no message");
                format!("`{tool}` crashed: {}", WithFullStop(message))
            }
            FailureKind::Cancelled => format!("`{tool}` was cancelled."),
        }
    }

    fn advice(&self) -> String {
        let retry = match self.kind {
            FailureKind::CircuitBreakerOpen { .. } => {
                return match self.retry_after_ms {
                    Some(millis) => {
                        let wait = HumanMillis(millis.div_ceil(1_000).max(1).saturating_mul(1_000));
                        format!("Do not call it again for {wait}; go on without it.")
                    }
                    None => "Do not call it again; go on without it.".to_owned(),
                };
            }
            FailureKind::DeadlineExceeded if self.attempts == 0 => "Finish with what you have.",
            _ if self.may_have_executed && !self.idempotent => {
                "It may have taken effect: check before you call it again."
            }
            FailureKind::Timeout => {
                "Calling it again does no harm, but the same request is unlikely to be answered: ask for less, or go on \
                 without it."
            }
            FailureKind::DeadlineExceeded => "Ask for less, or go on without it.",
            FailureKind::Panicked => "The same call is likely to crash again: change it, or go on without it.",
            FailureKind::Cancelled => "Do not call it again unless you are asked to.",
        };
        retry.to_owned()
    }
}

/// A length of time in milliseconds, in the unit that a person would choose.
struct HumanMillis(u64);

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
