//! One span for a call with all its attempts, what the tool traces within it, and events at levels that do not cry wolf.

#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::observe::{observe_in, tracing::Spans};
use sandbox_runtime::{Attempt, CircuitBreaker, Policy, Tool, execute_with_controls, sandboxed};
use tokio::task::yield_now;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .max_retries(2)
    .backoff_base(Duration::from_millis(10));

type Fields = BTreeMap<String, String>;

/// What was traced: the spans with their fields, the lines of the events with the span that each stands in, and their fields.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<(Vec<Fields>, Vec<String>)>>, Arc<Mutex<Vec<Fields>>>);

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

/// Where a span's fields are.
struct Place(usize);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traced {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Visitor(&mut fields));
        fields.insert("target".to_owned(), attributes.metadata().target().to_owned());
        fields.insert("level".to_owned(), attributes.metadata().level().to_string());
        fields.insert("name".to_owned(), attributes.metadata().name().to_owned());
        let parent = context
            .span(id)
            .and_then(|span| Some(span.parent()?.extensions().get::<Place>()?.0));
        fields.extend(parent.map(|parent| ("parent".to_owned(), parent.to_string())));
        let spans = &mut self.0.lock().unwrap().0;
        context.span(id).unwrap().extensions_mut().insert(Place(spans.len()));
        spans.push(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let place = span.extensions().get::<Place>().unwrap().0;
        record.record(&mut Visitor(&mut self.0.lock().unwrap().0[place]));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let message = fields.get("message").cloned().unwrap_or_default();
        fields.insert("level".to_owned(), event.metadata().level().to_string());
        self.1.lock().unwrap().push(fields);
        let within = context.event_span(event).map_or("nothing".to_owned(), |span| {
            span.extensions().get::<Place>().unwrap().0.to_string()
        });
        let level = event.metadata().level();
        self.0.lock().unwrap().1.push(format!("{level} {message} in {within}"));
    }
}

/// Traces a call whose attempts end like this, one after the other.
async fn trace(breaker: &CircuitBreaker, ends: &[&'static str]) -> (Vec<Fields>, Vec<String>, Option<String>) {
    trace_by(Spans::new(), breaker, ends).await
}

async fn trace_by(
    spans: Spans,
    breaker: &CircuitBreaker,
    ends: &[&'static str],
) -> (Vec<Fields>, Vec<String>, Option<String>) {
    let traced = Traced::default();
    let subscriber = tracing_subscriber::registry().with(traced.clone());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let attempts = AtomicU32::new(0);
    let id = Mutex::new(None);
    let tool = Tool::new("search", async || {
        *id.lock().unwrap() = Attempt::current().map(|attempt| attempt.call_id().to_string());
        tracing::info!("the tool runs");
        yield_now().await;
        tracing::info!("the tool goes on");
        match ends[attempts.fetch_add(1, Ordering::Relaxed) as usize] {
            "hangs" => pending().await,
            "panics" => panic!("a secret"),
            "works" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    let call = execute_with_controls(POLICY, breaker, tool);
    // A second one makes no second span.
    let _ = observe_in(Spans::new(), observe_in(spans, call)).await;
    tracing::info!("after the call");
    let (spans, events) = std::mem::take(&mut *traced.0.lock().unwrap());
    (spans, events, id.into_inner().unwrap())
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn by_one_span_with_all_attempts() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    let (spans, events, id) = trace(&breaker, &["fails", "hangs", "hangs"]).await;
    let expected = fields(&[
        ("target", "sandbox_runtime"),
        ("name", "execute_tool"),
        ("level", "INFO"),
        ("otel.name", "execute_tool search"),
        ("otel.kind", "internal"),
        ("otel.status_code", "ERROR"),
        ("otel.status_description", "breaker_opened"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "search"),
        ("gen_ai.tool.type", "function"),
        ("gen_ai.tool.call.id", &id.unwrap()),
        ("error.type", "timeout"),
        ("sandboxed.stop", "breaker_opened"),
        ("sandboxed.attempts", "2"),
    ]);
    assert_eq!(spans, [expected]);
    assert_eq!(
        events,
        [
            "TRACE attempt started in 0",
            "INFO the tool runs in 0",
            "INFO the tool goes on in 0",
            "DEBUG attempt ended in 0",
            "DEBUG attempt is retried in 0",
            "TRACE attempt started in 0",
            "INFO the tool runs in 0",
            "INFO the tool goes on in 0",
            "WARN breaker changed in 0",
            "DEBUG attempt ended in 0",
            "WARN call failed in 0",
            "INFO after the call in nothing",
        ]
    );
    let (spans, events, _) = trace(&breaker, &[]).await;
    assert_eq!(spans[0]["error.type"], "circuit_breaker_open");
    assert_eq!(events, ["DEBUG call refused in 0", "INFO after the call in nothing"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_word_above_trace_about_a_success() {
    let (spans, events, _) = trace(&CircuitBreaker::disabled(), &["works"]).await;
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].get("error.type"), None, "{spans:?}");
    let of_engine = events
        .iter()
        .filter(|event| !event.contains("the tool") && !event.contains("after"));
    let levels: Vec<_> = of_engine.map(|event| event.split(' ').next().unwrap()).collect();
    assert_eq!(levels, [Level::TRACE.as_str(); 2], "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn and_tells_no_secret_of_a_panic_in_its_type() {
    let (spans, _, _) = trace(&CircuitBreaker::disabled(), &["panics"]).await;
    assert_eq!(spans[0]["error.type"], "panic");
    assert!(!format!("{spans:?}").contains("a secret"), "{spans:?}");
}

#[tokio::test(start_paused = true)]
async fn with_spans_of_attempts_where_they_are_asked_for() {
    let breaker = CircuitBreaker::disabled();
    let (spans, events, _) = trace_by(Spans::new().with_attempts(), &breaker, &["fails", "hangs", "works"]).await;
    let names: Vec<_> = spans
        .iter()
        .map(|span| span.get("attempt").map(String::as_str))
        .collect();
    assert_eq!(
        names,
        [None, Some("1"), Some("2"), Some("3")],
        "the call, and its attempts"
    );
    let errors: Vec<_> = spans
        .iter()
        .map(|span| span.get("error.type").map(String::as_str))
        .collect();
    assert_eq!(errors, [None, Some("tool_error"), Some("timeout"), None], "{spans:?}");
    let parents: Vec<_> = spans
        .iter()
        .map(|span| span.get("parent").map(String::as_str))
        .collect();
    assert_eq!(
        parents,
        [None, Some("0"), Some("0"), Some("0")],
        "attempts are in the call"
    );
    assert_eq!(
        events,
        [
            "TRACE attempt started in 1",
            "INFO the tool runs in 1",
            "INFO the tool goes on in 1",
            "DEBUG attempt ended in 0",
            "DEBUG attempt is retried in 0",
            "TRACE attempt started in 2",
            "INFO the tool runs in 2",
            "INFO the tool goes on in 2",
            "DEBUG attempt ended in 0",
            "DEBUG attempt is retried in 0",
            "TRACE attempt started in 3",
            "INFO the tool runs in 3",
            "INFO the tool goes on in 3",
            "TRACE attempt succeeded in 0",
            "INFO after the call in nothing",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn and_leaves_no_span_behind_when_a_call_is_dropped() {
    let traced = Traced::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(traced.clone()));
    let breaker = CircuitBreaker::disabled();
    let tool = Tool::new("search", pending::<Result<(), String>>);
    let mut call = Box::pin(observe_in(
        Spans::new().with_attempts(),
        execute_with_controls(POLICY, &breaker, tool),
    ));
    let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx)));
    assert!(poll.await.is_pending());
    tracing::info!("between two polls");
    drop(call);
    tracing::info!("after the drop");
    let (spans, events) = std::mem::take(&mut *traced.0.lock().unwrap());
    assert_eq!(spans[1]["error.type"], "cancelled");
    let outside: Vec<_> = events.iter().filter(|event| event.ends_with("nothing")).collect();
    assert_eq!(
        outside,
        ["INFO between two polls in nothing", "INFO after the drop in nothing"],
        "{events:?}"
    );
}

/// The breaker of a tool opens by a timeout, and is closed by a probe.
#[tokio::test(start_paused = true)]
async fn with_what_there_is_to_know_of_breakers() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    let traced = Traced::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(traced.clone()));
    let works = AtomicBool::new(false);
    let call = || {
        let tool = Tool::new("search", async || {
            if works.load(Ordering::Relaxed) {
                Ok(())
            } else {
                pending::<Result<(), String>>().await
            }
        });
        execute_with_controls(POLICY.max_retries(0), &breaker, tool)
    };
    observe_in(Spans::new(), async {
        call().await.unwrap_err();
        tokio::time::advance(Duration::from_secs(1)).await;
        works.store(true, Ordering::Relaxed);
        call().await.unwrap();
    })
    .await;
    let fields = std::mem::take(&mut *traced.1.lock().unwrap());
    let changes: Vec<_> = fields
        .iter()
        .filter(|fields| fields["message"] == "breaker changed")
        .collect();
    let told: Vec<_> = changes
        .iter()
        .map(|fields| {
            let keys = [
                "level",
                "gen_ai.tool.name",
                "breaker.from",
                "breaker.state",
                "cause",
                "failures",
            ];
            let error = fields.get("error.type").map_or("-", String::as_str);
            (keys.map(|key| fields[key].as_str()), error)
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                ["WARN", "breaker", "closed", "open", "threshold_reached", "1"],
                "timeout"
            ),
            (["INFO", "breaker", "open", "half_open", "cooldown_over", "1"], "-"),
            (["INFO", "breaker", "half_open", "closed", "probes_succeeded", "1"], "-"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn with_a_warning_of_a_thread_that_is_blocked() {
    let traced = Traced::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(traced.clone()));
    let breaker = CircuitBreaker::disabled();
    let tool = Tool::new("search", async || {
        tokio::time::advance(Duration::from_millis(150)).await;
        Ok::<_, String>(())
    });
    let call = execute_with_controls(POLICY.timeout(Duration::from_secs(1)), &breaker, tool);
    observe_in(Spans::new(), call).await.unwrap();
    let fields = std::mem::take(&mut *traced.1.lock().unwrap());
    let blocked = fields
        .iter()
        .find(|fields| fields["message"] == "thread blocked")
        .expect("it is told");
    assert_eq!(
        (blocked["level"].as_str(), blocked["elapsed_ms"].as_str()),
        ("WARN", "150")
    );
}

#[tracing::instrument(name = "above", skip_all)]
#[sandboxed(backoff_base_ms = 0, breaker = off)]
async fn instrumented_above(attempts: &AtomicU32) -> Result<(), String> {
    fails_once(attempts)
}

#[sandboxed(backoff_base_ms = 0, breaker = off)]
#[tracing::instrument(name = "below", skip_all)]
async fn instrumented_below(attempts: &AtomicU32) -> Result<(), String> {
    fails_once(attempts)
}

fn fails_once(attempts: &AtomicU32) -> Result<(), String> {
    match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => Err("again".into()),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn around_and_within_the_spans_of_instrument() {
    let traced = Traced::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(traced.clone()));
    let calls = async {
        instrumented_above(&AtomicU32::new(0)).await.unwrap();
        instrumented_below(&AtomicU32::new(0)).await.unwrap();
    };
    observe_in(Spans::new(), calls).await;
    let spans = std::mem::take(&mut traced.0.lock().unwrap().0);
    let told: Vec<_> = spans
        .iter()
        .map(|span| (span["name"].as_str(), span.get("parent").map_or("-", String::as_str)))
        .collect();
    assert_eq!(
        told,
        [
            ("execute_tool", "-"),
            ("above", "0"),
            ("above", "0"),
            ("below", "-"),
            ("execute_tool", "3"),
        ],
        "above, it is expanded first, and is in the body: a span for each attempt; below, around the call"
    );
}
