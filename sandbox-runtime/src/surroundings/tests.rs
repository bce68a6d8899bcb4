//! What an attachment learns of a call: everything, once, and in order, however the call ends.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::{Budget, CircuitBreaker, Policy, Tool, ToolExecutionResult, Verdict, execute_with_controls};

const MILLI: Duration = Duration::from_millis(1);
const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(10))
    .max_retries(2)
    .backoff_base(Duration::from_millis(4));

/// Writes down what it learns.
#[derive(Debug, Default)]
struct Diary {
    lines: Mutex<Vec<String>>,
    /// How many retries it grants.
    retries: Mutex<u32>,
}

impl Diary {
    fn granting(retries: u32) -> Arc<Diary> {
        Arc::new(Diary {
            retries: Mutex::new(retries),
            ..Diary::default()
        })
    }

    fn write(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    fn read(&self) -> String {
        std::mem::take(&mut *self.lines.lock().unwrap()).join(", ")
    }
}

impl Attachment for Diary {
    fn attempt_began(&self, attempt: u32) {
        self.write(format!("{attempt}"));
    }

    fn attempt_ended(&self, attempt: u32, end: Option<AttemptEnd>) {
        self.write(match end {
            None => format!("{attempt} left"),
            Some(AttemptEnd::Returned(Verdict::Success)) => format!("{attempt} succeeded"),
            Some(AttemptEnd::Returned(_)) => format!("{attempt} failed"),
            Some(AttemptEnd::TimedOut) => format!("{attempt} timed out"),
            Some(AttemptEnd::Panicked) => format!("{attempt} panicked"),
        });
    }

    fn take_retry(&self) -> bool {
        let mut retries = self.retries.lock().unwrap();
        let granted = *retries > 0;
        *retries -= u32::from(granted);
        self.write(if granted { "retry taken" } else { "retry denied" });
        granted
    }

    fn retry_scheduled(&self, Retry { delay, from, .. }: &Retry<'_>) {
        self.write(format!("{from:?} of {} ms", delay.as_millis()));
    }

    fn return_retry(&self) {
        *self.retries.lock().unwrap() += 1;
        self.write("retry returned");
    }

    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        let failure = end
            .failure
            .map_or(String::new(), |failure| format!(" as {}", failure.kind.as_str()));
        let reported = if is_reported { " (reported)" } else { "" };
        self.write(format!("{:?} after {}{failure}{reported}", end.stop, end.attempts));
        is_reported
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Answer,
    Fail,
    Ignore,
    Hang,
    Panic,
}
use Step::{Answer, Fail, Hang, Ignore, Panic};

/// A call whose attempts take these steps.
async fn call(breaker: &CircuitBreaker, steps: &[Step]) -> Result<(), &'static str> {
    let mut steps = steps.iter();
    let tool = Tool::new("tool", || {
        let step = *steps.next().expect("no attempt was expected any more");
        async move {
            match step {
                Answer => Ok(()),
                Fail => Err("failed"),
                Ignore => Err("ignored"),
                Hang => pending().await,
                Panic => panic!("panicked"),
            }
        }
    })
    .ignore_if(|error| *error == "ignored")
    .on_failure(|_| Err("no outcome"));
    execute_with_controls(POLICY, breaker, tool).await
}

/// What a diary around the call has in it afterwards.
async fn diary_of(retries: u32, call: impl Future<Output = Result<(), &'static str>>) -> String {
    let diary = Diary::granting(retries);
    let _ = attach(Arc::clone(&diary) as _, call).await;
    diary.read()
}

#[tokio::test(start_paused = true)]
async fn every_end_is_reported_once() {
    for (retries, steps, lines) in [
        (2, &[Answer][..], "1, 1 succeeded, Succeeded after 1"),
        (
            2,
            &[Fail, Answer],
            "1, 1 failed, retry taken, Backoff of 4 ms, 2, 2 succeeded, Succeeded after 2",
        ),
        (
            2,
            &[Hang, Fail, Hang],
            "1, 1 timed out, retry taken, Backoff of 4 ms, 2, 2 failed, retry taken, Backoff of 8 ms, 3, 3 timed out, AttemptsExhausted after 3 as timeout",
        ),
        (2, &[Panic], "1, 1 panicked, Panicked after 1 as panicked"),
        (2, &[Ignore], "1, 1 failed, Ignored after 1"),
        (0, &[Fail], "1, 1 failed, retry denied, RetryBudgetSpent after 1"),
        (
            0,
            &[Hang],
            "1, 1 timed out, retry denied, RetryBudgetSpent after 1 as timeout",
        ),
    ] {
        let breaker = CircuitBreaker::disabled();
        assert_eq!(diary_of(retries, call(&breaker, steps)).await, lines, "{steps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_reported() {
    let breaker = CircuitBreaker::new(0);
    assert_eq!(
        diary_of(2, call(&breaker, &[])).await,
        "Refused after 0 as circuit_breaker_open"
    );
    let breaker = CircuitBreaker::new(1);
    assert_eq!(
        diary_of(2, call(&breaker, &[Hang])).await,
        "1, 1 timed out, BreakerOpened after 1 as timeout",
        "the attempt itself opened it"
    );
    let breaker = CircuitBreaker::new(5);
    let ended = diary_of(2, async {
        let call = call(&breaker, &[Fail]);
        let open_in_the_delay = async {
            tokio::time::sleep(MILLI).await;
            breaker.force_open();
        };
        tokio::join!(call, open_in_the_delay).0
    });
    assert_eq!(
        ended.await,
        "1, 1 failed, retry taken, Backoff of 4 ms, retry returned, BreakerOpened after 1",
        "opened by others in the delay"
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_is_reported() {
    let breaker = CircuitBreaker::disabled();
    let run = Budget::new().deadline(MILLI * 5);
    let diary = Diary::granting(2);
    let inside = attach(Arc::clone(&diary) as _, async {
        let _ = call(&breaker, &[Hang]).await;
        let _ = call(&breaker, &[]).await;
    });
    run.scope(inside).await;
    assert_eq!(
        diary.read(),
        "1, 1 timed out, DeadlineExceeded after 1 as deadline_exceeded, DeadlineExceeded after 0 as deadline_exceeded"
    );
}

#[tokio::test(start_paused = true)]
async fn cancellation_is_reported() {
    for (cancelled_after, steps, lines) in [
        (0, &[][..], "Cancelled after 0 as cancelled"),
        (2, &[Hang], "1, 1 left, Cancelled after 1 as cancelled"),
    ] {
        let breaker = CircuitBreaker::disabled();
        let mut steps = steps.iter();
        let tool = Tool::new("tool", || {
            steps.next().expect("no attempt was expected any more");
            pending::<Result<(), &'static str>>()
        })
        .on_failure(|_| Err("no outcome"))
        .cancelled_by(tokio::time::sleep(MILLI * cancelled_after));
        assert_eq!(
            diary_of(2, execute_with_controls(POLICY, &breaker, tool)).await,
            lines,
            "cancelled after {cancelled_after} ms"
        );
    }
}

/// Polls a future for a number of milliseconds, and drops it.
async fn poll_for(millis: u32, future: Pin<&mut impl Future>) {
    let _ = tokio::time::timeout(MILLI * millis, future).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_reported_and_owes_nothing() {
    for (millis, steps, lines) in [
        (2, &[Hang][..], "1, 1 left, Dropped after 1"),
        (
            2,
            &[Fail],
            "1, 1 failed, retry taken, Backoff of 4 ms, retry returned, Dropped after 1",
        ),
        (
            6,
            &[Fail, Hang],
            "1, 1 failed, retry taken, Backoff of 4 ms, 2, 2 left, Dropped after 2",
        ),
    ] {
        let breaker = CircuitBreaker::disabled();
        let diary = Diary::granting(2);
        attach(Arc::clone(&diary) as _, async {
            let mut call = Box::pin(call(&breaker, steps));
            poll_for(millis, call.as_mut()).await;
        })
        .await;
        assert_eq!(diary.read(), lines, "{steps:?} dropped after {millis} ms");
    }
    let breaker = CircuitBreaker::disabled();
    let never_polled = diary_of(2, async {
        drop(call(&breaker, &[]));
        Ok(())
    });
    assert_eq!(never_polled.await, "", "a call that was never polled");
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_the_surroundings_that_it_began_in() {
    let breaker = CircuitBreaker::disabled();
    let diary = Diary::granting(2);
    let mut begun = pin!(call(&breaker, &[Hang, Answer]));
    attach(Arc::clone(&diary) as _, poll_for(2, begun.as_mut())).await;
    assert_eq!(begun.await, Ok(()));
    assert_eq!(
        diary.read(),
        "1, 1 timed out, retry taken, Backoff of 4 ms, 2, 2 succeeded, Succeeded after 2"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_began_outside_comes_into_the_surroundings_that_it_is_polled_in() {
    let breaker = CircuitBreaker::disabled();
    let mut begun = Box::pin(call(&breaker, &[Hang, Answer]));
    assert!(
        poll_fn(|cx| Poll::Ready(begun.as_mut().poll(cx))).await.is_pending(),
        "the tool hangs"
    );
    assert_eq!(
        diary_of(2, begun).await,
        "retry taken, Backoff of 4 ms, 2, 2 succeeded, Succeeded after 2"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_outside_are_not_reported() {
    let breaker = CircuitBreaker::disabled();
    let diary = Diary::granting(2);
    attach(Arc::clone(&diary) as _, async {}).await;
    assert_eq!(call(&breaker, &[Fail, Answer]).await, Ok(()));
    let spawned = attach(Arc::clone(&diary) as _, async {
        tokio::spawn(async { call(&CircuitBreaker::disabled(), &[Answer]).await }).await
    });
    assert_eq!(spawned.await.unwrap(), Ok(()), "a task of its own");
    assert_eq!(diary.read(), "");
}

#[tokio::test(start_paused = true)]
async fn attachments_around_learn_what_is_reported_already() {
    let breaker = CircuitBreaker::disabled();
    let outer = Diary::granting(2);
    let report = attach(
        Arc::clone(&outer) as _,
        ToolExecutionResult::of(call(&breaker, &[Answer])),
    );
    assert!(report.await.is_ok_and(|report| report.success), "the tool answers");
    assert_eq!(outer.read(), "1, 1 succeeded, Succeeded after 1 (reported)");
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_taken_from_all_attachments_or_from_none() {
    let breaker = CircuitBreaker::disabled();
    let (inner, outer) = (Diary::granting(1), Diary::granting(0));
    let calls = attach(Arc::clone(&inner) as _, call(&breaker, &[Fail]));
    let ended = attach(Arc::clone(&outer) as _, calls).await;
    assert_eq!(ended, Err("failed"));
    assert_eq!(
        inner.read(),
        "1, 1 failed, retry taken, retry returned, RetryBudgetSpent after 1"
    );
    assert_eq!(outer.read(), "1, 1 failed, retry denied, RetryBudgetSpent after 1");
}

/// Counts the polls that have begun and not ended.
#[derive(Debug, Default)]
struct Polls {
    begun: Mutex<u32>,
    under_way: Mutex<i32>,
}

impl Attachment for Polls {
    fn poll_began(&self) {
        *self.begun.lock().unwrap() += 1;
        *self.under_way.lock().unwrap() += 1;
    }

    fn poll_ended(&self) {
        *self.under_way.lock().unwrap() -= 1;
    }

    fn call_ended(&self, _: &CallEnd<'_>, is_reported: bool) -> bool {
        *self.under_way.lock().unwrap() -= 1;
        is_reported
    }
}

#[tokio::test(start_paused = true)]
async fn every_poll_that_begins_ends_by_itself_or_with_the_call() {
    for (steps, polls) in [
        (&[Answer][..], 1),
        (&[Fail, Answer], 2),
        // The attempt, its limit, the delay, and so on.
        (&[Hang, Hang, Hang], 6),
        (&[Panic], 1),
    ] {
        let breaker = CircuitBreaker::disabled();
        let counter = Arc::new(Polls::default());
        let _ = attach(Arc::clone(&counter) as _, call(&breaker, steps)).await;
        assert_eq!(*counter.begun.lock().unwrap(), polls, "polls of {steps:?}");
        assert_eq!(*counter.under_way.lock().unwrap(), 0, "{steps:?}");
    }
}

/// Lets attempts begin at a moment, or not at all.
#[derive(Debug)]
struct Gatekeeper {
    opens: Instant,
    verdict: Result<(), Stop>,
}

impl Attachment for Gatekeeper {
    fn poll_admission(&self, _: u32, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if Instant::now() < self.opens {
            let waker = cx.waker().clone();
            let opens = self.opens;
            tokio::spawn(async move {
                tokio::time::sleep_until(opens).await;
                waker.wake();
            });
            return Poll::Pending;
        }
        Poll::Ready(self.verdict)
    }
}

#[tokio::test(start_paused = true)]
async fn an_attachment_can_hold_attempts_back() {
    let breaker = CircuitBreaker::disabled();
    let start = Instant::now();
    let gatekeeper = Gatekeeper {
        opens: start + MILLI * 50,
        verdict: Ok(()),
    };
    let ended = attach(Arc::new(gatekeeper), call(&breaker, &[Answer])).await;
    assert_eq!(
        ended,
        Ok(()),
        "50 ms are more than an attempt may take, but the attempt had not begun"
    );
    assert_eq!(start.elapsed(), MILLI * 50);
}

#[tokio::test(start_paused = true)]
async fn an_attachment_can_let_no_attempt_begin() {
    let breaker = CircuitBreaker::new(1);
    let diary = Diary::granting(2);
    let gatekeeper = Gatekeeper {
        opens: Instant::now(),
        verdict: Err(Stop::Cancelled),
    };
    let inside = attach(Arc::new(gatekeeper), call(&breaker, &[]));
    let ended = attach(Arc::clone(&diary) as _, inside).await;
    assert_eq!(ended, Err("no outcome"));
    assert_eq!(diary.read(), "Cancelled after 0 as cancelled");
    assert_eq!(breaker.failure_count(), 0, "nothing was attempted");
}
