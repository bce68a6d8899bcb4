//! [`Policy`]: every setting of the engine, and the rules that they obey together.

mod data;
mod nearest;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::SandboxConfig;
use crate::rules::{BACKOFF_BASE_OVER_MAX, DEADLINE_MS, DEADLINE_WITHIN_TIMEOUT, Message, TIMEOUT_MS};

/// How a tool is run, in full. Built by `const fn`s, so that a policy can be a constant.
///
/// ```
/// use sandbox_runtime::Policy;
/// use std::time::Duration;
///
/// const POLICY: Policy = Policy::new()
///     .timeout(Duration::from_secs(5))
///     .max_retries(3)
///     .backoff_base(Duration::from_millis(100));
/// # assert!(POLICY.validate().is_ok());
/// ```
///
/// # In data
///
/// A policy can be read from a file, with the attribute's keys. Times are whole numbers of milliseconds. A setting that is
/// missing has its default; an unknown one, a value of another type and a policy that [breaks a rule](Policy::validate) are
/// errors.
///
/// ```
/// # use sandbox_runtime::{Jitter, Policy};
/// # use std::time::Duration;
/// let policy: Policy = serde_json::from_str(r#"{ "timeout_ms": 5000, "jitter": "full", "deadline_ms": 60000 }"#)?;
/// let expected = Policy::new()
///     .timeout(Duration::from_secs(5))
///     .jitter(Jitter::Full)
///     .deadline(Duration::from_secs(60));
/// assert_eq!(policy, expected);
///
/// let error = serde_json::from_str::<Policy>(r#"{ "timeout": 5000 }"#).unwrap_err();
/// assert!(error.to_string().starts_with("unknown setting `timeout`; did you mean `timeout_ms`?"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// In TOML, with every setting:
///
/// ```toml
/// timeout_ms = 5_000        # or "off": no limit for an attempt
/// max_retries = 3
/// backoff_base_ms = 100
/// backoff_max_ms = 10_000   # default: no limit
/// deadline_ms = 60_000      # default: no limit
/// jitter = "full"           # or "none", the default, or "equal"
/// idempotent = true
/// jitter_seed = 7           # for tests; not an argument of the attribute
/// ```
///
/// A policy is written with the same keys. Settings without a value are left out, and times are rounded up to whole
/// milliseconds. (A deadline that is longer than the timeout by less than that may become equal to it, and cannot be read again.)
/// The format has to describe itself, as JSON and TOML do. In a field with `#[serde(flatten)]`, serde does not show unknown
/// keys to the policy, which then cannot refuse them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub(crate) timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) backoff_base: Duration,
    pub(crate) backoff_max: Option<Duration>,
    pub(crate) jitter: Jitter,
    pub(crate) jitter_seed: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) idempotent: bool,
}

/// How a delay is spread, so that callers that failed together do not retry together.
///
/// The kinds are those of [Exponential Backoff and Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Jitter {
    /// The delay itself.
    #[default]
    None,
    /// Any length up to the delay.
    Full,
    /// Any length from half the delay to the delay.
    Equal,
}

impl Policy {
    /// A [`timeout`](Policy::timeout) that never ends an attempt.
    pub(crate) const NO_TIMEOUT: Duration = Duration::MAX;

    /// The defaults: 30 s for an attempt, two retries, 500 ms before the first, no jitter, no deadline, idempotent.
    #[must_use]
    pub const fn new() -> Self {
        Policy {
            timeout: Duration::from_secs(30),
            max_retries: 2,
            backoff_base: Duration::from_millis(500),
            backoff_max: None,
            jitter: Jitter::None,
            jitter_seed: None,
            deadline: None,
            idempotent: true,
        }
    }

    /// Sets the longest that one attempt may take on the clock. Default: 30 s.
    ///
    /// The time starts when the attempt first has to wait, and the limit is enforced at the tool's `.await`s: a tool that
    /// blocks its thread is not interrupted, and its answer is accepted even if it comes too late because of that. Run
    /// blocking work in [`tokio::task::spawn_blocking`]; it continues there after the limit, beside the next attempt.
    ///
    /// With [`Duration::MAX`] an attempt has no limit of its own; a [`deadline`](Policy::deadline) still ends it.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many attempts may follow the first. Default: 2.
    #[must_use]
    pub const fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Sets the delay before the first retry; before the n-th it is `base · 2^(n-1)`, saturating. Default: 500 ms.
    #[must_use]
    pub const fn backoff_base(mut self, base: Duration) -> Self {
        self.backoff_base = base;
        self
    }

    /// Sets the longest delay, jitter included. Default: no limit.
    ///
    /// If a dependency requests a longer delay than this, or than one minute where this is not set, the call ends at once: see
    /// [`Verdict::Retry`](crate::Verdict::Retry).
    #[must_use]
    pub const fn backoff_max(mut self, longest: Duration) -> Self {
        self.backoff_max = Some(longest);
        self
    }

    /// Sets how delays are spread, for each call independently. Default: not at all.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Makes jitter the same in every call, for tests. Without it every delay is random.
    #[must_use]
    pub const fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Sets the longest that the whole call may take, attempts and delays together. Default: no limit.
    ///
    /// It interrupts a running attempt, which then counts as failed. A delay that would not end before the deadline is not
    /// started: the call ends with the result of its last attempt.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets whether running the tool twice has the same effect as running it once. Default: true.
    ///
    /// With `false`, the tool is never run again after an attempt whose effect is unknown: one that timed out, or returned an
    /// error of which nobody has stated that it is safe to try again. (After a panic a tool is not run again in any case.)
    /// [`ErrorVerdict::is_safe_to_retry`](crate::ErrorVerdict::is_safe_to_retry) states it for a type, and a function given to
    /// [`retry_if`](crate::Tool::retry_if) or [`classify`](crate::Tool::classify) by what it has retried.
    #[must_use]
    pub const fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Checks that the settings make sense. The attribute checks at compile time, and deserializing checks, too; a policy that is
    /// built at run time is checked here. A call with a policy that was never checked does not panic; it only follows the
    /// numbers.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub const fn validate(&self) -> Result<(), PolicyError> {
        match self.broken_rules() {
            [Some(error), ..] | [None, Some(error), _] | [None, None, Some(error)] => Err(error),
            [None, None, None] => Ok(()),
        }
    }

    /// Every rule that is broken: about the timeout, the backoff and the deadline.
    const fn broken_rules(&self) -> [Option<PolicyError>; 3] {
        [
            self.broken_rule_of_timeout(),
            self.broken_rule_of_backoff(),
            self.broken_rule_of_deadline(),
        ]
    }

    const fn broken_rule_of_timeout(&self) -> Option<PolicyError> {
        if self.timeout.is_zero() {
            Some(PolicyError::ZeroTimeout)
        } else {
            None
        }
    }

    const fn broken_rule_of_backoff(&self) -> Option<PolicyError> {
        let base = self.backoff_base;
        match self.backoff_max {
            Some(max) if !BACKOFF_BASE_OVER_MAX.holds(max, base) => Some(PolicyError::BackoffBaseOverMax { base, max }),
            _ => None,
        }
    }

    const fn broken_rule_of_deadline(&self) -> Option<PolicyError> {
        let timeout = self.timeout;
        let has_timeout = timeout.as_nanos() != Policy::NO_TIMEOUT.as_nanos();
        match self.deadline {
            Some(Duration::ZERO) => Some(PolicyError::ZeroDeadline),
            Some(deadline) if has_timeout && !DEADLINE_WITHIN_TIMEOUT.holds(deadline, timeout) => {
                Some(PolicyError::DeadlineWithinTimeout { deadline, timeout })
            }
            _ => None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::new()
    }
}

impl From<SandboxConfig> for Policy {
    fn from(config: SandboxConfig) -> Self {
        Policy::new()
            .timeout(Duration::from_millis(config.timeout_ms))
            .max_retries(config.max_retries)
            .backoff_base(Duration::from_millis(config.backoff_base_ms))
    }
}

impl From<&SandboxConfig> for Policy {
    fn from(config: &SandboxConfig) -> Self {
        Policy::from(*config)
    }
}

/// A call keeps a reference to a policy in eight bytes.
impl From<&Policy> for Policy {
    fn from(policy: &Policy) -> Self {
        *policy
    }
}

/// A rule that a [`Policy`] breaks. Its message names the settings as the attribute does, with times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Every attempt would time out.
    ZeroTimeout,
    /// Every call would be out of time.
    ZeroDeadline,
    /// The first delay would already be cut to the maximum.
    BackoffBaseOverMax {
        /// [`Policy::backoff_base`].
        base: Duration,
        /// [`Policy::backoff_max`].
        max: Duration,
    },
    /// No attempt could use its whole time limit.
    DeadlineWithinTimeout {
        /// [`Policy::deadline`].
        deadline: Duration,
        /// [`Policy::timeout`].
        timeout: Duration,
    },
}

impl PolicyError {
    /// The key of the attribute whose value is at fault.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            PolicyError::ZeroTimeout => TIMEOUT_MS.key,
            PolicyError::ZeroDeadline => DEADLINE_MS.key,
            PolicyError::BackoffBaseOverMax { .. } => BACKOFF_BASE_OVER_MAX.key,
            PolicyError::DeadlineWithinTimeout { .. } => DEADLINE_WITHIN_TIMEOUT.key,
        }
    }

    /// The message, for constants too. A default is marked as one if nobody need have written it.
    pub(crate) const fn message(&self, marks_default: bool) -> Message {
        const DEFAULT: Policy = Policy::new();
        match *self {
            PolicyError::ZeroTimeout => TIMEOUT_MS.message(0),
            PolicyError::ZeroDeadline => DEADLINE_MS.message(0),
            PolicyError::BackoffBaseOverMax { base, max } => {
                let base = Message::millis_or_default(base, DEFAULT.backoff_base, marks_default);
                BACKOFF_BASE_OVER_MAX.message(Message::millis(max), base)
            }
            PolicyError::DeadlineWithinTimeout { deadline, timeout } => {
                let timeout = Message::millis_or_default(timeout, DEFAULT.timeout, marks_default);
                DEADLINE_WITHIN_TIMEOUT.message(Message::millis(deadline), timeout)
            }
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message(true).as_str())
    }
}

impl Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn the_default_is_that_of_the_config() {
        assert_eq!(Policy::default(), Policy::from(SandboxConfig::default()));
        assert_eq!(Policy::default(), Policy::from(&SandboxConfig::default()));
    }

    #[test]
    fn a_zero_timeout_is_refused() {
        let policy = Policy::new();
        assert_eq!(policy.timeout(Duration::ZERO).validate(), Err(PolicyError::ZeroTimeout));
        assert_eq!(policy.timeout(Duration::from_nanos(1)).validate(), Ok(()));
        assert_eq!(policy.timeout(Duration::MAX).validate(), Ok(()));
    }

    #[test]
    fn a_base_over_the_maximum_is_refused_with_both_numbers() {
        let policy = Policy::new().backoff_base(MILLI * 2);
        assert_eq!(policy.backoff_max(MILLI * 2).validate(), Ok(()));
        let error = policy.backoff_max(MILLI).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`backoff_max_ms` (1) is shorter than `backoff_base_ms` (2); raise it or lower the base"
        );
    }

    #[test]
    fn a_deadline_within_one_attempt_is_refused_with_both_numbers() {
        let policy = Policy::new().timeout(MILLI * 5);
        assert_eq!(policy.deadline(MILLI * 6).validate(), Ok(()));
        let error = policy.deadline(MILLI * 5).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`deadline_ms` (5) is not longer than `timeout_ms` (5), which is for one attempt alone; \
             raise it or lower the timeout"
        );
    }

    #[test]
    fn a_deadline_may_be_the_only_limit() {
        let policy = Policy::new().timeout(Duration::MAX);
        assert_eq!(policy.deadline(MILLI).validate(), Ok(()));
        assert_eq!(policy.deadline(Duration::MAX).validate(), Ok(()));
        assert_eq!(
            policy.deadline(Duration::ZERO).validate(),
            Err(PolicyError::ZeroDeadline)
        );
    }

    #[test]
    fn a_zero_deadline_is_refused() {
        let error = Policy::new().deadline(Duration::ZERO).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`deadline_ms` is 0, so that every call would be out of time; set at least 1"
        );
    }

    #[test]
    fn messages_mark_defaults_and_keep_fractions() {
        let error = Policy::new()
            .deadline(Duration::from_micros(1_250))
            .validate()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`deadline_ms` (1.25) is not longer than `timeout_ms` (30000, the default), which is for one attempt alone; \
             raise it or lower the timeout"
        );
    }

    #[test]
    fn the_longest_message_is_whole() {
        let longest = Duration::MAX - Duration::from_nanos(1);
        let error = Policy::new().timeout(longest).deadline(longest).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`deadline_ms` (18446744073709551615999.999998) is not longer than \
             `timeout_ms` (18446744073709551615999.999998), which is for one attempt alone; raise it or lower the timeout"
        );
    }
}
