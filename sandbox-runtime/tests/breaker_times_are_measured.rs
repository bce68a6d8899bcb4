//! How long a breaker has been in each state is a counter that grows while it is there, and not only when it leaves. In a process of
//! its own, whose only tool this is.

#![cfg(all(feature = "metrics", feature = "opentelemetry"))]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use sandbox_runtime::observe::{metrics, observe, opentelemetry as otel};
use sandbox_runtime::sandboxed;
use tokio::time::advance;

const NAME: &str = "sandboxed.breaker.state.time";

#[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 2_500))]
async fn search(works: bool) -> Result<(), String> {
    if works { Ok(()) } else { Err("down".into()) }
}

struct Index;
struct Archive;

impl Index {
    #[sandboxed(max_retries = 0)]
    async fn of_two_types(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Archive {
    #[sandboxed(max_retries = 0)]
    async fn of_two_types(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Seconds by state.
type Times = BTreeMap<String, f64>;

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

fn of_opentelemetry(reader: &Reader, tool: &str) -> Times {
    let mut exported = ResourceMetrics::default();
    reader.collect(&mut exported).unwrap();
    let scopes = exported.scope_metrics();
    let metrics: Vec<_> = scopes.flat_map(|scope| scope.metrics()).collect();
    let metric = metrics.iter().find(|metric| metric.name() == NAME).unwrap();
    assert_eq!(metric.unit(), "s");
    let AggregatedMetrics::F64(MetricData::Sum(sum)) = metric.data() else {
        panic!("it is a sum: {metric:?}");
    };
    assert!(sum.is_monotonic(), "it only grows");
    let points = sum.data_points().map(|point| {
        let pairs = point
            .attributes()
            .map(|pair| (pair.key.to_string(), pair.value.to_string()));
        (pairs.collect::<BTreeMap<_, _>>(), point.value())
    });
    let of_tool = points.filter(|(pairs, _)| pairs["gen_ai.tool.name"] == tool);
    let times = of_tool.map(|(pairs, value)| (pairs["resilience.circuit_breaker.state"].clone(), value));
    times.collect()
}

/// Adds what has been counted since the last snapshot.
fn add_metrics(snapshotter: &Snapshotter, times: &mut BTreeMap<String, u64>) {
    for (composite, _, _, value) in snapshotter.snapshot().into_vec() {
        let (_, metric) = composite.into_parts();
        if let (NAME, DebugValue::Counter(seconds)) = (metric.name(), value) {
            let labels: BTreeMap<_, _> = metric.labels().map(|label| (label.key(), label.value())).collect();
            let (tool, state) = (labels["gen_ai.tool.name"], labels["resilience.circuit_breaker.state"]);
            *times.entry(format!("{tool} {state}")).or_default() += seconds;
        }
    }
}

fn times(closed: f64, open: f64, half_open: f64) -> Times {
    let states = [
        ("closed", closed),
        ("open", open),
        ("half_open", half_open),
        ("forced_open", 0.0),
    ];
    states.map(|(state, seconds)| (state.to_owned(), seconds)).into()
}

#[tokio::test(start_paused = true)]
async fn while_it_is_there() {
    let reader = Reader::default();
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recorder = ::metrics::set_default_local_recorder(&recorder);
    let _observing = (
        observe(metrics::metrics()),
        observe(otel::instruments(&provider.meter("test"))),
    );
    let collected = || of_opentelemetry(&reader, "search");
    let mut counted = BTreeMap::new();

    advance(Duration::from_millis(1_250)).await;
    assert_eq!(collected(), times(1.25, 0.0, 0.0), "before the first call");
    search(false).await.expect_err("it opens the breaker");
    advance(Duration::from_millis(750)).await;
    assert_eq!(collected(), times(1.25, 0.75, 0.0), "while it is open");
    advance(Duration::from_millis(2_000)).await;
    search(true).await.expect("a probe closes it");
    advance(Duration::from_millis(1_750)).await;
    search(true).await.expect("it is closed");
    assert_eq!(collected(), times(3.0, 2.75, 0.0));

    for _ in 0..2 {
        Index.of_two_types().await.expect("it works");
        Archive.of_two_types().await.expect("it works");
        advance(Duration::from_secs(1)).await;
    }
    Archive.of_two_types().await.expect("it works");
    assert_eq!(
        of_opentelemetry(&reader, "of_two_types")["closed"],
        2.0 * (1.25 + 0.75 + 2.0 + 1.75 + 2.0),
        "of two tools of one name, the sum"
    );

    add_metrics(&snapshotter, &mut counted);
    let all = |tool: &str, state: &str| counted.get(&format!("{tool} {state}")).copied().unwrap_or_default();
    assert_eq!(all("of_two_types", "closed"), 6 + 7, "each as of its last call");
    let seconds = |state: &str| all("search", state);
    assert_eq!(
        (seconds("closed"), seconds("open"), seconds("half_open")),
        (3, 2, 0),
        "whole seconds, as of the last call"
    );
}
