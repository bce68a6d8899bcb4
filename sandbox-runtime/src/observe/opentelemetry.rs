//! [`instruments`]: measures calls by `opentelemetry`, with its API alone. Feature `opentelemetry`.
//!
//! ```
//! use opentelemetry::global;
//! use sandbox_runtime::observe::{observe, opentelemetry::instruments};
//!
//! # fn main() {
//! // When the meter provider has been set, at the beginning of the program.
//! observe(instruments(&global::meter("shop"))).forever();
//! # }
//! ```
//!
//! | instrument | kind, unit | attributes beside `gen_ai.tool.name` |
//! |---|---|---|
//! | `gen_ai.execute_tool.duration` | histogram, `s` | `gen_ai.operation.name`, `error.type` |
//! | `sandboxed.attempt.duration` | histogram, `s` | `sandboxed.attempt.type` (`original`, `retry`), `error.type` |
//! | `sandboxed.retry.delay` | histogram, `s` | |
//! | `sandboxed.calls.active` | up-down counter, `{call}` | |
//! | `sandboxed.calls.queued` | up-down counter, `{call}` | |
//! | `sandboxed.call.stops` | counter, `{call}` | `sandboxed.stop`: [why](super::Stop) no further attempt was made |
//! | `sandboxed.breaker.transitions` | counter, `{transition}` | `sandboxed.breaker.from`, `sandboxed.breaker.to` |
//! | `sandboxed.breaker.rejections` | counter, `{call}` | |
//! | `sandboxed.breaker.state.time` | counter, `s` | `resilience.circuit_breaker.state`: `closed`, `open`, `half_open`, `forced_open` |
//!
//! The times of a breaker's states are those of the breakers that the attribute has made, from when this is called.
//!
//! `error.type` is there if something failed: see [`error_type`](super::error_type).

use std::collections::HashMap;
use std::time::Duration;

use ::opentelemetry::KeyValue;
use ::opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use super::Observer;
use super::instruments::{
    ATTEMPT_DURATION, Attribute, BREAKER_REJECTIONS, BREAKER_STATE_TIME, BREAKER_TRANSITIONS, CALL_DURATION,
    CALL_STOPS, CALLS_ACTIVE, CALLS_QUEUED, DURATION_BUCKETS, Instrument, Instruments, RETRY_DELAY, Recorder,
    begin_breaker_times, breaker_times,
};
use crate::registry::tools;

/// An observer that measures calls with instruments of `meter`. See [the module](self).
#[must_use]
pub fn instruments(meter: &Meter) -> impl Observer + use<> {
    begin_breaker_times();
    let duration = |instrument: Instrument| {
        let histogram = meter.f64_histogram(instrument.name).with_unit(instrument.unit);
        let histogram = histogram.with_boundaries(DURATION_BUCKETS.to_vec());
        (instrument, histogram.with_description(instrument.description).build())
    };
    let count = |instrument: Instrument| {
        let counter = meter.u64_counter(instrument.name).with_unit(instrument.unit);
        (instrument, counter.with_description(instrument.description).build())
    };
    let number = |instrument: Instrument| {
        let number = meter.i64_up_down_counter(instrument.name).with_unit(instrument.unit);
        (instrument, number.with_description(instrument.description).build())
    };
    observe_breaker_times(meter);
    Instruments(ByMeter {
        durations: [CALL_DURATION, ATTEMPT_DURATION, RETRY_DELAY].map(duration),
        counts: [CALL_STOPS, BREAKER_TRANSITIONS, BREAKER_REJECTIONS].map(count),
        numbers: [CALLS_ACTIVE, CALLS_QUEUED].map(number),
    })
}

/// Lets the meter ask for the times when it collects, so that they grow also while nothing is called.
fn observe_breaker_times(meter: &Meter) {
    let counter = meter
        .f64_observable_counter(BREAKER_STATE_TIME.name)
        .with_unit(BREAKER_STATE_TIME.unit)
        .with_description(BREAKER_STATE_TIME.description);
    // The meter keeps it.
    let _ = counter
        .with_callback(|meter| {
            // Tools of one name are one series, and one observation of it.
            let mut sums = HashMap::<[Attribute; 2], f64>::new();
            for (attributes, time) in tools().iter().flat_map(breaker_times) {
                *sums.entry(attributes).or_default() += time.as_secs_f64();
            }
            for (attributes, seconds) in sums {
                meter.observe(seconds, &key_values(&attributes));
            }
        })
        .build();
}

#[derive(Debug)]
struct ByMeter {
    durations: [(Instrument, Histogram<f64>); 3],
    counts: [(Instrument, Counter<u64>); 3],
    numbers: [(Instrument, UpDownCounter<i64>); 2],
}

fn key_values(attributes: &[Attribute]) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| KeyValue::new(*key, *value))
        .collect()
}

fn find<T>(instruments: &[(Instrument, T)], meant: Instrument) -> Option<&T> {
    let (_, found) = instruments.iter().find(|(instrument, _)| *instrument == meant)?;
    Some(found)
}

impl Recorder for ByMeter {
    fn duration(&self, instrument: Instrument, duration: Duration, attributes: &[Attribute]) {
        if let Some(histogram) = find(&self.durations, instrument) {
            histogram.record(duration.as_secs_f64(), &key_values(attributes));
        }
    }

    fn count(&self, instrument: Instrument, attributes: &[Attribute]) {
        if let Some(counter) = find(&self.counts, instrument) {
            counter.add(1, &key_values(attributes));
        }
    }

    fn change(&self, instrument: Instrument, by: i8, attributes: &[Attribute]) {
        if let Some(number) = find(&self.numbers, instrument) {
            number.add(by.into(), &key_values(attributes));
        }
    }
}
