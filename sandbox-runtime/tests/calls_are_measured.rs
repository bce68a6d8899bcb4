//! What is measured of calls has the names, units and attributes of the conventions, and the same ones in both libraries.

#![cfg(all(feature = "metrics", feature = "opentelemetry"))]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use sandbox_runtime::observe::{Observer, metrics, observe_in, opentelemetry as otel};
use sandbox_runtime::{CircuitBreaker, Policy, Tool, execute_with_controls};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_secs(2))
    .max_retries(2)
    .backoff_base(Duration::from_millis(500));

/// One call that is retried and opens its breaker, one that is refused, one that works, and two of which one waits for the other.
async fn story(observer: impl Observer) {
    let breaker = CircuitBreaker::new(1);
    let calls = async {
        let attempts = AtomicU32::new(0);
        let tool = Tool::new("search", async || match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Err::<(), _>("503".to_owned()),
            _ => pending().await,
        });
        let _ = execute_with_controls(POLICY, &breaker, tool).await;
        let refused = Tool::new("search", async || Ok::<_, String>(()));
        execute_with_controls(POLICY, &breaker, refused).await.unwrap_err();
        let works = Tool::new("fetch", async || Ok::<_, String>(()));
        execute_with_controls(POLICY, &CircuitBreaker::disabled(), works)
            .await
            .unwrap();
        let one_at_a_time = CircuitBreaker::disabled();
        let queues = || {
            let tool = Tool::new("archive", async || {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, String>(())
            });
            execute_with_controls(POLICY.max_concurrent(1), &one_at_a_time, tool)
        };
        let (first, second) = tokio::join!(queues(), queues());
        first.and(second).unwrap();
    };
    observe_in(observer, calls).await;
}

/// Name, attributes and value.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// A series by its name and attributes, with what was measured.
type Series = BTreeMap<String, String>;

fn key<'a>(name: &str, attributes: impl Iterator<Item = (String, &'a str)>) -> String {
    let attributes: BTreeSet<_> = attributes.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{name} {attributes:?}")
}

fn expected() -> Series {
    let rows: [Row<'_>; 18] = [
        (
            "gen_ai.execute_tool.duration",
            &[
                ("gen_ai.operation.name", "execute_tool"),
                ("gen_ai.tool.name", "search"),
                ("error.type", "timeout"),
            ],
            "1 of 2.5 s",
        ),
        (
            "gen_ai.execute_tool.duration",
            &[
                ("gen_ai.operation.name", "execute_tool"),
                ("gen_ai.tool.name", "search"),
                ("error.type", "circuit_breaker_open"),
            ],
            "1 of 0 s",
        ),
        (
            "gen_ai.execute_tool.duration",
            &[("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "fetch")],
            "1 of 0 s",
        ),
        (
            "sandboxed.attempt.duration",
            &[
                ("gen_ai.tool.name", "search"),
                ("sandboxed.attempt.type", "original"),
                ("error.type", "tool_error"),
            ],
            "1 of 0 s",
        ),
        (
            "sandboxed.attempt.duration",
            &[
                ("gen_ai.tool.name", "search"),
                ("sandboxed.attempt.type", "retry"),
                ("error.type", "timeout"),
            ],
            "1 of 2 s",
        ),
        (
            "sandboxed.attempt.duration",
            &[("gen_ai.tool.name", "fetch"), ("sandboxed.attempt.type", "original")],
            "1 of 0 s",
        ),
        ("sandboxed.retry.delay", &[("gen_ai.tool.name", "search")], "1 of 0.5 s"),
        ("sandboxed.calls.active", &[("gen_ai.tool.name", "search")], "0"),
        ("sandboxed.calls.active", &[("gen_ai.tool.name", "fetch")], "0"),
        (
            "sandboxed.call.stops",
            &[("gen_ai.tool.name", "search"), ("sandboxed.stop", "breaker_opened")],
            "1",
        ),
        (
            "sandboxed.call.stops",
            &[("gen_ai.tool.name", "search"), ("sandboxed.stop", "refused")],
            "1",
        ),
        (
            "sandboxed.call.stops",
            &[("gen_ai.tool.name", "fetch"), ("sandboxed.stop", "succeeded")],
            "1",
        ),
        (
            "gen_ai.execute_tool.duration",
            &[
                ("gen_ai.operation.name", "execute_tool"),
                ("gen_ai.tool.name", "archive"),
            ],
            "2 of 3 s",
        ),
        (
            "sandboxed.attempt.duration",
            &[("gen_ai.tool.name", "archive"), ("sandboxed.attempt.type", "original")],
            "2 of 2 s",
        ),
        ("sandboxed.calls.active", &[("gen_ai.tool.name", "archive")], "0"),
        ("sandboxed.calls.queued", &[("gen_ai.tool.name", "archive")], "0"),
        (
            "sandboxed.call.stops",
            &[("gen_ai.tool.name", "archive"), ("sandboxed.stop", "succeeded")],
            "2",
        ),
        ("sandboxed.breaker.rejections", &[("gen_ai.tool.name", "search")], "1"),
    ];
    let mut series: Series = rows
        .into_iter()
        .map(|(name, attributes, value)| {
            let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), *value));
            (key(name, attributes), value.to_owned())
        })
        .collect();
    let changed = [
        ("gen_ai.tool.name", "breaker"),
        ("sandboxed.breaker.from", "closed"),
        ("sandboxed.breaker.to", "open"),
    ];
    let changed = changed.iter().map(|(key, value)| ((*key).to_owned(), *value));
    series.insert(key("sandboxed.breaker.transitions", changed), "1".to_owned());
    series
}

#[tokio::test(start_paused = true)]
async fn by_the_crate_metrics() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    // Of this thread, which runs the whole test.
    let _recorder = ::metrics::set_default_local_recorder(&recorder);
    story(metrics::metrics()).await;
    let (mut series, mut kinds) = (Series::new(), Kinds::new());
    for (composite, unit, description, value) in snapshotter.snapshot().into_vec() {
        let (_, metric) = composite.into_parts();
        let kind = match value {
            DebugValue::Counter(_) => "counter",
            DebugValue::Gauge(_) => "up-down counter",
            DebugValue::Histogram(_) => "histogram",
        };
        let unit = if unit == Some(::metrics::Unit::Seconds) {
            "s"
        } else {
            "{}"
        };
        kinds.insert(metric.name().to_owned(), (kind, unit.to_owned()));
        assert!(description.is_some(), "`{}` is described", metric.name());
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(value) => value.to_string(),
            DebugValue::Histogram(values) => {
                let sum: f64 = values.iter().map(|value| value.into_inner()).sum();
                format!("{} of {sum} s", values.len())
            }
        };
        let labels = metric.labels().map(|label| (label.key().to_owned(), label.value()));
        series.insert(key(metric.name(), labels), value);
    }
    assert_eq!(series, expected());
    // The library has no annotations such as `{call}`.
    let documented = documented_kinds().into_iter().map(|(name, (kind, unit))| {
        let unit = if unit == "s" { "s" } else { "{}" };
        (name, (kind, unit.to_owned()))
    });
    assert_eq!(kinds, documented.collect(), "as the page has them");
}

#[tokio::test(start_paused = true)]
async fn by_opentelemetry() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    story(otel::instruments(&provider.meter("test"))).await;
    provider.force_flush().unwrap();
    let exported = exporter.get_finished_metrics().unwrap();
    let (series, kinds) = read(exported.last().unwrap());
    assert_eq!(series, expected());
    assert_eq!(kinds, documented_kinds(), "as the page has them");
}

/// Kind and unit of each instrument.
type Kinds = BTreeMap<String, (&'static str, String)>;

/// Those of the page, but for the one that only annotated functions have: `breaker_times_are_measured.rs` is about it.
fn documented_kinds() -> Kinds {
    let page = include_str!("../../docs/observing.md");
    let metrics = page
        .split("\n## ")
        .find(|section| section.starts_with("Metrics"))
        .unwrap();
    let rows = metrics.lines().filter_map(|line| line.strip_prefix("| `"));
    let kinds = rows.map(|row| {
        let (name, row) = row.split_once('`').unwrap();
        let (kind, unit) = row[3..].split_once(" |").unwrap().0.split_once(", ").unwrap();
        let kinds = ["histogram", "counter", "up-down counter"];
        let kind = kinds.into_iter().find(|known| *known == kind).expect("a known kind");
        (name.to_owned(), (kind, unit.to_owned()))
    });
    let mut kinds: Kinds = kinds.collect();
    let apart = kinds.remove("sandboxed.breaker.state.time");
    assert_eq!(apart, Some(("counter", "s".to_owned())));
    kinds
}

/// The buckets of the conventions.
const BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

fn read(exported: &ResourceMetrics) -> (Series, Kinds) {
    let (mut series, mut kinds) = (Series::new(), Kinds::new());
    let metrics = exported.scope_metrics().flat_map(|scope| scope.metrics());
    for metric in metrics {
        let name = metric.name();
        let kind = match metric.data() {
            AggregatedMetrics::F64(_) => "histogram",
            AggregatedMetrics::U64(_) => "counter",
            AggregatedMetrics::I64(_) => "up-down counter",
        };
        kinds.insert(name.to_owned(), (kind, metric.unit().to_owned()));
        let mut add = |attributes: Vec<(String, String)>, value: String| {
            let attributes = attributes.iter().map(|(key, value)| (key.clone(), value.as_str()));
            series.insert(key(name, attributes), value);
        };
        let pairs = |attributes: &mut dyn Iterator<Item = &opentelemetry::KeyValue>| -> Vec<_> {
            let pairs = attributes.map(|pair| (pair.key.to_string(), pair.value.to_string()));
            pairs.collect()
        };
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                for point in histogram.data_points() {
                    assert_eq!(point.bounds().collect::<Vec<_>>(), BUCKETS, "{name}");
                    let value = format!("{} of {} s", point.count(), point.sum());
                    add(pairs(&mut point.attributes()), value);
                }
            }
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                assert!(sum.is_monotonic(), "`{name}` only grows");
                for point in sum.data_points() {
                    add(pairs(&mut point.attributes()), point.value().to_string());
                }
            }
            AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                assert!(!sum.is_monotonic(), "`{name}` goes up and down");
                for point in sum.data_points() {
                    add(pairs(&mut point.attributes()), point.value().to_string());
                }
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    (series, kinds)
}

#[test]
fn and_the_documentation_has_every_name() {
    let page = include_str!("../../docs/observing.md");
    for series in expected().keys() {
        let name = series.split(' ').next().unwrap();
        assert!(page.contains(&format!("| `{name}` |")), "`{name}` is not on the page");
        let attributes = series.split('"').skip(1).step_by(2);
        for attribute in attributes {
            let (key, value) = attribute.split_once('=').unwrap();
            assert!(
                page.contains(&format!("`{key}`")),
                "`{key}` of `{name}` is not on the page"
            );
            if key == "sandboxed.stop" || key == "error.type" {
                assert!(
                    page.contains(&format!("`{value}`")),
                    "`{value}` of `{key}` is not on the page"
                );
            }
        }
    }
}
