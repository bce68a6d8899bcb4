//! [`Policy`]: every setting of the engine, and the rules that they obey together.

mod data;
mod error;
mod nearest;
mod rate;
mod unique;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::SandboxConfig;
use crate::rules::{BACKOFF_BASE_OVER_MAX, DEADLINE_WITHIN_TIMEOUT};

pub(crate) use data::{described, mistyped, unknown_setting};
pub use error::PolicyError;
pub(crate) use nearest::{nearest, unknown};
pub(crate) use rate::Rate;
pub use rate::RateScope;
pub(crate) use unique::{Unique, UniqueValue, given_twice};

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
/// max_concurrent = 8        # default: no limit
/// queue_ms = 1_000          # default: the timeout
/// rate = { calls = 10, per_ms = 1_000 } # default: no limit
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
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) queue: Option<Duration>,
    pub(crate) rate: Option<Rate>,
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

    /// The defaults: 30 s for an attempt, two retries, 500 ms before the first, no jitter, no deadline, idempotent, no limit to
    /// how many calls are made.
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
            max_concurrent: None,
            queue: None,
            rate: None,
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

    /// Sets how many calls are made at a time. Default: no limit. More than 2,097,151 are as many as that.
    ///
    /// Further ones queue in the order in which they came, for [`queue`](Policy::queue) at most: outside of the time limit and
    /// inside the [`deadline`](Policy::deadline). One that is not made because of that ends with
    /// [`SandboxError::Overloaded`](crate::SandboxError::Overloaded), and leaves no mark on the breaker. A call keeps its place
    /// with all its attempts and delays, until it ends, also by a drop or a panic. What its tool calls with the same limit shares
    /// the place, while the tool polls it: not in a task of its own, which waits for a place as any other caller.
    ///
    /// Calls that share the limit are those of one annotated function; of tools made by hand, those with one breaker. While calls
    /// of these differ in the number, that of the latest one that has begun holds.
    #[must_use]
    pub const fn max_concurrent(mut self, calls: u32) -> Self {
        self.max_concurrent = Some(calls);
        self
    }

    /// Sets the longest that a call may wait where it is held back: for its place among the calls that are made
    /// [at a time](Policy::max_concurrent), by the [rate](Policy::rate), or because the dependency has asked to wait
    /// ([`Verdict::Retry`](crate::Verdict::Retry)). Default: the [`timeout`](Policy::timeout). With zero it does not wait.
    #[must_use]
    pub const fn queue(mut self, longest: Duration) -> Self {
        self.queue = Some(longest);
        self
    }

    /// Tells whether there is a limit to how many calls are made.
    #[inline]
    pub(crate) const fn is_limited(&self) -> bool {
        self.max_concurrent.is_some() || self.rate.is_some()
    }

    /// Checks that the settings make sense. The attribute checks at compile time, and deserializing checks, too; a policy that is
    /// built at run time is checked here. A call with a policy that was never checked does not panic; it only follows the
    /// numbers.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub const fn validate(&self) -> Result<(), PolicyError> {
        let broken = self.broken_rules();
        let mut index = 0;
        while index < broken.len() {
            if let Some(error) = broken[index] {
                return Err(error);
            }
            index += 1;
        }
        Ok(())
    }

    /// Every rule that is broken: about the timeout, the backoff, the deadline and the limits.
    pub(crate) const fn broken_rules(&self) -> [Option<PolicyError>; 6] {
        [
            self.broken_rule_of_timeout(),
            self.broken_rule_of_backoff(),
            self.broken_rule_of_deadline(),
            self.broken_rule_of_concurrency(),
            self.broken_rule_of_calls(),
            self.broken_rule_of_period(),
        ]
    }

    const fn broken_rule_of_concurrency(&self) -> Option<PolicyError> {
        match self.max_concurrent {
            Some(0) => Some(PolicyError::ZeroConcurrency),
            _ => None,
        }
    }

    const fn broken_rule_of_calls(&self) -> Option<PolicyError> {
        match self.rate {
            Some(Rate { calls: 0, .. }) => Some(PolicyError::ZeroCalls),
            _ => None,
        }
    }

    const fn broken_rule_of_period(&self) -> Option<PolicyError> {
        match self.rate {
            Some(Rate {
                per: Duration::ZERO, ..
            }) => Some(PolicyError::ZeroPeriod),
            _ => None,
        }
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
