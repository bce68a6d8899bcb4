//! What a tool is called with and what it answers is in no event, span, measurement, table or data.

#![cfg(all(feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::{self, Write};
use std::future::pending;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::DebuggingRecorder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use sandbox_runtime::observe::{Event, Observer, metrics, observe_in, opentelemetry as otel, tracing::Spans};
use sandbox_runtime::{Attempt, SandboxError, sandboxed, tools};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Everything that is told, as text.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl Told {
    fn write(&self, text: impl fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{text:?}").unwrap();
    }
}

impl Observer for Told {
    fn on_event(&self, event: &Event<'_>) {
        self.write(event);
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write((field.name(), value));
    }
}

impl<S: Subscriber> Layer<S> for Told {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        attributes.record(&mut self.clone());
    }

    fn on_record(&self, _: &Id, record: &Record<'_>, _: Context<'_, S>) {
        record.record(&mut self.clone());
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

/// Fails, hangs, and works.
#[sandboxed(timeout_ms = 100, backoff_base_ms = 10)]
async fn look_up(word: String) -> Result<String, SandboxError> {
    assert_eq!(word, "the argument");
    match Attempt::current().unwrap().number() {
        1 => pending().await,
        2 => Err(SandboxError::ExecutionFailed {
            attempts: 1,
            reason: "down".into(),
        }),
        _ => Ok("the answer".into()),
    }
}

#[sandboxed(max_retries = 0)]
async fn fail_on(word: String) -> Result<String, SandboxError> {
    panic!("no word of {word}")
}

#[tokio::test(start_paused = true)]
async fn by_any_means() {
    let told = Told::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(told.clone()));
    let recorder = DebuggingRecorder::new();
    let _recorder = ::metrics::set_default_local_recorder(&recorder);
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let _ = tools();

    let calls = async {
        assert_eq!(look_up("the argument".into()).await.unwrap(), "the answer");
        fail_on("the argument".into()).await.unwrap_err();
    };
    let measured = observe_in(
        metrics::metrics(),
        observe_in(otel::instruments(&provider.meter("test")), calls),
    );
    observe_in(told.clone(), observe_in(Spans::new().with_attempts(), measured)).await;

    for snapshot in recorder.snapshotter().snapshot().into_vec() {
        told.write(snapshot);
    }
    provider.force_flush().unwrap();
    told.write(exporter.get_finished_metrics().unwrap());
    let listed = [tools().to_string(), serde_json::to_string(&tools()).unwrap()];
    for text in listed {
        assert!(!text.contains("no word of"), "nor the message of a panic: {text}");
        told.write(text);
    }
    let told = told.0.lock().unwrap();
    for (what, is_told) in [("look_up", true), ("the answer", false), ("the argument", false)] {
        // The message of a panic is for the log of programmers, and has what they put into it.
        let lines = told
            .lines()
            .filter(|line| line.contains(what) && !line.contains("no word of"));
        let lines: Vec<_> = lines.collect();
        assert_eq!(!lines.is_empty(), is_told, "`{what}`: {lines:#?}");
    }
}
