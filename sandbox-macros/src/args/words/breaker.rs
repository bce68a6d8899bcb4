//! What other libraries call a setting of a breaker.

use super::{Section, Words};

const fn breaker(words: &'static [&'static str], remedy: &'static str) -> Words {
    Words {
        section: Section::Breaker,
        words,
        remedy,
    }
}

pub(super) const BREAKER: &[Words] = &[
    breaker(
        &[
            "failures",
            "max_failures",
            "failure_threshold",
            "consecutive_failures",
            "errors",
            "trip_after",
            "limit",
        ],
        "write `threshold = 5`, the failures in a row that open it",
    ),
    breaker(
        &[
            "cooldown",
            "reset_timeout",
            "reset_timeout_ms",
            "reset_ms",
            "recovery_timeout",
            "recovery_timeout_ms",
            "open_ms",
            "open_duration",
            "open_for_ms",
            "sleep_window",
            "sleep_window_ms",
            "wait_duration",
            "break_duration",
            "timeout",
        ],
        "write `cooldown_ms = 30_000`, how long it stays open",
    ),
    breaker(
        &["cooldown_max", "max_cooldown", "max_cooldown_ms", "max_open_ms"],
        "write `cooldown_max_ms = 300_000`, up to which the cooldown doubles",
    ),
    breaker(
        &[
            "half_open",
            "half_open_max_calls",
            "half_open_calls",
            "half_open_attempts",
            "success_threshold",
            "successes",
            "probe",
            "permitted_calls",
            "trials",
        ],
        "write `probes = 1`, how many successes close it",
    ),
    breaker(
        &[
            "rate",
            "error_rate",
            "failure_ratio",
            "failure_rate_threshold",
            "error_threshold",
            "ratio",
            "percent",
            "failure_percent",
        ],
        "write `failure_rate = 0.5`, a share of the window",
    ),
    breaker(
        &[
            "window_size",
            "sliding_window",
            "sliding_window_size",
            "size",
            "samples",
            "buckets",
            "minimum_calls",
            "min_calls",
            "minimum_throughput",
            "volume_threshold",
            "request_volume",
        ],
        "write `window = 20`, how many results are judged",
    ),
    breaker(
        &[
            "slow",
            "slow_ms",
            "slow_call",
            "slow_calls",
            "slow_call_duration",
            "slow_call_duration_ms",
            "slow_call_duration_threshold",
            "slow_call_threshold",
            "slow_call_threshold_ms",
            "slow_threshold",
            "slow_threshold_ms",
            "max_latency",
            "max_latency_ms",
            "latency_ms",
            "latency_threshold",
            "latency_threshold_ms",
        ],
        "write `slow_call_ms = 2_000`: a success that took longer counts as a failure",
    ),
    breaker(
        &["slow_call_rate", "slow_call_rate_threshold", "slow_rate"],
        "there is one rate for both: write `slow_call_ms = 2_000`, and slow calls count as failures",
    ),
    breaker(
        &[
            "forget",
            "forget_after",
            "forget_after_ms",
            "decay_ms",
            "expire_ms",
            "failure_ttl_ms",
            "interval",
            "interval_ms",
            "failure_window",
            "failure_window_ms",
            "window_ms",
            "window_duration",
            "time_window",
            "sampling_duration",
            "sampling_duration_ms",
            "within_ms",
        ],
        "write `forget_ms = 60_000`, after which a failure begins a new row, or `window = 20` for the latest results",
    ),
    breaker(
        &["enabled", "off", "disabled", "disable"],
        "write `breaker = off` for a tool without a breaker",
    ),
];
