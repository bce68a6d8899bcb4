//! [`Policy`]: every knob of the engine, and the rules that they obey together.

use std::time::Duration;

use thiserror::Error;

use crate::config::SandboxConfig;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub(crate) timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) backoff_base: Duration,
}

impl Policy {
    /// The defaults: 30 s for an attempt, two retries, 500 ms before the first.
    #[must_use]
    pub const fn new() -> Self {
        Policy {
            timeout: Duration::from_secs(30),
            max_retries: 2,
            backoff_base: Duration::from_millis(500),
        }
    }

    /// Sets the longest that one attempt may take on the clock. Default: 30 s.
    ///
    /// The limit is kept at the tool's `.await`s. A tool that blocks its thread is not interrupted; run blocking work
    /// in [`tokio::task::spawn_blocking`].
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

    /// Checks that the knobs make sense. The attribute checks at compile time; settings that are read at run time are
    /// checked here. A call with a policy that was never checked does not panic, it only does what the numbers say.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub const fn validate(&self) -> Result<(), PolicyError> {
        if self.timeout.is_zero() {
            return Err(PolicyError::ZeroTimeout);
        }
        Ok(())
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

/// A policy by reference is that policy: a call keeps eight bytes of a `const` one.
impl From<&Policy> for Policy {
    fn from(policy: &Policy) -> Self {
        *policy
    }
}

/// A rule that a [`Policy`] breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No attempt can end in no time.
    #[error("`timeout` is zero, so that every attempt would time out; set at least one millisecond")]
    ZeroTimeout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_the_config() {
        assert_eq!(Policy::default(), Policy::from(SandboxConfig::default()));
        assert_eq!(Policy::default(), Policy::from(&SandboxConfig::default()));
    }

    #[test]
    fn a_zero_timeout_is_refused() {
        assert_eq!(
            Policy::new().timeout(Duration::ZERO).validate(),
            Err(PolicyError::ZeroTimeout)
        );
        assert_eq!(Policy::new().timeout(Duration::from_nanos(1)).validate(), Ok(()));
    }
}
