//! What other libraries call a limit to how many calls are made.

use super::{Section, Words, attribute};

const fn rate(words: &'static [&'static str], remedy: &'static str) -> Words {
    Words {
        section: Section::Rate,
        words,
        remedy,
    }
}

pub(super) const LIMITS: &[Words] = &[
    rate(
        &[
            "limit",
            "max",
            "count",
            "n",
            "requests",
            "limit_for_period",
            "permits",
            "burst",
            "tokens",
        ],
        "write `calls = 10`",
    ),
    rate(
        &[
            "per",
            "period",
            "period_ms",
            "interval",
            "interval_ms",
            "window",
            "window_ms",
            "limit_refresh_period",
        ],
        "write `per_ms = 1_000`, in milliseconds",
    ),
    rate(
        &[
            "per_s",
            "per_sec",
            "per_second",
            "per_seconds",
            "per_minute",
            "rps",
            "rpm",
        ],
        "write `per_ms = 1_000`: it is in milliseconds",
    ),
    attribute(
        &[
            "concurrency",
            "concurrency_limit",
            "max_concurrency",
            "concurrent",
            "max_parallel",
            "parallelism",
            "bulkhead",
            "max_concurrent_calls",
            "max_in_flight",
            "semaphore",
        ],
        "write `max_concurrent = 8`",
    ),
    attribute(
        &[
            "queue",
            "queue_timeout",
            "queue_timeout_ms",
            "max_wait_duration",
            "acquire_timeout",
        ],
        "write `queue_ms = 1_000`, in milliseconds",
    ),
    attribute(
        &[
            "rate_limit",
            "rate_limiter",
            "ratelimit",
            "limiter",
            "throttle",
            "quota",
            "calls_per_second",
            "rps",
            "requests_per_second",
            "qps",
        ],
        "write `rate(calls = 10, per_ms = 1_000)`",
    ),
];
