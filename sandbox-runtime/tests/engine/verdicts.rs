//! A verdict states what an outcome means: whether and when the tool is run again, and what the breaker counts.

use std::cell::Cell;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, SandboxError, Tool, Verdict, execute_with_controls};

use crate::support::timed;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .backoff_base(Duration::from_millis(100));

#[derive(Debug, Clone, Copy, PartialEq)]
enum FetchError {
    BadRequest,
    Gone,
    Down,
    Busy { seconds: u64 },
    Sandbox,
}

impl From<SandboxError> for FetchError {
    fn from(_: SandboxError) -> Self {
        FetchError::Sandbox
    }
}

fn verdict(result: &Result<u32, FetchError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Success,
        Err(FetchError::BadRequest) => Verdict::Ignore,
        Err(FetchError::Gone) => Verdict::Fail,
        Err(FetchError::Busy { seconds }) => Verdict::Retry {
            after: Some(Duration::from_secs(*seconds)),
        },
        Err(FetchError::Down | FetchError::Sandbox) => Verdict::RETRY,
    }
}

/// Calls a tool whose attempts return `results`, the last one over and over. What the caller gets, the attempts and
/// the milliseconds.
async fn call(
    policy: Policy,
    breaker: &CircuitBreaker,
    results: &[Result<u32, FetchError>],
) -> (Result<u32, FetchError>, usize, u128) {
    let attempts = Cell::new(0);
    let tool = Tool::new("fetch", || {
        let index = attempts.replace(attempts.get() + 1);
        std::future::ready(results[index.min(results.len() - 1)])
    });
    let (result, elapsed) = timed(execute_with_controls(policy, breaker, tool.classify(verdict))).await;
    (result, attempts.get(), elapsed)
}

#[tokio::test(start_paused = true)]
async fn retry_runs_again_after_the_backoff() {
    let breaker = CircuitBreaker::new(10);
    let outcome = call(POLICY, &breaker, &[Err(FetchError::Down), Ok(1)]).await;
    assert_eq!(outcome, (Ok(1), 2, 100));
}

#[tokio::test(start_paused = true)]
async fn fail_is_a_failure_and_not_run_again() {
    let breaker = CircuitBreaker::new(10);
    let outcome = call(POLICY, &breaker, &[Err(FetchError::Gone), Ok(1)]).await;
    assert_eq!(outcome, (Err(FetchError::Gone), 1, 0));
    assert_eq!(breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn ignore_is_returned_at_once_and_leaves_no_mark() {
    let breaker = CircuitBreaker::new(2);
    breaker.record_failure();
    for _ in 0..10 {
        let outcome = call(POLICY, &breaker, &[Err(FetchError::BadRequest)]).await;
        assert_eq!(outcome, (Err(FetchError::BadRequest), 1, 0), "retried or refused");
    }
    assert_eq!(
        breaker.failure_count(),
        1,
        "bad arguments neither open a breaker nor heal it"
    );
}

#[tokio::test(start_paused = true)]
async fn an_ignored_probe_frees_its_place_and_decides_nothing() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    breaker.record_failure();
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..10 {
        let outcome = call(POLICY, &breaker, &[Err(FetchError::BadRequest)]).await;
        assert_eq!(outcome.0, Err(FetchError::BadRequest), "a probe's place was lost");
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "an ignored probe decided");
    }
    assert_eq!(call(POLICY, &breaker, &[Ok(1)]).await.0, Ok(1));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_dependencys_own_hint_replaces_the_backoff() {
    let breaker = CircuitBreaker::new(10);
    let busy = Err(FetchError::Busy { seconds: 7 });
    let outcome = call(POLICY, &breaker, &[busy, Err(FetchError::Down), Ok(1)]).await;
    assert_eq!(outcome, (Ok(1), 3, 7_000 + 200));
}

#[tokio::test(start_paused = true)]
async fn a_hint_beyond_the_longest_delay_ends_the_call() {
    let breaker = CircuitBreaker::new(10);
    let policy = POLICY.backoff_max(Duration::from_secs(7));
    let patient = call(policy, &breaker, &[Err(FetchError::Busy { seconds: 7 }), Ok(1)]).await;
    assert_eq!(patient, (Ok(1), 2, 7_000));
    let busy = FetchError::Busy { seconds: 8 };
    assert_eq!(call(policy, &breaker, &[Err(busy)]).await, (Err(busy), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hint_beyond_the_time_left_ends_the_call() {
    let breaker = CircuitBreaker::new(10);
    let policy = POLICY.deadline(Duration::from_secs(5));
    let busy = FetchError::Busy { seconds: 3 };
    assert_eq!(call(policy, &breaker, &[Err(busy)]).await, (Err(busy), 2, 3_000));
    // What the dependency has asked for holds for other calls of its breaker, too.
    breaker.reset();
    let forever = FetchError::Busy { seconds: u64::MAX };
    assert_eq!(call(policy, &breaker, &[Err(forever)]).await, (Err(forever), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn retry_if_makes_other_errors_final() {
    for (error, attempts) in [(FetchError::Down, 3), (FetchError::Gone, 1)] {
        let breaker = CircuitBreaker::new(10);
        let count = Cell::new(0);
        let tool = Tool::new("fetch", || {
            count.set(count.get() + 1);
            async move { Err::<(), _>(error) }
        })
        .retry_if(|error| *error == FetchError::Down);
        assert_eq!(execute_with_controls(POLICY, &breaker, tool).await, Err(error));
        assert_eq!(count.get(), attempts, "attempts that fail with {error:?}");
        assert_eq!(breaker.failure_count(), 1, "the error that ends the call is a mark");
    }
}

#[tokio::test(start_paused = true)]
async fn any_return_type_will_do_with_classify_and_on_failure() {
    let breaker = CircuitBreaker::new(10);
    let tool = Tool::new("page", || async { String::new() })
        .classify(|page| {
            if page.is_empty() {
                Verdict::RETRY
            } else {
                Verdict::Success
            }
        })
        .on_failure(|failure| failure.to_string());
    assert_eq!(
        execute_with_controls(POLICY, &breaker, tool).await,
        "",
        "the tool's own last answer"
    );
    let tool = Tool::new("page", std::future::pending::<String>)
        .classify(|_| Verdict::Success)
        .on_failure(|failure| failure.to_string());
    let text = execute_with_controls(POLICY.max_retries(0), &breaker, tool).await;
    assert_eq!(text, "`page` timed out after 1000 ms");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_classifier_is_a_panic_of_the_tool() {
    let breaker = CircuitBreaker::new(10);
    let tool = Tool::new("fetch", || async { Ok::<u32, FetchError>(1) }).classify(|_| panic!("in the classifier"));
    assert_eq!(
        execute_with_controls(POLICY, &breaker, tool).await,
        Err(FetchError::Sandbox)
    );
    assert_eq!(breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn ignore_if_leaves_no_mark_and_other_errors_as_they_were() {
    for (error, attempts, failures) in [
        (FetchError::Gone, 1, 0),
        (FetchError::Down, 3, 1),
        (FetchError::Sandbox, 1, 1),
    ] {
        let breaker = CircuitBreaker::new(10);
        let count = Cell::new(0);
        let tool = Tool::new("fetch", || {
            count.set(count.get() + 1);
            async move { Err::<(), _>(error) }
        })
        .retry_if(|error| *error == FetchError::Down)
        .ignore_if(|error| *error == FetchError::Gone);
        assert_eq!(execute_with_controls(POLICY, &breaker, tool).await, Err(error));
        assert_eq!(
            (count.get(), breaker.failure_count()),
            (attempts, failures),
            "{error:?}"
        );
    }
}

#[test]
fn statuses() {
    for (verdict, statuses) in [
        (Verdict::Success, &[100, 200, 204, 304, 0, 600][..]),
        (Verdict::RETRY, &[408, 425, 429, 500, 502, 503, 504, 599]),
        (Verdict::Fail, &[401, 402, 407, 501, 505]),
        (Verdict::Ignore, &[400, 403, 404, 409, 410, 413, 422, 451]),
    ] {
        for &status in statuses {
            assert_eq!(Verdict::of_status(status), verdict, "{status}");
        }
    }
}

#[test]
fn io_errors() {
    use std::io::ErrorKind;
    for (verdict, kinds) in [
        (Verdict::Ignore, &[ErrorKind::NotFound, ErrorKind::InvalidInput][..]),
        (Verdict::Fail, &[ErrorKind::StorageFull, ErrorKind::Unsupported]),
        (
            Verdict::RETRY,
            &[ErrorKind::ConnectionRefused, ErrorKind::TimedOut, ErrorKind::Other],
        ),
    ] {
        for &kind in kinds {
            assert_eq!(Verdict::of_io_error(&kind.into()), verdict, "{kind}");
        }
    }
}
