//! The engine's promises, one file each. Time is tokio's paused clock: every expectation about it is exact.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

mod attempts_know_themselves;
mod breaker_by_hand;
mod breaker_in_calls;
mod calls_within_calls;
mod cancellation;
mod contract;
mod deadlines;
mod dropped_anywhere;
mod extremes;
mod failures;
mod failures_are_forgotten;
mod half_open_decides;
mod idempotence;
mod jitter;
mod marks;
mod model_texts;
mod panics;
mod reports;
mod retries;
mod run_budgets;
mod run_membership;
mod slow_calls;
mod time_limit;
mod typed_tools;
mod verdicts;
