//! [`Spans`]: a span for each call, and events for what happens in it, by [`tracing`]. Feature `tracing`.
//!
//! ```
//! use sandbox_runtime::observe::{observe, tracing::Spans};
//!
//! # fn main() {
//! // Beside the subscriber, at the beginning of the program.
//! observe(Spans::new()).forever();
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
//! | `error.type` | if the call failed: [the kind](super::error_type) |
//! | `otel.status_code`, `otel.status_description` | if that is not its caller's doing or fault: `ERROR`, and why it ended |
//! | `sandboxed.stop`, `sandboxed.attempts` | why it [ended](super::Stop), and how many attempts were begun |
//!
//! In an MCP server in `mcp::Sandboxed`, the call that answers a client's request and the request are one span:
//! `tools/call`, named `tools/call NAME`, of kind `server`, with `mcp.method.name`, `mcp.session.id` (over HTTP, with the feature
//! `rmcp-http`), `mcp.protocol.version`, `jsonrpc.request.id` and `network.transport` beside the fields above. If the span around it
//! has a field `mcp.method.name`, the request is traced already: the fields are recorded there, as far as it declares them, and no
//! second span is made. With the feature `opentelemetry`, the span is in the trace that the client has begun (`traceparent` in
//! `_meta`, read by the global propagator): below what the client was doing, or below a span around it in the same trace.
//!
//! | event | level |
//! |---|---|
//! | an attempt starts or succeeds | TRACE |
//! | an attempt failed and is retried; a call was refused, cancelled, dropped, or is the caller's fault | DEBUG |
//! | a breaker is half-open or closed | INFO |
//! | a call failed; a breaker opened; a poll took longer than 100 ms; an operator has switched a tool off or on | WARN |
//!
//! A call that succeeds at its first attempt has only events at TRACE. No argument and no result is recorded.
//!
//! With `#[instrument]` above `#[sandboxed]`, there is a span of the function for each attempt in this one, because what stands above is
//! expanded first and becomes a part of the body; below, its span is around this one.
//!
//! [conventions]: https://github.com/open-telemetry/semantic-conventions-genai

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Level, Span, debug, error, field, info, level_enabled, span, trace, warn};

use super::{
    Action, AttemptOutcome, BreakerPhase, Enclose, Enclosure, Event, Happened, ObservedTool, Observer, ServedRequest,
    Stop, error_of_attempt, error_type,
};
use crate::call::current::CallId;
use crate::failure::Failure;

/// An [`Observer`] that traces calls. See [the module](self). If several are attached, the first makes the span, and the others are
/// not told of the call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spans {
    spans_of_attempts: bool,
}

impl Spans {
    /// One span for a call, in which its attempts are events.
    #[must_use]
    pub const fn new() -> Spans {
        Spans {
            spans_of_attempts: false,
        }
    }

    /// A span for each attempt, too, inside that of the call: `attempt`, at INFO, with its number, and with `error.type` and
    /// `otel.status_code` if it failed. What the tool traces is in it.
    #[must_use]
    pub const fn with_attempts(mut self) -> Spans {
        self.spans_of_attempts = true;
        self
    }
}

/// Tells whether somebody listens. Without a subscriber, and with one for errors alone, a call is as if nobody observed it.
pub(super) fn is_awake() -> bool {
    level_enabled!(Level::WARN)
}

impl Observer for Spans {
    fn on_event(&self, event: &Event<'_>) {
        match event.happened {
            Happened::BreakerChanged { .. } => breaker_changed(event),
            Happened::OperatorActed { action, reason } => {
                let (tool, word) = (event.tool.name, action.as_str());
                match action {
                    Action::Overridden | Action::Restored => {
                        info!(target: TARGET, { gen_ai.tool.name = tool, action = word }, "overrides applied");
                    }
                    _ => warn!(target: TARGET, { gen_ai.tool.name = tool, action = word, reason }, "operator acted"),
                }
            }
            Happened::OverridesRefused { error } => error!(target: TARGET, %error, "overrides not applied"),
            _ => {}
        }
    }

    fn encloser(&self) -> Option<&dyn Enclose> {
        Some(self)
    }
}

impl Enclose for Spans {
    fn is_awake(&self) -> bool {
        is_awake()
    }

    fn enclose(&self, tool: &ObservedTool, call_id: CallId, request: Option<&ServedRequest>) -> Box<dyn Enclosure> {
        Box::new(CallSpan {
            call: span_of_call(tool, call_id, request),
            attempt: self.spans_of_attempts.then(Mutex::default),
        })
    }
}

const TARGET: &str = "sandbox_runtime";

fn span_of_call(tool: &ObservedTool, call_id: CallId, request: Option<&ServedRequest>) -> Span {
    match request {
        None => span!(
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
            sandboxed.stop = Empty,
            sandboxed.attempts = Empty,
        ),
        Some(request) => traced_request(request, call_id).unwrap_or_else(|| span_of_request(request, call_id)),
    }
}

/// The span around, if it is that of the request: it gets what the span of the call would have.
fn traced_request(request: &ServedRequest, call_id: CallId) -> Option<Span> {
    let span = Span::current();
    if !span.has_field("mcp.method.name") {
        return None;
    }
    span.record("gen_ai.operation.name", "execute_tool");
    span.record("gen_ai.tool.name", &*request.tool);
    span.record("gen_ai.tool.type", "function");
    span.record("gen_ai.tool.call.id", field::display(call_id));
    Some(span)
}

/// A request to an MCP server and the call that answers it are one span, of the server.
fn span_of_request(request: &ServedRequest, call_id: CallId) -> Span {
    span!(
        target: TARGET,
        Level::INFO,
        "tools/call",
        otel.name = field::display(format_args!("tools/call {}", request.tool)),
        otel.kind = "server",
        otel.status_code = Empty,
        otel.status_description = Empty,
        mcp.method.name = "tools/call",
        mcp.session.id = request.session.as_deref(),
        mcp.protocol.version = request.protocol.as_deref(),
        jsonrpc.request.id = &*request.id,
        network.transport = request.transport,
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = &*request.tool,
        gen_ai.tool.r#type = "function",
        gen_ai.tool.call.id = field::display(call_id),
        error.r#type = Empty,
        sandboxed.stop = Empty,
        sandboxed.attempts = Empty,
    )
}

/// The span of one call.
#[derive(Debug)]
struct CallSpan {
    call: Span,
    /// That of the attempt under way, where attempts have spans.
    attempt: Option<Mutex<Option<AttemptSpan>>>,
}

#[derive(Debug)]
struct AttemptSpan {
    span: Span,
    is_entered: bool,
}

impl AttemptSpan {
    fn enter(&mut self) {
        if !std::mem::replace(&mut self.is_entered, true) {
            enter(&self.span);
        }
    }

    /// An attempt that is dropped between polls has left its span before.
    fn exit(&mut self) {
        if std::mem::take(&mut self.is_entered) {
            exit(&self.span);
        }
    }
}

impl Enclosure for CallSpan {
    fn poll_began(&self) {
        enter(&self.call);
        self.with_attempt(AttemptSpan::enter);
    }

    fn poll_ended(&self) {
        self.with_attempt(AttemptSpan::exit);
        exit(&self.call);
    }

    fn on_event(&self, event: &Event<'_>) {
        match event.happened {
            Happened::AttemptStarted { attempt, .. } => self.attempt_started(attempt),
            Happened::AttemptEnded { outcome, .. } => self.attempt_ended(outcome),
            _ => {}
        }
        self.call.in_scope(|| match event.happened {
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
            } => debug!(target: TARGET, attempt, outcome = outcome.as_str(), elapsed_ms = millis(elapsed), "attempt ended"),
            Happened::RetryScheduled {
                attempt, delay, from, ..
            } => debug!(target: TARGET, attempt, delay_ms = millis(delay), from = from.as_str(), "attempt is retried"),
            Happened::ThreadBlocked { elapsed } => {
                warn!(target: TARGET, elapsed_ms = millis(elapsed), "thread blocked");
            }
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
    fn attempt_started(&self, attempt: u32) {
        let Some(current) = &self.attempt else {
            return;
        };
        let span = span!(
            target: TARGET,
            parent: &self.call,
            Level::INFO,
            "attempt",
            otel.kind = "internal",
            otel.status_code = Empty,
            attempt,
            error.r#type = Empty,
        );
        let mut attempt = AttemptSpan {
            span,
            is_entered: false,
        };
        // An attempt begins within a poll.
        attempt.enter();
        *locked(current) = Some(attempt);
    }

    fn attempt_ended(&self, outcome: AttemptOutcome) {
        let ended = self.attempt.as_ref().and_then(|current| locked(current).take());
        if let Some(mut ended) = ended {
            if let Some(error) = error_of_attempt(outcome) {
                ended.span.record("error.type", error);
                ended.span.record("otel.status_code", "ERROR");
            }
            ended.exit();
        }
    }

    fn with_attempt(&self, act: impl FnOnce(&mut AttemptSpan)) {
        if let Some(current) = &self.attempt
            && let Some(attempt) = &mut *locked(current)
        {
            act(attempt);
        }
    }

    fn call_ended(&self, stop: Stop, attempts: u32, elapsed: Duration, failure: Option<&Failure>) {
        let elapsed_ms = millis(elapsed);
        self.call.record("sandboxed.stop", stop.as_str());
        self.call.record("sandboxed.attempts", attempts);
        let Some(error) = error_type(stop, failure) else {
            return;
        };
        self.call.record("error.type", error);
        // What its caller did, or what is the caller's fault, does not make it an error of the tool: a server treats requests that
        // it cannot understand in the same way.
        if !matches!(stop, Stop::Ignored | Stop::Cancelled | Stop::Dropped) {
            self.call.record("otel.status_code", "ERROR");
            self.call.record("otel.status_description", stop.as_str());
        }
        let stop = stop.as_str();
        let failure = failure.map(field::display);
        match error {
            "cancelled" => debug!(target: TARGET, stop, attempts, elapsed_ms, "call ended"),
            "circuit_breaker_open" | "disabled" if attempts == 0 => {
                debug!(target: TARGET, stop, failure, "call refused");
            }
            _ if stop == "ignored" => debug!(target: TARGET, stop, attempts, elapsed_ms, "call ended"),
            _ => warn!(target: TARGET, stop, attempts, elapsed_ms, failure, "call failed"),
        }
    }
}

fn locked<T>(current: &Mutex<T>) -> MutexGuard<'_, T> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enter(span: &Span) {
    span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
}

fn exit(span: &Span) {
    span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
}

fn breaker_changed(event: &Event<'_>) {
    let Happened::BreakerChanged {
        from,
        to,
        cause,
        failures,
        error_type,
        ..
    } = event.happened
    else {
        return;
    };
    let (tool, cause) = (event.tool.name, cause.as_str());
    let (from, state) = (from.as_str(), to.as_str());
    match to {
        BreakerPhase::Open | BreakerPhase::ForcedOpen => {
            warn!(target: TARGET, { gen_ai.tool.name = tool, breaker.from = from, breaker.state = state, cause, failures, error.r#type = error_type }, "breaker changed");
        }
        BreakerPhase::HalfOpen | BreakerPhase::Closed => {
            info!(target: TARGET, { gen_ai.tool.name = tool, breaker.from = from, breaker.state = state, cause, failures, error.r#type = error_type }, "breaker changed");
        }
    }
}

fn millis(duration: Duration) -> u64 {
    crate::failure::millis(duration)
}
