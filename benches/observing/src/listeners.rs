//! Those that are told of calls, by every library. They drop what they are told, and count it.

use std::cell::Cell;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use opentelemetry::metrics as otel;
use opentelemetry::metrics::{
    HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, MeterProvider as _, NoopMeterProvider,
    SyncInstrument,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Subscriber};

thread_local! {
    static TOLD: Cell<u64> = const { Cell::new(0) };
}

/// How many spans, events and measurements this thread has told of.
pub(crate) fn told() -> u64 {
    TOLD.get()
}

pub(crate) fn tell() {
    TOLD.set(TOLD.get() + 1);
}

/// Makes a subscriber that drops everything the program's.
pub(crate) fn subscribe(level: Level) {
    tracing::subscriber::set_global_default(Dropping(level)).expect("there is no other");
}

struct Dropping(Level);

impl Subscriber for Dropping {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.0
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.into())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        tell();
        Id::from_u64(told())
    }

    fn event(&self, _: &tracing::Event<'_>) {
        tell();
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Makes a recorder that drops everything the program's.
pub(crate) fn install_recorder() {
    metrics::set_global_recorder(Dropped).expect("there is no other");
}

struct Dropped;

impl Recorder for Dropped {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        tell();
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        tell();
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        tell();
        Histogram::noop()
    }
}

pub(crate) fn no_meter() -> Meter {
    NoopMeterProvider::new().meter("benchmark")
}

/// A meter that drops everything.
pub(crate) fn meter() -> Meter {
    Meters.meter("benchmark")
}

/// Provides it.
pub(crate) struct Meters;

impl otel::MeterProvider for Meters {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(Dropped))
    }
}

impl InstrumentProvider for Dropped {
    fn u64_counter(&self, _: InstrumentBuilder<'_, otel::Counter<u64>>) -> otel::Counter<u64> {
        otel::Counter::new(Arc::new(Dropped))
    }

    fn i64_up_down_counter(&self, _: InstrumentBuilder<'_, otel::UpDownCounter<i64>>) -> otel::UpDownCounter<i64> {
        otel::UpDownCounter::new(Arc::new(Dropped))
    }

    fn f64_histogram(&self, _: HistogramBuilder<'_, otel::Histogram<f64>>) -> otel::Histogram<f64> {
        otel::Histogram::new(Arc::new(Dropped))
    }
}

impl<T> SyncInstrument<T> for Dropped {
    fn measure(&self, _: T, _: &[KeyValue]) {
        tell();
    }
}
