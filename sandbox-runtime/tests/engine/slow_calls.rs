//! A success that took too long is a failure for the breaker and for nobody else.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::{BreakerState, Budget, CircuitBreaker, Policy, Tool, execute_with_controls};
use tokio::time::{advance, sleep};

use crate::support::{Script, Step, timed};

const LONGEST: Duration = Duration::from_millis(50);
const COOLDOWN: Duration = Duration::from_secs(10);
const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .max_retries(1)
    .backoff_base(Duration::ZERO);

fn in_a_row(threshold: u32) -> CircuitBreaker {
    CircuitBreaker::new(threshold).slow_call(LONGEST).cooldown(COOLDOWN)
}

/// Makes a call that succeeds with the last of these steps. Every attempt counts.
async fn succeed(policy: Policy, breaker: &CircuitBreaker, steps: &[Step]) {
    let script = Script::new(steps);
    let result = execute_with_controls(policy, breaker, || script.run()).await;
    let result = result.expect("the last attempt succeeds");
    assert!(result.success, "the caller does not get the success: {result:?}");
    assert_eq!(script.attempts(), steps.len(), "a success is run again");
}

async fn fail(breaker: &CircuitBreaker) {
    let script = Script::new(&[Step::Fail]);
    let _ = execute_with_controls(POLICY.max_retries(0), breaker, || script.run()).await;
}

#[tokio::test(start_paused = true)]
async fn a_success_is_slow_from_the_first_millisecond_over_the_limit() {
    for (millis, failures) in [(1, 0), (50, 0), (51, 1), (100, 1)] {
        let breaker = in_a_row(9);
        succeed(POLICY, &breaker, &[Step::AnswerAfter(millis)]).await;
        assert_eq!(breaker.failure_count(), failures, "after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_successes_and_failures_are_one_row() {
    let breaker = in_a_row(3);
    succeed(POLICY, &breaker, &[Step::AnswerAfter(60)]).await;
    fail(&breaker).await;
    assert_eq!(breaker.failure_count(), 2);
    succeed(POLICY, &breaker, &[Step::AnswerAfter(10)]).await;
    assert_eq!(breaker.failure_count(), 0, "a quick success ends the row");
    succeed(POLICY, &breaker, &[Step::AnswerAfter(60)]).await;
    fail(&breaker).await;
    succeed(POLICY, &breaker, &[Step::AnswerAfter(60)]).await;
    assert_eq!(breaker.state(), BreakerState::Open { retry_after: COOLDOWN });
}

#[tokio::test(start_paused = true)]
async fn slow_successes_are_failures_in_a_window() {
    let breaker = CircuitBreaker::windowed(4, 0.5).slow_call(LONGEST);
    for millis in [60, 10, 10] {
        succeed(POLICY, &breaker, &[Step::AnswerAfter(millis)]).await;
    }
    assert_eq!((breaker.failure_count(), breaker.is_open()), (1, false));
    succeed(POLICY, &breaker, &[Step::AnswerAfter(60)]).await;
    assert!(breaker.is_open(), "two of four took too long");
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_fails_and_a_quick_one_closes() {
    let breaker = in_a_row(1);
    fail(&breaker).await;
    advance(COOLDOWN).await;
    succeed(POLICY, &breaker, &[Step::AnswerAfter(51)]).await;
    assert_eq!(breaker.state(), BreakerState::Open { retry_after: COOLDOWN });
    advance(COOLDOWN).await;
    succeed(POLICY, &breaker, &[Step::AnswerAfter(50)]).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
}

/// Each attempt is measured by itself, from when it first has to wait.
#[tokio::test(start_paused = true)]
async fn only_the_attempt_that_succeeds_is_measured() {
    for (steps, failures) in [
        ([Step::FailAfter(90), Step::AnswerAfter(50)], 0),
        ([Step::FailAfter(90), Step::Answer], 0),
        ([Step::Hang, Step::Answer], 0),
        ([Step::FailAfter(90), Step::AnswerAfter(51)], 2),
        ([Step::Fail, Step::AnswerAfter(51)], 2),
    ] {
        let breaker = in_a_row(9);
        let policy = POLICY.backoff_base(Duration::from_millis(60));
        succeed(policy, &breaker, &steps).await;
        assert_eq!(breaker.failure_count(), failures, "{steps:?}");
    }
}

/// By the deadline of the call, and by the end of its run.
#[tokio::test(start_paused = true)]
async fn limits_that_are_shortened_show_nothing_of_the_time_taken() {
    for (millis, failures) in [(50, 0), (51, 2)] {
        let steps = [Step::FailAfter(45), Step::AnswerAfter(millis)];
        let breaker = in_a_row(9);
        succeed(POLICY.deadline(Duration::from_millis(101)), &breaker, &steps).await;
        assert_eq!(breaker.failure_count(), failures, "{millis} ms of a deadline");
        let breaker = in_a_row(9);
        let run = Budget::new().deadline(Duration::from_millis(101));
        run.scope(succeed(POLICY, &breaker, &steps)).await;
        assert_eq!(breaker.failure_count(), failures, "{millis} ms of a run");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_moved_while_the_attempt_waits_does_not_matter() {
    for (millis, failures) in [(50, 0), (51, 1)] {
        let breaker = in_a_row(9);
        let steps = [Step::AnswerAfter(millis)];
        let mut call = Box::pin(succeed(POLICY, &breaker, &steps));
        let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(polled.is_pending(), "the tool takes a while");
        sleep(Duration::from_millis(20)).await;
        let run = Budget::new().deadline(Duration::from_millis(40));
        run.scope(call).await;
        assert_eq!(breaker.failure_count(), failures, "after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_a_limit_is_measured_alike() {
    let longest = Duration::from_secs(86_400);
    for (late, failures) in [(0, 0), (1, 1)] {
        let breaker = CircuitBreaker::new(9).slow_call(longest);
        let steps = [Step::AnswerAfter(86_400_000 + late)];
        succeed(POLICY.timeout(Duration::MAX), &breaker, &steps).await;
        assert_eq!(breaker.failure_count(), failures, "{late} ms late");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_does_not_have_to_wait_is_never_slow() {
    let breaker = CircuitBreaker::new(1).slow_call(Duration::ZERO);
    let tool = Tool::new("blocks", || {
        poll_fn(|cx| {
            // The clock moves, and the tool does not wait for that.
            let _ = pin!(advance(COOLDOWN)).poll(cx);
            Poll::Ready(Ok::<_, String>(()))
        })
    });
    let (result, elapsed) = timed(execute_with_controls(POLICY, &breaker, tool)).await;
    assert_eq!(result, Ok(()));
    assert_eq!(elapsed, COOLDOWN.as_millis(), "the tool blocks for a while");
    assert_eq!(breaker.state(), BreakerState::Closed);
    succeed(POLICY, &breaker, &[Step::AnswerAfter(1)]).await;
    assert!(breaker.is_open(), "after a wait every success is longer than nothing");
}

#[tokio::test(start_paused = true)]
async fn no_success_is_slow_unless_that_is_asked_for() {
    for breaker in [
        CircuitBreaker::new(1),
        in_a_row(1).slow_call(Duration::MAX),
        CircuitBreaker::disabled().slow_call(Duration::ZERO),
    ] {
        succeed(
            POLICY.timeout(Duration::MAX),
            &breaker,
            &[Step::AnswerAfter(86_400_000)],
        )
        .await;
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}

/// What it took counts for the state in which it was admitted.
#[tokio::test(start_paused = true)]
async fn a_slow_success_from_before_a_reset_counts_for_nothing() {
    let breaker = in_a_row(1);
    let slow = succeed(POLICY, &breaker, &[Step::AnswerAfter(60)]);
    let reset = async {
        sleep(Duration::from_millis(30)).await;
        breaker.reset();
    };
    tokio::join!(slow, reset);
    assert_eq!((breaker.state(), breaker.failure_count()), (BreakerState::Closed, 0));
}

/// A permit has no clock.
#[tokio::test(start_paused = true)]
async fn by_hand_no_time_is_measured() {
    let breaker = in_a_row(1);
    let permit = breaker.admit().expect("it is closed");
    advance(COOLDOWN).await;
    permit.success();
    assert_eq!(breaker.failure_count(), 0);
}
