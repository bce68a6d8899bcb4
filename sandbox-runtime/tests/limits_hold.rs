//! No more calls are made at a time, and no more attempts in a length of time, than the policy says; and while a dependency has asked
//! to be left alone, nobody calls it. Who is held back waits in the order in which callers came, for as long as the policy says.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use sandbox_runtime::observe::{Event, Happened, Observer, observe_in};
use sandbox_runtime::{
    Budget, CircuitBreaker, Failure, FailureKind, FromFailure, Policy, SandboxError, Tool, ToolHandle, Verdict,
    execute_with_controls, sandboxed, tool,
};
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Error {
    Down,
    Busy(Duration),
    Sandbox(Box<Failure>),
}

impl FromFailure for Error {
    fn from_failure(failure: Failure) -> Self {
        Error::Sandbox(failure.into())
    }
}

fn failure<T: std::fmt::Debug>(result: Result<T, Error>) -> Failure {
    match result {
        Err(Error::Sandbox(failure)) => *failure,
        other => panic!("the call was made: {other:?}"),
    }
}

/// How many run, and the most that ever did.
#[derive(Debug, Default)]
struct Gauge {
    now: AtomicU32,
    most: AtomicU32,
    order: Mutex<Vec<u32>>,
}

struct Running<'a>(&'a Gauge);

impl Gauge {
    fn enter(&self, number: u32) -> Running<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.order.lock().unwrap().push(number);
        Running(self)
    }

    fn most(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[sandboxed(max_concurrent = 2, max_retries = 0)]
async fn two_at_a_time(gauge: &Gauge, number: u32) -> Result<u32, Error> {
    let _running = gauge.enter(number);
    sleep(SECOND).await;
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_at_a_time_in_the_order_in_which_they_came() {
    let (gauge, start) = (Gauge::default(), Instant::now());
    let answers = join_all((0..6).map(|number| two_at_a_time(&gauge, number))).await;
    assert_eq!(answers, (0..6).map(Ok).collect::<Vec<_>>());
    assert_eq!(gauge.most(), 2, "calls at a time");
    assert_eq!(
        *gauge.order.lock().unwrap(),
        [0, 1, 2, 3, 4, 5],
        "the order of their attempts"
    );
    assert_eq!(
        start.elapsed(),
        SECOND * 3,
        "the time limit of none has begun in the queue"
    );
}

#[sandboxed(max_concurrent = 1, queue_ms = 500, max_retries = 0)]
async fn one_for_half_a_second(lasts: Duration) -> Result<(), Error> {
    sleep(lasts).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_without_a_mark() {
    let mut running = pin!(one_for_half_a_second(SECOND * 9));
    poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_pending())).await;
    let start = Instant::now();
    let failure = failure(one_for_half_a_second(SECOND).await);
    assert_eq!(start.elapsed(), MILLI * 500);
    assert!(
        matches!(failure.kind, FailureKind::Overloaded { max_concurrent: 1, .. }),
        "{failure:?}"
    );
    assert_eq!((failure.attempts, failure.retry_after_ms), (0, Some(1_000)));
    assert_eq!(
        failure.to_string(),
        "`one_for_half_a_second` was not called: overloaded: 1 call at a time; try again in 1000 ms"
    );
    assert_eq!(
        failure.for_model(),
        "`one_for_half_a_second` was not called: as many calls of it are under way as may be at a time. Try again shortly."
    );
    let error = SandboxError::from(failure);
    assert!(error.is_overloaded(), "{error}");
    let status = tool("one_for_half_a_second").unwrap().status();
    assert_eq!(status.breaker.unwrap().failures, 0, "no fault of the tool");
    running.await.unwrap();
    one_for_half_a_second(SECOND).await.expect("its place is free");
}

#[sandboxed(max_concurrent = 1, queue_ms = 0, max_retries = 1, backoff_base_ms = 1_000)]
async fn one_or_none(plan: &'static str) -> Result<(), Error> {
    match plan {
        "hangs" => pending().await,
        "panics" => panic!("as planned"),
        "fails" => Err(Error::Down),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_whatever_becomes_of_the_call_that_had_it() {
    for plan in ["works", "panics", "fails"] {
        let _ = one_or_none(plan).await;
        assert_eq!(one_or_none("works").await, Ok(()), "after one that {plan}");
    }
    {
        let mut hanging = pin!(one_or_none("hangs"));
        poll_fn(|cx| Poll::Ready(hanging.as_mut().poll(cx).is_pending())).await;
        let failure = failure(one_or_none("works").await);
        assert!(
            matches!(failure.kind, FailureKind::Overloaded { .. }),
            "queue_ms = 0 waits for nobody"
        );
    }
    assert_eq!(one_or_none("works").await, Ok(()), "after one that was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_its_place_while_it_waits_for_its_next_attempt() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(9);
    let policy = Policy::new()
        .max_concurrent(1)
        .backoff_base(SECOND)
        .max_retries(1)
        .queue(SECOND * 5);
    let gauge = Gauge::default();
    let call = |number: u32, gauge| {
        let attempts = Arc::new(AtomicU32::new(0));
        execute_with_controls(
            &policy,
            &BREAKER,
            Tool::new("by hand", move || {
                let attempts = Arc::clone(&attempts);
                async move {
                    let _running = Gauge::enter(gauge, number);
                    match attempts.fetch_add(1, Ordering::Relaxed) {
                        0 => Err(Error::Down),
                        _ => Ok(()),
                    }
                }
            }),
        )
    };
    let start = Instant::now();
    join_all([call(1, &gauge), call(2, &gauge)]).await;
    assert_eq!(
        *gauge.order.lock().unwrap(),
        [1, 1, 2, 2],
        "by hand, those with one breaker share the limit"
    );
    assert_eq!(start.elapsed(), SECOND * 2);
}

#[sandboxed(max_concurrent = 1, queue_ms = 0)]
async fn calls_itself(depth: u32) -> Result<u32, Error> {
    tokio::task::yield_now().await;
    match depth {
        0 => Ok(0),
        _ => Box::pin(calls_itself(depth - 1)).await.map(|below| below + 1),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_within_a_call_shares_its_place() {
    assert_eq!(calls_itself(3).await, Ok(3));
    let both = tokio::join!(calls_itself(1), calls_itself(1));
    assert_eq!(both.0, Ok(1));
    let failure = failure(both.1);
    assert!(
        matches!(failure.kind, FailureKind::Overloaded { .. }),
        "one beside it does not: {failure}"
    );
}

type Moved = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

#[sandboxed(max_concurrent = 1, queue_ms = 0, max_retries = 1, backoff_base_ms = 0, breaker = off)]
async fn begins_another(begun: Option<&Mutex<Option<Moved>>>, runs: &'static AtomicU32) -> Result<(), Error> {
    if let Some(begun) = begun {
        let mut inner: Moved = begun_within(runs);
        assert!(poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx).is_pending())).await);
        *begun.lock().unwrap() = Some(inner);
        return Ok(());
    }
    if runs.fetch_add(1, Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
        return Err(Error::Down);
    }
    pending().await
}

fn begun_within(runs: &'static AtomicU32) -> Moved {
    Box::pin(begins_another(None, runs))
}

/// Its retry takes a place of its own, in a poll that began without one: afterwards, other calls are not taken for calls within it.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_handed_out_of_another_is_one_more() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let begun = Mutex::new(None);
    begins_another(Some(&begun), &RUNS).await.unwrap();
    let mut moved = begun.into_inner().unwrap().expect("it has begun");
    assert!(poll_fn(|cx| Poll::Ready(moved.as_mut().poll(cx).is_pending())).await);
    assert_eq!(RUNS.load(Ordering::SeqCst), 2, "its retry runs");
    let failure = failure(begins_another(None, &RUNS).await);
    assert!(matches!(failure.kind, FailureKind::Overloaded { .. }), "{failure:?}");
}

#[sandboxed(rate(calls = 2, per_ms = 1_000), max_retries = 0)]
async fn two_a_second(begun: &Mutex<Vec<Duration>>, start: Instant) -> Result<(), Error> {
    begun.lock().unwrap().push(start.elapsed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn so_many_attempts_in_any_second() {
    let (begun, start) = (Mutex::new(Vec::new()), Instant::now());
    let first = two_a_second(&begun, start).await;
    advance(MILLI * 700).await;
    let others = join_all((0..4).map(|_| two_a_second(&begun, start))).await;
    assert!(first.is_ok() && others.iter().all(Result::is_ok), "{others:?}");
    let expected = [0, 700, 1_000, 1_700, 2_000].map(Duration::from_millis);
    assert_eq!(
        *begun.lock().unwrap(),
        expected,
        "a burst at the end of a second does not double it"
    );
}

#[sandboxed(
    rate(calls = 1, per_ms = 10_000),
    queue_ms = 3_000,
    max_retries = 1,
    backoff_base_ms = 8_000
)]
async fn one_in_ten_seconds(plan: Result<(), Error>) -> Result<(), Error> {
    plan
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_refused_at_once_with_the_time() {
    let start = Instant::now();
    assert_eq!(
        one_in_ten_seconds(Err(Error::Down)).await,
        Err(Error::Down),
        "retries are attempts, too: this one had to wait for another 2 s"
    );
    assert_eq!(start.elapsed(), SECOND * 10, "within the 3 s that it may queue");
    advance(MILLI * 2_500).await;
    let failure = failure(one_in_ten_seconds(Ok(())).await);
    assert_eq!(start.elapsed(), MILLI * 12_500, "nobody waits in vain");
    assert!(
        matches!(
            failure.kind,
            FailureKind::RateLimited {
                by_dependency: false,
                ..
            }
        ),
        "{failure:?}"
    );
    assert_eq!(failure.retry_after_ms, Some(7_500));
    assert_eq!(
        failure.for_model(),
        "`one_in_ten_seconds` was not called: it has been called as often as it may be for now. Call it again in 8 s, not before."
    );
    assert!(SandboxError::from(failure).is_rate_limited());
    advance(MILLI * 7_500).await;
    assert_eq!(one_in_ten_seconds(Ok(())).await, Ok(()), "after the time that was told");
}

/// Waits for its place first, and then for the rate.
#[sandboxed(
    policy = Policy::new().max_retries(0).max_concurrent(1).rate(1, SECOND * 10).queue(queue),
    breaker = off
)]
async fn one_of_two_seconds(queue: Duration) -> Result<(), Error> {
    sleep(SECOND * 2).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_would_begin_too_late_is_refused_once_that_is_known() {
    for (queue, begins) in [(SECOND * 10, false), (SECOND * 10 + MILLI, true)] {
        let start = Instant::now();
        let (first, (second, ended)) = tokio::join!(one_of_two_seconds(queue), async {
            let second = one_of_two_seconds(queue).await;
            (second, start.elapsed())
        });
        assert_eq!(first, Ok(()));
        if begins {
            assert_eq!((second, ended), (Ok(()), SECOND * 12), "it begins after ten seconds");
        } else {
            let failure = failure(second);
            assert_eq!(
                (failure.kind.as_str(), failure.retry_after_ms, ended),
                ("rate_limited", Some(8_000), SECOND * 2),
                "its place is free, and what the rate allows begins when nobody waits any more"
            );
        }
        advance(SECOND * 10).await;
    }
}

#[sandboxed(policy = Policy::new().max_retries(0).max_concurrent(1).rate(9, SECOND).queue(queue))]
async fn one_for_five_seconds(queue: Duration) -> Result<(), Error> {
    sleep(SECOND * 5).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_one_that_waits_for_a_place_learns_that_all_are_taken() {
    let (first, second, third) = tokio::join!(
        one_for_five_seconds(SECOND),
        one_for_five_seconds(SECOND * 2),
        one_for_five_seconds(SECOND)
    );
    assert_eq!(first, Ok(()));
    for waited in [second, third] {
        let failure = failure(waited);
        assert_eq!(failure.kind.as_str(), "overloaded", "the rate has room: {failure}");
    }
}

#[sandboxed(max_retries = 1, backoff_base_ms = 10, classify = meaning)]
async fn asks_to_wait(plan: Result<(), Error>, begun: &Mutex<Vec<Duration>>, start: Instant) -> Result<(), Error> {
    begun.lock().unwrap().push(start.elapsed());
    plan
}

fn meaning(answer: &Result<(), Error>) -> Verdict {
    match answer {
        Err(Error::Busy(after)) => Verdict::Retry { after: Some(*after) },
        Err(_) => Verdict::Fail,
        Ok(()) => Verdict::Success,
    }
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_has_asked_to_wait_is_called_by_nobody() {
    let (begun, start) = (Mutex::new(Vec::new()), Instant::now());
    let hears = asks_to_wait(Err(Error::Busy(SECOND * 5)), &begun, start);
    let waits = async {
        advance(SECOND).await;
        asks_to_wait(Ok(()), &begun, start).await
    };
    let (heard, waited) = tokio::join!(hears, waits);
    assert_eq!((heard, waited), (Err(Error::Busy(SECOND * 5)), Ok(())));
    assert_eq!(
        *begun.lock().unwrap(),
        [0, 5, 10].map(Duration::from_secs),
        "the retry hears the same, and who waits does so for longer"
    );
}

static OF_BOTH: CircuitBreaker = CircuitBreaker::new(9);

#[sandboxed(max_retries = 0, breaker = &OF_BOTH, classify = meaning)]
async fn asks_for_both(plan: Result<(), Error>) -> Result<(), Error> {
    plan
}

#[sandboxed(max_retries = 0, breaker = &OF_BOTH)]
async fn has_to_wait_with_it() -> Result<(), Error> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_shares_its_breaker_waits_as_well() {
    let start = Instant::now();
    let asked = asks_for_both(Err(Error::Busy(SECOND * 5))).await;
    assert_eq!(asked, Err(Error::Busy(SECOND * 5)));
    assert_eq!(has_to_wait_with_it().await, Ok(()));
    assert_eq!(start.elapsed(), SECOND * 5, "the dependency is that of both");
}

#[sandboxed(timeout_ms = 2_000, max_retries = 0, classify = meaning)]
async fn asks_for_long(plan: Result<(), Error>) -> Result<(), Error> {
    plan
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_for_it_is_refused_with_the_time() {
    let _ = asks_for_long(Err(Error::Busy(SECOND * 90))).await;
    advance(SECOND).await;
    let failure = failure(asks_for_long(Ok(())).await);
    assert!(
        matches!(
            failure.kind,
            FailureKind::RateLimited {
                by_dependency: true,
                ..
            }
        ),
        "{failure:?}"
    );
    assert_eq!(failure.retry_after_ms, Some(89_000));
    assert_eq!(
        failure.for_model(),
        "`asks_for_long` was not called: the service behind it has asked to wait. Call it again in 89 s, not before."
    );
    tool("asks_for_long").unwrap().breaker().unwrap().reset();
    assert_eq!(asks_for_long(Ok(())).await, Ok(()), "an operator knows better");
}

#[sandboxed(timeout_ms = 60_000, max_concurrent = 1, max_retries = 0, classify = meaning)]
async fn asks_until_a_reset(plan: Result<(), Error>) -> Result<(), Error> {
    plan
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_it_goes_on_at_a_reset() {
    let start = Instant::now();
    let _ = asks_until_a_reset(Err(Error::Busy(SECOND * 30))).await;
    let waits = || asks_until_a_reset(Ok(()));
    let (first, second, ()) = tokio::join!(waits(), waits(), async {
        sleep(SECOND).await;
        tool("asks_until_a_reset").unwrap().reset();
    });
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(start.elapsed(), SECOND, "and not when it would have been over");
}

#[tokio::test(start_paused = true)]
async fn a_dependency_cannot_ask_for_more_than_an_hour() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(9);
    let ask = |after: Duration| async move {
        let tool = Tool::new("asks", move || async move { Err::<(), _>(Error::Busy(after)) }).classify(meaning);
        execute_with_controls(&Policy::new().max_retries(0), &BREAKER, tool).await
    };
    let _ = ask(Duration::MAX).await;
    let failure = failure(ask(SECOND).await);
    assert_eq!(failure.retry_after_ms, Some(3_600_000));
}

#[sandboxed(
    max_concurrent = 1,
    deadline_ms = 3_000,
    timeout_ms = 2_000,
    queue_ms = 9_000,
    max_retries = 0
)]
async fn with_a_deadline(lasts: Duration) -> Result<(), Error> {
    sleep(lasts).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn waiting_takes_from_the_deadline_and_not_from_the_time_limit() {
    let start = Instant::now();
    let answers = tokio::join!(
        with_a_deadline(MILLI * 1_500),
        with_a_deadline(MILLI * 1_499),
        with_a_deadline(MILLI),
    );
    assert_eq!(
        (answers.0, answers.1),
        (Ok(()), Ok(())),
        "1.5 s in the queue, 1.499 s of a limit of 2 s"
    );
    assert_eq!(answers.2, Ok(()), "what is left is enough");
    assert_eq!(start.elapsed(), SECOND * 3);
    let (_, late) = tokio::join!(with_a_deadline(SECOND * 2), async {
        let in_run = Budget::new().deadline(SECOND);
        in_run.scope(with_a_deadline(MILLI)).await
    });
    let failure = failure(late);
    assert_eq!(
        failure.kind,
        FailureKind::DeadlineExceeded,
        "the end of the run ends the wait"
    );
    assert_eq!(failure.attempts, 0);
}

#[sandboxed(max_concurrent = 1, breaker(threshold = 1), max_retries = 0)]
async fn may_break(plan: Result<(), Error>) -> Result<(), Error> {
    sleep(SECOND).await;
    plan
}

#[tokio::test(start_paused = true)]
async fn nobody_queues_in_front_of_a_breaker_that_refuses() {
    let start = Instant::now();
    let answers = tokio::join!(may_break(Err(Error::Down)), may_break(Ok(())), may_break(Ok(())));
    assert_eq!(answers.0, Err(Error::Down));
    for refused in [answers.1, answers.2] {
        let failure = failure(refused);
        assert!(
            matches!(failure.kind, FailureKind::CircuitBreakerOpen { .. }),
            "{failure}"
        );
    }
    assert_eq!(
        start.elapsed(),
        SECOND,
        "those in the queue learn it when it is their turn, and new ones at once"
    );
}

#[derive(Debug, Default, Clone)]
struct Queue(Arc<Mutex<Vec<String>>>);

impl Observer for Queue {
    fn on_event(&self, event: &Event<'_>) {
        let text = match event.happened {
            Happened::CallQueued => "queued".to_owned(),
            Happened::CallUnqueued { waited, .. } => format!("unqueued after {waited:?}"),
            Happened::AttemptStarted { attempt, .. } => format!("attempt {attempt}"),
            Happened::CallEnded { stop, .. } => stop.as_str().to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

#[sandboxed(max_concurrent = 1, queue_ms = 2_000, max_retries = 0)]
async fn observed(lasts: Duration) -> Result<(), Error> {
    sleep(lasts).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn observers_learn_who_waits_and_for_how_long() {
    let story = |queue: &Queue| std::mem::take(&mut *queue.0.lock().unwrap());
    let queue = Queue::default();
    let _ = tokio::join!(observed(SECOND), observe_in(queue.clone(), observed(SECOND)));
    assert_eq!(story(&queue), ["queued", "unqueued after 1s", "attempt 1", "succeeded"]);
    let _ = tokio::join!(observed(SECOND * 5), observe_in(queue.clone(), observed(SECOND)));
    assert_eq!(story(&queue), ["queued", "unqueued after 2s", "overloaded"]);
    let mut running = pin!(observed(SECOND));
    poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_pending())).await;
    {
        let mut waiting = pin!(observe_in(queue.clone(), observed(SECOND)));
        poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
    }
    assert_eq!(story(&queue), ["queued", "unqueued after 0ns", "dropped"]);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_does_not_join_the_queue() {
    let queue = Queue::default();
    let _ = tokio::join!(calls_itself(1), observe_in(queue.clone(), calls_itself(0)));
    assert_eq!(*queue.0.lock().unwrap(), ["overloaded"]);
}

/// A policy that is known only when the call begins, on a tool that shares its breaker.
static SHARED: CircuitBreaker = CircuitBreaker::new(9);

#[sandboxed(policy = Policy::new().max_concurrent(most).queue(Duration::ZERO), breaker = &SHARED)]
async fn as_many_as_given(most: u32, gauge: &Gauge) -> Result<(), Error> {
    let _running = gauge.enter(most);
    sleep(SECOND).await;
    Ok(())
}

#[sandboxed(breaker = &SHARED)]
async fn with_the_same_breaker() -> Result<(), Error> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_number_may_change_from_call_to_call_and_is_that_of_the_tool() {
    let gauge = Gauge::default();
    let call = |most| as_many_as_given(most, &gauge);
    let (one, two, three, other) = tokio::join!(call(2), call(2), call(1), with_the_same_breaker());
    assert_eq!(
        (one, two, other),
        (Ok(()), Ok(()), Ok(())),
        "another tool has no such limit"
    );
    assert!(three.is_err(), "two run, and one may");
    let (one, two) = tokio::join!(call(1), call(1));
    assert!(one.is_ok() && two.is_err(), "one at a time now");
    let all = join_all((0..4).map(|_| call(3))).await;
    assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), 3, "three of four");
    assert_eq!(gauge.most(), 3);
}

#[sandboxed(
    timeout_ms = 900,
    deadline_ms = 1_000,
    max_concurrent = 5,
    queue_ms = 30_000,
    max_retries = 0
)]
async fn cut_after_the_queue() -> Result<(), Error> {
    sleep(MILLI * 400).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn time_that_was_spent_in_the_queue_leaves_no_mark() {
    let results = join_all((0..15).map(|_| cut_after_the_queue())).await;
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        10,
        "two rounds of five"
    );
    for result in &results[10..] {
        assert_eq!(
            failure(result.clone()).kind,
            FailureKind::DeadlineExceeded,
            "the third is cut after 200 ms"
        );
    }
    let breaker = tool("cut_after_the_queue").unwrap().breaker().unwrap();
    assert_eq!(breaker.failure_count(), 0, "the tool takes 400 ms, and may take 900");
}

#[sandboxed(
    timeout_ms = 900,
    deadline_ms = 1_000,
    max_concurrent = 5,
    max_retries = 1,
    backoff_base_ms = 0
)]
async fn fails_late_and_hangs(runs: &AtomicU32) -> Result<(), Error> {
    if runs.fetch_add(1, Ordering::SeqCst) > 0 {
        return pending().await;
    }
    sleep(MILLI * 500).await;
    Err(Error::Down)
}

#[tokio::test(start_paused = true)]
async fn time_that_its_own_attempts_took_leaves_a_mark() {
    let failure = failure(fails_late_and_hangs(&AtomicU32::new(0)).await);
    assert_eq!(
        (failure.kind, failure.attempts),
        (FailureKind::DeadlineExceeded, 2),
        "the second is cut after 500 ms"
    );
    let breaker = tool("fails_late_and_hangs").unwrap().breaker().unwrap();
    assert_eq!(
        breaker.failure_count(),
        1,
        "nobody held it back: it took the time itself"
    );
}

#[sandboxed(max_concurrent = 1, queue_ms = 60_000, max_retries = 0)]
async fn one_for_ten_seconds() -> Result<(), Error> {
    sleep(SECOND * 10).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_waits_learns_that_the_tool_is_off_or_refused() {
    let handle = tool("one_for_ten_seconds").unwrap();
    let disable = |handle: ToolHandle| handle.disable("it is being moved", None);
    let force_open = |handle: ToolHandle| assert!(handle.force_open());
    let acts: [(fn(ToolHandle), _); 2] = [(disable, "disabled"), (force_open, "circuit_breaker_open")];
    for (act, kind) in acts {
        let begin = Instant::now();
        let (first, (waited, ended), ()) = tokio::join!(
            one_for_ten_seconds(),
            async {
                let ended = one_for_ten_seconds().await;
                (begin.elapsed(), ended)
            },
            async {
                sleep(SECOND).await;
                act(handle);
            }
        );
        assert_eq!(first, Ok(()), "what runs, runs on");
        let failure = serde_json::to_value(failure(ended)).unwrap();
        assert_eq!(
            (waited, &failure["kind"]),
            (SECOND, &kind.into()),
            "as soon as it is so"
        );
        handle.enable();
        handle.reset();
    }
}
