//! A failed attempt is followed by another after the backoff, as often as the policy allows, and never forever.

use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Policy, execute_with_controls};

use crate::support::{Script, Step, timed};

const POLICY: Policy = Policy::new().backoff_base(Duration::from_millis(100));

#[tokio::test(start_paused = true)]
async fn a_tool_that_recovers_is_retried_after_doubling_delays() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Fail, Step::Fail, Step::Fail, Step::Answer]);
    let call = execute_with_controls(POLICY.max_retries(5), &breaker, || script.run());
    let (result, elapsed) = timed(call).await;
    let result = result.unwrap();
    assert_eq!((result.success, result.attempts), (true, 4));
    assert_eq!(elapsed, 100 + 200 + 400);
}

#[tokio::test(start_paused = true)]
async fn there_is_one_attempt_and_as_many_more_as_there_are_retries() {
    for max_retries in [0, 1, 2, 7] {
        let breaker = CircuitBreaker::new(100);
        let script = Script::new(&[Step::Fail]);
        let result = execute_with_controls(POLICY.max_retries(max_retries), &breaker, || script.run()).await;
        assert_eq!(result.unwrap().attempts, max_retries + 1, "reported");
        assert_eq!(script.attempts(), max_retries as usize + 1, "made");
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_retried_like_errors() {
    let breaker = CircuitBreaker::new(10);
    let policy = POLICY.timeout(Duration::from_millis(1_000));
    let script = Script::new(&[Step::Hang, Step::Fail, Step::Answer]);
    let (result, elapsed) = timed(execute_with_controls(&policy, &breaker, || script.run())).await;
    assert_eq!(result.unwrap().attempts, 3);
    assert_eq!(elapsed, 1_000 + 100 + 200);
}

#[tokio::test(start_paused = true)]
async fn endless_retries_without_a_delay_let_other_tasks_run() {
    let breaker = CircuitBreaker::new(u32::MAX);
    let policy = POLICY.max_retries(u32::MAX).backoff_base(Duration::ZERO);
    let script = Script::new(&[Step::Fail]);
    let call = execute_with_controls(&policy, &breaker, || script.run());
    // There is one thread: the limit is noticed only if the retries yield.
    let outcome = tokio::time::timeout(Duration::from_millis(5), async {
        tokio::select! {
            result = call => panic!("an endless call ended: {result:?}"),
            () = tokio::task::yield_now() => "another task ran",
        }
    });
    assert_eq!(outcome.await, Ok("another task ran"));
}
