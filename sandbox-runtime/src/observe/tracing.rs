//! [`Spans`]: a span for each call, and events for what happens in it, by [`tracing`]. Feature `tracing`.
//!
//! ```
//! use sandbox_runtime::observe::{observe, tracing::Spans};
//!
//! # fn main() {
//! // Beside the subscriber, at the beginning of the program.
//! observe(Spans).forever();
//! # }
//! ```
//!
//! The span of a call has the target `sandbox_runtime`, the level INFO and the name `execute_tool`. All attempts and delays are in
//! it, and what the tool itself traces. Its fields are those of [OpenTelemetry's conventions for generative AI][conventions]
//! (schema 1.42.0, in development):
//!
//! | field | value |
//! |---|---|
//! | `otel.name`, `otel.kind` | `execute_tool NAME`, `internal` |
//! | `gen_ai.operation.name`, `gen_ai.tool.type` | `execute_tool`, `function` |
//! | `gen_ai.tool.name`, `gen_ai.tool.call.id` | the tool's name, and [`CallId`] |
//! | `error.type`, `otel.status_code`, `otel.status_description` | if the call failed: [the kind](super::error_type), `ERROR`, and why it ended |
//!
//! | event | level |
//! |---|---|
//! | an attempt starts or succeeds | TRACE |
//! | an attempt failed and is retried; a call was refused, cancelled, dropped, or is the caller's fault | DEBUG |
//! | a breaker is half-open or closed | INFO |
//! | a call failed; a breaker opened | WARN |
//!
//! A call that succeeds at its first attempt has only events at TRACE. No argument and no result is recorded.
//!
//! With `#[instrument]` above `#[sandboxed]`, its span is around this one; below, there is one for each attempt in it.
//!
//! [conventions]: https://github.com/open-telemetry/semantic-conventions-genai

use std::fmt;
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Level, Span, debug, field, info, level_enabled, span, trace, warn};

use super::{AttemptOutcome, BreakerPhase, Enclosure, Event, Happened, ObservedTool, Observer, Stop, error_type};
use crate::call::current::CallId;
use crate::failure::Failure;

/// An [`Observer`] that traces calls. See [the module](self).
#[derive(Debug, Clone, Copy, Default)]
pub struct Spans;

impl Observer for Spans {
    fn wants(&self, _: &ObservedTool) -> bool {
        // Without a subscriber, and with one for errors alone, a call is as if nobody observed it.
        level_enabled!(Level::WARN)
    }

    fn on_event(&self, event: &Event<'_>) {
        if let Happened::BreakerChanged { .. } = event.happened {
            breaker_changed(event);
        }
    }

    fn enclose(&self, tool: &ObservedTool, call_id: CallId) -> Option<Box<dyn Enclosure>> {
        let span = span!(
            target: TARGET,
            Level::INFO,
            "execute_tool",
            otel.name = field::display(format_args!("execute_tool {}", tool.name)),
            otel.kind = "internal",
            otel.status_code = Empty,
            otel.status_description = Empty,
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = tool.name,
            gen_ai.tool.r#type = "function",
            gen_ai.tool.call.id = field::display(call_id),
            error.r#type = Empty,
        );
        Some(Box::new(CallSpan(span)))
    }
}

const TARGET: &str = "sandbox_runtime";

/// The span of one call.
struct CallSpan(Span);

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Enclosure for CallSpan {
    fn poll_began(&self) {
        self.0.with_subscriber(|(id, subscriber)| subscriber.enter(id));
    }

    fn poll_ended(&self) {
        self.0.with_subscriber(|(id, subscriber)| subscriber.exit(id));
    }

    fn on_event(&self, event: &Event<'_>) {
        self.0.in_scope(|| match event.happened {
            Happened::AttemptStarted { attempt, .. } => trace!(target: TARGET, attempt, "attempt started"),
            Happened::AttemptEnded {
                attempt,
                outcome: AttemptOutcome::Succeeded,
                elapsed,
                ..
            } => trace!(target: TARGET, attempt, elapsed_ms = millis(elapsed), "attempt succeeded"),
            Happened::AttemptEnded {
                attempt,
                outcome,
                elapsed,
                ..
            } => debug!(target: TARGET, attempt, ?outcome, elapsed_ms = millis(elapsed), "attempt ended"),
            Happened::RetryScheduled {
                attempt, delay, from, ..
            } => debug!(target: TARGET, attempt, delay_ms = millis(delay), ?from, "attempt is retried"),
            Happened::CallEnded {
                stop,
                attempts,
                elapsed,
                failure,
                ..
            } => self.call_ended(stop, attempts, elapsed, failure),
            _ => {}
        });
    }
}

impl CallSpan {
    fn call_ended(&self, stop: Stop, attempts: u32, elapsed: Duration, failure: Option<&Failure>) {
        let elapsed_ms = millis(elapsed);
        let Some(error) = error_type(stop, failure) else {
            return;
        };
        self.0.record("error.type", error);
        self.0.record("otel.status_code", "ERROR");
        self.0.record("otel.status_description", stop.as_str());
        let stop = stop.as_str();
        let failure = failure.map(field::display);
        match error {
            "cancelled" => debug!(target: TARGET, stop, attempts, elapsed_ms, "call ended"),
            "circuit_breaker_open" if attempts == 0 => {
                debug!(target: TARGET, stop, failure, "call refused");
            }
            _ if stop == "ignored" => debug!(target: TARGET, stop, attempts, elapsed_ms, "call ended"),
            _ => warn!(target: TARGET, stop, attempts, elapsed_ms, failure, "call failed"),
        }
    }
}

fn breaker_changed(event: &Event<'_>) {
    let Happened::BreakerChanged {
        from,
        to,
        cause,
        failures,
        ..
    } = event.happened
    else {
        return;
    };
    let (tool, from, state) = (event.tool.name, from.as_str(), to.as_str());
    match to {
        BreakerPhase::Open | BreakerPhase::ForcedOpen => {
            warn!(target: TARGET, { gen_ai.tool.name = tool, breaker.from = from, breaker.state = state, ?cause, failures }, "breaker changed");
        }
        BreakerPhase::HalfOpen | BreakerPhase::Closed => {
            info!(target: TARGET, { gen_ai.tool.name = tool, breaker.from = from, breaker.state = state, ?cause, failures }, "breaker changed");
        }
    }
}

fn millis(duration: Duration) -> u64 {
    crate::failure::millis(duration)
}
