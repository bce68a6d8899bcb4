//! [`WORDS`]: what other libraries call a setting. A word of theirs is answered with ours, and not with the nearest spelling.

mod breaker;
mod limits;

use super::keys::Section;
use breaker::BREAKER;
use limits::LIMITS;

/// Words of other libraries, and what to write instead.
pub(super) struct Words {
    section: Section,
    words: &'static [&'static str],
    pub(super) remedy: &'static str,
}

const fn attribute(words: &'static [&'static str], remedy: &'static str) -> Words {
    Words {
        section: Section::Attribute,
        words,
        remedy,
    }
}

const WORDS: &[Words] = &[
    attribute(
        &[
            "timeout",
            "time_limit",
            "limit_ms",
            "timeout_millis",
            "timeout_duration",
            "attempt_timeout",
            "request_timeout",
        ],
        "write `timeout_ms = 5_000`, in milliseconds",
    ),
    attribute(
        &["timeout_s", "timeout_sec", "timeout_secs", "timeout_seconds", "seconds"],
        "write `timeout_ms = 5_000`: it is in milliseconds",
    ),
    attribute(
        &[
            "retry",
            "retries",
            "retry_count",
            "num_retries",
            "n_retries",
            "max_retry",
            "retry_limit",
            "retry_times",
            "times",
        ],
        "write `max_retries = 2`",
    ),
    attribute(
        &[
            "max_attempts",
            "attempts",
            "tries",
            "max_tries",
            "num_attempts",
            "stop_after_attempt",
        ],
        "write `max_retries`, which is one less: the first attempt does not count as one",
    ),
    attribute(
        &[
            "backoff",
            "backoff_ms",
            "delay",
            "delay_ms",
            "base_delay",
            "base_delay_ms",
            "initial_delay",
            "initial_delay_ms",
            "initial_backoff",
            "initial_backoff_ms",
            "min_delay",
            "min_delay_ms",
            "min_backoff",
            "retry_delay",
            "retry_delay_ms",
            "retry_after_ms",
            "interval",
            "wait",
            "wait_ms",
            "sleep_ms",
        ],
        "write `backoff_base_ms = 500`, the delay before the first retry; it doubles before each further one",
    ),
    attribute(
        &[
            "max_backoff",
            "max_backoff_ms",
            "max_delay",
            "max_delay_ms",
            "max_interval",
            "max_wait",
            "max_wait_ms",
            "backoff_cap",
            "backoff_cap_ms",
            "backoff_limit_ms",
        ],
        "write `backoff_max_ms = 10_000`, the longest delay",
    ),
    attribute(
        &[
            "backoff_factor",
            "factor",
            "multiplier",
            "backoff_multiplier",
            "exponential",
            "exponential_base",
            "exp_base",
        ],
        "the delay always doubles; set the first by `backoff_base_ms` and the longest by `backoff_max_ms`",
    ),
    attribute(
        &[
            "deadline",
            "total_timeout",
            "total_timeout_ms",
            "overall_timeout",
            "overall_timeout_ms",
            "max_elapsed",
            "max_elapsed_ms",
            "max_elapsed_time",
            "max_duration",
            "max_total_ms",
            "stop_after_delay",
            "budget_ms",
        ],
        "write `deadline_ms = 60_000`, for the whole call with its delays",
    ),
    attribute(
        &[
            "randomize",
            "randomized",
            "random",
            "with_jitter",
            "jittered",
            "jitter_ms",
            "full_jitter",
        ],
        "write `jitter = full`",
    ),
    attribute(
        &[
            "circuit_breaker",
            "circuitbreaker",
            "cb",
            "circuit",
            "breaker_threshold",
            "failure_threshold",
            "max_failures",
            "consecutive_failures",
            "failures",
            "trip_after",
        ],
        "write `breaker(threshold = 5)`",
    ),
    attribute(
        &["no_breaker", "without_breaker", "disable_breaker"],
        "write `breaker = off`",
    ),
    attribute(
        &[
            "reset_timeout",
            "reset_timeout_ms",
            "recovery_timeout",
            "recovery_timeout_ms",
            "open_duration",
            "open_ms",
            "cooldown",
            "breaker_cooldown_ms",
            "sleep_window",
            "sleep_window_ms",
            "break_duration",
        ],
        "write `breaker(cooldown_ms = 30_000)`",
    ),
    attribute(
        &[
            "slow_call",
            "slow_calls",
            "slow_ms",
            "slow_call_duration",
            "slow_call_duration_threshold",
            "slow_call_rate_threshold",
            "slow_threshold",
        ],
        "write `breaker(slow_call_ms = 2_000)`",
    ),
    attribute(
        &[
            "retry_on",
            "retry_on_error",
            "retry_if_err",
            "retry_when",
            "retryable",
            "is_retryable",
            "should_retry",
            "when",
            "retry_filter",
            "retry_condition",
            "is_transient",
        ],
        "write `retry_if = |error| ..`: it tells which errors are retried",
    ),
    attribute(
        &[
            "ignore",
            "ignore_on",
            "ignored",
            "exclude",
            "ignore_errors",
            "ignore_error",
            "is_permanent",
            "permanent",
            "abort_if",
            "abort_on",
            "no_retry_on",
            "stop_if",
        ],
        "write `ignore_if = |error| ..` for the caller's faults, or `retry_if = |error| ..` for all that is retried",
    ),
    attribute(
        &[
            "on_error",
            "fallback",
            "fallback_fn",
            "or_else",
            "on_timeout",
            "on_open",
            "map_err",
            "default",
            "default_value",
            "on_failed",
            "on_exhausted",
        ],
        "write `on_failure = |failure| ..`: it makes what is returned when the tool has no answer",
    ),
    attribute(
        &[
            "cancellation",
            "cancellation_token",
            "token",
            "cancel_token",
            "cancel_on",
            "cancelled_by",
            "abort",
        ],
        "write `cancel = token`",
    ),
    attribute(
        &["rename", "tool", "tool_name", "label", "title", "operation", "id"],
        "write `name = \"search\"`",
    ),
    attribute(
        &[
            "idempotency",
            "non_idempotent",
            "not_idempotent",
            "safe_to_retry",
            "side_effects",
        ],
        "write `idempotent = false` for a tool that must not be run twice",
    ),
    attribute(
        &["config", "settings", "options", "with_policy", "retry_policy", "limits"],
        "write `policy = ..`, an expression for a `Policy`",
    ),
    attribute(
        &["runtime", "krate", "crate_path", "runtime_crate"],
        "write `crate = my_crate::sandbox_runtime`",
    ),
];

/// What to write instead of a word in a section.
pub(super) fn remedy(word: &str, section: Section) -> Option<&'static str> {
    let words = all().find(|words| words.section == section && words.words.contains(&word))?;
    Some(words.remedy)
}

fn all() -> impl Iterator<Item = &'static Words> {
    WORDS.iter().chain(BREAKER).chain(LIMITS)
}

#[cfg(test)]
mod tests {
    use super::super::keys::KEYS;
    use super::*;

    #[test]
    fn each_word_has_one_answer_and_none_of_ours_is_among_them() {
        for section in Section::ALL {
            let of_section = all().filter(|words| words.section == section);
            let mut words: Vec<_> = of_section.flat_map(|words| words.words).collect();
            words.sort_unstable();
            let repeated: Vec<_> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(repeated.is_empty(), "{repeated:?}");
            for spec in KEYS.iter().filter(|spec| spec.section == section) {
                assert!(!words.contains(&&spec.text), "`{}` is a key", spec.text);
            }
        }
    }

    #[test]
    fn each_answer_names_a_key() {
        for words in all().filter(|words| words.remedy.starts_with("write")) {
            let named = KEYS
                .iter()
                .any(|spec| words.remedy.contains(&format!("`{}", spec.text)));
            assert!(named, "{}", words.remedy);
        }
    }
}
