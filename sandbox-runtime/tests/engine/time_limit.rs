//! An attempt ends within its time limit, and a tool that does not wait does not need a clock.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Policy, SandboxError, execute_with_controls};
use serde_json::json;
use tokio::task::coop;

use crate::support::{Script, Step, timed};

const ONCE: Policy = Policy::new().timeout(Duration::from_millis(100)).max_retries(0);

#[tokio::test(start_paused = true)]
async fn a_hanging_attempt_ends_at_its_limit() {
    let breaker = CircuitBreaker::new(5);
    let script = Script::new(&[Step::Hang]);
    let (result, elapsed) = timed(execute_with_controls(&ONCE, &breaker, || script.run())).await;
    let error = result.unwrap_err();
    assert!(error.is_timeout(), "ended by something else: {error}");
    assert_eq!(elapsed, 100);
    assert_eq!(breaker.failure_count(), 1, "a timeout is a failure");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_ends_at_its_limit_has_succeeded() {
    let breaker = CircuitBreaker::new(5);
    let script = Script::new(&[Step::AnswerAfter(100)]);
    let (result, elapsed) = timed(execute_with_controls(&ONCE, &breaker, || script.run())).await;
    assert!(result.unwrap().success, "the tool is asked before the clock");
    assert_eq!(elapsed, 100);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_the_whole_limit_for_itself() {
    let breaker = CircuitBreaker::new(5);
    let policy = ONCE.max_retries(2).backoff_base(Duration::from_millis(1_000));
    let script = Script::new(&[Step::AnswerAfter(101), Step::AnswerAfter(101), Step::AnswerAfter(99)]);
    let (result, elapsed) = timed(execute_with_controls(&policy, &breaker, || script.run())).await;
    assert_eq!(result.unwrap().attempts, 3);
    assert_eq!(elapsed, 100 + 1_000 + 100 + 2_000 + 99);
}

#[test]
fn a_tool_that_is_ready_at_once_does_not_need_a_runtime() {
    let breaker = CircuitBreaker::new(5);
    let mut call = pin!(execute_with_controls(&ONCE, &breaker, || async { Ok(json!(1)) }));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(result) = call.as_mut().poll(&mut context) else {
        panic!("a ready tool made its caller wait");
    };
    assert!(result.as_ref().is_ok_and(|report| report.success), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_uses_up_its_task_budget_still_times_out() {
    // The paused clock moves by itself only when every task waits, and this tool never does.
    tokio::spawn(async {
        loop {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    });
    let mut polls = 0;
    let tool = std::future::poll_fn(|context| {
        polls += 1;
        assert!(polls < 1_000, "the limit was never looked at");
        while coop::has_budget_remaining() {
            ready!(coop::poll_proceed(context)).made_progress();
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    let breaker = CircuitBreaker::new(5);
    let mut tool = Some(tool);
    let result = execute_with_controls(&ONCE, &breaker, || tool.take().expect("one attempt")).await;
    assert_eq!(result.unwrap_err().to_string(), "timed out: no answer within 100 ms");
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_the_clock_never_come() {
    for timeout in [Duration::from_millis(u64::MAX), Duration::MAX] {
        let breaker = CircuitBreaker::new(5);
        let script = Script::new(&[Step::AnswerAfter(86_400_000)]);
        let result = execute_with_controls(ONCE.timeout(timeout), &breaker, || script.run()).await;
        assert!(result.unwrap().success, "{timeout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_allows_one_poll() {
    let breaker = CircuitBreaker::new(5);
    let policy = ONCE.timeout(Duration::ZERO);
    let ready = execute_with_controls(&policy, &breaker, || async { Ok(json!(1)) }).await;
    assert!(ready.as_ref().is_ok_and(|report| report.success), "{ready:?}");
    let script = Script::new(&[Step::Hang]);
    let hanging = execute_with_controls(&policy, &breaker, || script.run()).await;
    let expected = SandboxError::Timeout {
        elapsed_ms: 0,
        limit_ms: 0,
    };
    assert_eq!(hanging, Err(expected));
}

/// The tasks of one thread share its budget, so most of these calls look at their tools late, when the limits are over as well.
#[tokio::test(start_paused = true)]
async fn answers_that_are_there_when_the_limit_is_looked_at_late_are_taken() {
    let breaker = CircuitBreaker::disabled();
    let scripts: Vec<_> = (0..300).map(|_| Script::new(&[Step::AnswerAfter(10)])).collect();
    let mut calls: Vec<_> = scripts
        .iter()
        .map(|script| Box::pin(execute_with_controls(&ONCE, &breaker, || script.run())))
        .collect();
    std::future::poll_fn(|cx| {
        let pending = calls
            .iter_mut()
            .filter_map(|call| call.as_mut().poll(cx).is_pending().then_some(()));
        assert_eq!(pending.count(), 300, "they all have to wait");
        Poll::Ready(())
    })
    .await;
    tokio::time::advance(Duration::from_millis(1_000)).await;
    let mut late = 0;
    for call in calls {
        late += usize::from(!call.await.is_ok_and(|report| report.success));
    }
    assert_eq!(late, 0, "so many answers were thrown away");
}
