//! [`SandboxConfig`]: the three settings that belong in configuration files.

use serde::{Deserialize, Serialize};

/// How a tool is run: the limit of one attempt, the number of retries and the delay between them.
///
/// Plain data for configuration files. `Policy::from` converts it into a [`Policy`](crate::Policy), which has more settings and
/// can be read from a file, too.
///
/// ```
/// use sandbox_runtime::SandboxConfig;
///
/// let config = SandboxConfig { timeout_ms: 5_000, ..SandboxConfig::default() };
/// assert_eq!((config.max_retries, config.backoff_base_ms), (2, 500));
/// ```
///
/// In data, a setting that is missing has its default, and an unknown one is an error:
///
/// ```
/// # use sandbox_runtime::SandboxConfig;
/// let config: SandboxConfig = serde_json::from_str(r#"{ "timeout_ms": 5000 }"#)?;
/// assert_eq!((config.timeout_ms, config.max_retries), (5_000, 2));
///
/// let error = serde_json::from_str::<SandboxConfig>(r#"{ "max_retry": 3 }"#).unwrap_err();
/// assert!(error.to_string().starts_with("unknown field `max_retry`"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// The longest that one attempt may take, in milliseconds; its time starts when it first has to wait. Default: 30,000.
    pub timeout_ms: u64,
    /// How many attempts may follow the first. 0 means one attempt. Default: 2.
    pub max_retries: u32,
    /// The delay before the first retry, in milliseconds; it doubles before each further one. Default: 500.
    pub backoff_base_ms: u64,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        SandboxConfig {
            timeout_ms: 30_000,
            max_retries: 2,
            backoff_base_ms: 500,
        }
    }
}
