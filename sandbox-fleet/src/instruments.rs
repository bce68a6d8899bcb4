//! What there is to measure of a fleet, for whichever library records it: by the crate `metrics`, with the recorder that the program has
//! installed (feature `metrics`), or with a meter of OpenTelemetry (feature `opentelemetry`).

#[cfg(feature = "metrics")]
use std::time::Duration;

/// A gauge, in seconds.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
const VIEW_AGE: &str = "sandboxed.fleet.view.age";
/// A counter, by [`EVENT`].
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
const EVENTS: &str = "sandboxed.fleet.events";
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
const EVENT: &str = "sandboxed.fleet.event";

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
const VIEW_AGE_DESCRIPTION: &str = "How old what this replica knows of the others is.";
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
const EVENTS_DESCRIPTION: &str = "How often the store has stopped to answer, and has answered again.";

/// What happens to the connection with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    Degraded,
    Recovered,
}

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
impl Happened {
    const fn as_str(self) -> &'static str {
        match self {
            Happened::Degraded => "degraded",
            Happened::Recovered => "recovered",
        }
    }
}

#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge};

    describe_gauge!(VIEW_AGE, Unit::Seconds, VIEW_AGE_DESCRIPTION);
    describe_counter!(EVENTS, Unit::Count, EVENTS_DESCRIPTION);
}

#[cfg(feature = "metrics")]
pub(crate) fn count(happened: Happened) {
    metrics::counter!(EVENTS, EVENT => happened.as_str()).increment(1);
}

#[cfg(feature = "metrics")]
pub(crate) fn age(age: Duration) {
    metrics::gauge!(VIEW_AGE).set(age.as_secs_f64());
}

/// Has a meter ask for the age of the view, and how often what has happened.
#[cfg(feature = "opentelemetry")]
pub(crate) fn observe(
    meter: &opentelemetry::metrics::Meter,
    age: impl Fn() -> Option<std::time::Duration> + Send + Sync + 'static,
    times: impl Fn(Happened) -> u64 + Send + Sync + 'static,
) {
    use opentelemetry::KeyValue;

    // Kept by the meter.
    let _ = meter
        .f64_observable_gauge(VIEW_AGE)
        .with_unit("s")
        .with_description(VIEW_AGE_DESCRIPTION)
        .with_callback(move |gauge| {
            if let Some(age) = age() {
                gauge.observe(age.as_secs_f64(), &[]);
            }
        })
        .build();
    let _ = meter
        .u64_observable_counter(EVENTS)
        .with_unit("{event}")
        .with_description(EVENTS_DESCRIPTION)
        .with_callback(move |counter| {
            for happened in [Happened::Degraded, Happened::Recovered] {
                counter.observe(times(happened), &[KeyValue::new(EVENT, happened.as_str())]);
            }
        })
        .build();
}
