//! How old what a replica knows is, and how often its store was gone, by both libraries. A program of its own: there is one recorder in a
//! process.

#![cfg(all(feature = "metrics", feature = "opentelemetry"))]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use sandbox_fleet::Fleet;
use sandbox_fleet::store::memory::MemoryStore;
use tokio::time::sleep;

/// A reader that collects on the thread of the test, whose clock is paused.
#[derive(Debug, Clone, Default)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[tokio::test(start_paused = true)]
async fn by_both_libraries() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let reader = Reader::default();
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let store = MemoryStore::new();
    let fleet = Fleet::over(store.clone()).join().await.unwrap();
    fleet.instruments(&provider.meter("tests"));
    store.be_gone(true);
    sleep(Duration::from_secs(10)).await;

    let mut seen = Vec::new();
    for (key, unit, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| (label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Gauge(age) if (9.0..=10.0).contains(&*age) => 10,
            other => panic!("{key:?}: {other:?}"),
        };
        seen.push(format!(
            "{} {} {labels:?} {value}",
            key.key().name(),
            unit.unwrap().as_str()
        ));
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            r#"sandboxed.fleet.events count [("sandboxed.fleet.event", "degraded")] 1"#,
            "sandboxed.fleet.view.age seconds [] 10",
        ]
    );

    let mut collected = ResourceMetrics::default();
    reader.collect(&mut collected).unwrap();
    let mut seen = Vec::new();
    for metric in collected.scope_metrics().flat_map(|scope| scope.metrics()) {
        let values: Vec<_> = match metric.data() {
            AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                let ages = gauge.data_points().map(|point| format!("{:.0}", point.value()));
                ages.collect()
            }
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                let points = sum.data_points().map(|point| {
                    let event = point.attributes().next().expect("each has one");
                    format!("{}={} {}", event.key, event.value, point.value())
                });
                let mut values: Vec<_> = points.collect();
                values.sort();
                values
            }
            other => panic!("{other:?}"),
        };
        seen.push(format!("{} {} {values:?}", metric.name(), metric.unit()));
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            r#"sandboxed.fleet.events {event} ["sandboxed.fleet.event=degraded 1", "sandboxed.fleet.event=recovered 0"]"#,
            r#"sandboxed.fleet.view.age s ["10"]"#,
        ]
    );
}
