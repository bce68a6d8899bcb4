//! A call keeps the run that it belongs to, and no other, wherever it is polled.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::{Budget, CircuitBreaker, Failure, FailureKind, Policy, Tool, execute_with_controls};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

const MILLI: Duration = Duration::from_millis(1);
const POLICY: Policy = Policy::new().max_retries(0);

/// A call of a tool that takes half a second. A failure comes with the marks that it has left.
async fn slow() -> Result<(), (Failure, u32)> {
    let breaker = CircuitBreaker::new(9);
    let tool = Tool::new("slow", || async {
        sleep(MILLI * 500).await;
        Ok(())
    })
    .on_failure(Err);
    let ended = execute_with_controls(POLICY, &breaker, tool).await;
    ended.map_err(|failure: Failure| (failure, breaker.failure_count()))
}

fn run(millis: u32) -> Budget {
    Budget::new().deadline(MILLI * millis)
}

async fn poll_once(call: &mut Pin<Box<impl Future>>) {
    let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
    assert!(polled.is_pending(), "the tool takes a while");
}

fn assert_cut_at(ended: Result<(), (Failure, u32)>, millis: u64) {
    let (failure, marks) = ended.expect_err("the run was over before the tool was done");
    assert_eq!((failure.kind, marks), (FailureKind::DeadlineExceeded, 0));
    assert_eq!(failure.deadline_ms, Some(millis));
}

#[tokio::test(start_paused = true)]
async fn begun_inside_and_finished_outside() {
    let mut call = Box::pin(slow());
    run(50).scope(poll_once(&mut call)).await;
    assert_cut_at(tokio::spawn(call).await.unwrap(), 50);
}

#[tokio::test(start_paused = true)]
async fn begun_outside_and_finished_inside() {
    let mut call = Box::pin(slow());
    poll_once(&mut call).await;
    sleep(MILLI * 30).await;
    let start = Instant::now();
    assert_cut_at(run(50).scope(call).await, 50);
    assert_eq!(
        start.elapsed(),
        MILLI * 50,
        "the limit that was armed before is tightened"
    );
}

#[tokio::test(start_paused = true)]
async fn its_own_deadline_goes_on_where_it_is_handed_to() {
    let breaker = CircuitBreaker::new(9);
    let tool = Tool::new("slow", || async {
        sleep(MILLI * 500).await;
        Ok(())
    });
    let tool = tool.on_failure(Err::<(), Failure>);
    let start = Instant::now();
    let mut call = Box::pin(execute_with_controls(POLICY.deadline(MILLI * 100), &breaker, tool));
    poll_once(&mut call).await;
    sleep(MILLI * 60).await;
    let ended = run(10_000).scope(call).await;
    let failure = ended.expect_err("it ran past its deadline");
    assert_eq!(start.elapsed(), MILLI * 100, "the deadline began again");
    assert_eq!(
        failure.elapsed_ms, 100,
        "the time before it was handed over is forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn a_local_task_that_is_polled_within_is_a_stranger() {
    let local = LocalSet::new();
    let stranger = local.spawn_local(slow());
    run(50).scope(local.run_until(sleep(MILLI * 100))).await;
    assert_eq!(local.run_until(stranger).await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_local_task_that_inherits_is_not() {
    let local = LocalSet::new();
    let ended = run(50).scope(local.run_until(async {
        let inherited = tokio::task::spawn_local(Budget::inherit(slow()));
        inherited.await.unwrap()
    }));
    assert_cut_at(ended.await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_handed_to_another_task_is_still_around_its_calls() {
    let mut run = Box::pin(run(50).scope(async {
        tokio::task::yield_now().await;
        slow().await
    }));
    poll_once(&mut run).await;
    assert_cut_at(tokio::spawn(run).await.unwrap(), 50);
}

#[tokio::test(start_paused = true)]
async fn an_inherited_future_keeps_the_tighter_of_two() {
    for (outer, inner, end) in [(10_000, 50, 50), (50, 10_000, 50)] {
        let ended = run(outer).scope(async {
            let inherited = Budget::inherit(slow());
            run(inner).scope(inherited).await
        });
        assert_cut_at(ended.await, end);
    }
    let unrelated = run(50).scope(poll_fn(|_| Poll::Ready(Budget::inherit(slow())))).await;
    assert_cut_at(run(10_000).scope(unrelated).await, 50);
}

#[tokio::test(start_paused = true)]
async fn an_inherited_future_takes_a_retry_once_from_a_run_that_surrounds_it_twice() {
    let attempts = std::cell::Cell::new(0);
    let breaker = CircuitBreaker::new(9);
    let call = || async {
        let tool = Tool::new("fails", || {
            attempts.set(attempts.get() + 1);
            async { Err::<(), _>("503".to_owned()) }
        });
        execute_with_controls(POLICY.max_retries(9), &breaker, tool).await
    };
    let run = Budget::new().retries(2).scope(async {
        let inherited = Budget::inherit(call());
        Budget::new().retries(9).scope(inherited).await
    });
    assert!(run.await.is_err());
    assert_eq!(attempts.get(), 3, "two retries");
}
