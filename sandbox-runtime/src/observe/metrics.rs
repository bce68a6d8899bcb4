//! [`metrics()`]: measures calls by the crate `metrics`. Feature `metrics`.
//!
//! ```
//! use sandbox_runtime::observe::{metrics::metrics, observe};
//!
//! # fn main() {
//! // Beside the recorder or exporter, at the beginning of the program.
//! observe(metrics()).forever();
//! # }
//! ```
//!
//! | metric | kind, unit | labels beside `gen_ai.tool.name` |
//! |---|---|---|
//! | `gen_ai.execute_tool.duration` | histogram, s | `gen_ai.operation.name`, `error.type` |
//! | `sandboxed.attempt.duration` | histogram, s | `sandboxed.attempt.type` (`original`, `retry`), `error.type` |
//! | `sandboxed.retry.delay` | histogram, s | |
//! | `sandboxed.calls.active` | gauge, calls | |
//! | `sandboxed.calls.queued` | gauge, calls | |
//! | `sandboxed.call.stops` | counter, calls | `sandboxed.stop`: [why](super::Stop) no further attempt was made |
//! | `sandboxed.breaker.transitions` | counter | `sandboxed.breaker.from`, `sandboxed.breaker.to` |
//! | `sandboxed.breaker.rejections` | counter, calls | |
//! | `sandboxed.breaker.state.time` | counter, s | `resilience.circuit_breaker.state`: `closed`, `open`, `half_open`, `forced_open` |
//!
//! The times of a breaker's states are those of the breakers that the attribute has made, in whole seconds, and as of the last call
//! of their tool or up to a second before it: the library does not ask for them by itself.
//!
//! `error.type` is there if something failed: see [`error_type`](super::error_type).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use tokio::time::Instant;

use super::Observer;
use super::instruments::{
    ATTEMPT_DURATION, Attribute, BREAKER_REJECTIONS, BREAKER_STATE_TIME, BREAKER_TRANSITIONS, CALL_DURATION,
    CALL_STOPS, CALLS_ACTIVE, CALLS_QUEUED, Instrument, Instruments, RETRY_DELAY, Recorder, begin_breaker_times,
    breaker_times,
};
use crate::registry::ToolHandle;

const SECOND: Duration = Duration::from_secs(1);

/// An observer that measures calls by the crate `metrics`, with the recorder that the program has installed. See
/// [the module](self).
#[must_use]
pub fn metrics() -> impl Observer {
    for instrument in [CALL_DURATION, ATTEMPT_DURATION, RETRY_DELAY] {
        describe_histogram!(instrument.name, Unit::Seconds, instrument.description);
    }
    for instrument in [CALLS_ACTIVE, CALLS_QUEUED] {
        describe_gauge!(instrument.name, Unit::Count, instrument.description);
    }
    for instrument in [CALL_STOPS, BREAKER_TRANSITIONS, BREAKER_REJECTIONS] {
        describe_counter!(instrument.name, Unit::Count, instrument.description);
    }
    describe_counter!(BREAKER_STATE_TIME.name, Unit::Seconds, BREAKER_STATE_TIME.description);
    begin_breaker_times();
    Instruments(ByMetrics::default())
}

#[derive(Debug, Default)]
struct ByMetrics {
    /// What has been told of the breaker of each tool.
    told: Mutex<HashMap<usize, Told>>,
}

#[derive(Debug)]
struct Told {
    /// The seconds in each state: the library has no counters of parts of a second.
    seconds: [u64; 4],
    at: Instant,
}

fn labels(attributes: &[Attribute]) -> Vec<Label> {
    let labels = attributes
        .iter()
        .map(|(key, value)| Label::from_static_parts(key, value));
    labels.collect()
}

impl Recorder for ByMetrics {
    fn duration(&self, instrument: Instrument, duration: Duration, attributes: &[Attribute]) {
        histogram!(instrument.name, labels(attributes)).record(duration);
    }

    fn count(&self, instrument: Instrument, attributes: &[Attribute]) {
        counter!(instrument.name, labels(attributes)).increment(1);
    }

    fn change(&self, instrument: Instrument, by: i8, attributes: &[Attribute]) {
        gauge!(instrument.name, labels(attributes)).increment(f64::from(by));
    }

    fn times_may_be_told(&self, tool: &ToolHandle) {
        // Nothing panics while it is locked.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let told = match told.entry(tool.address()) {
            Entry::Vacant(new) => new.insert(Told {
                seconds: [0; 4],
                at: now,
            }),
            // Within a second, no number grows by more than one.
            Entry::Occupied(known) if now.saturating_duration_since(known.get().at) < SECOND => return,
            Entry::Occupied(known) => known.into_mut(),
        };
        told.at = now;
        for ((attributes, time), told) in breaker_times(tool).zip(&mut told.seconds) {
            let (seconds, before) = (time.as_secs(), std::mem::replace(told, time.as_secs()));
            if seconds > before {
                counter!(BREAKER_STATE_TIME.name, labels(&attributes)).increment(seconds - before);
            }
        }
    }
}
