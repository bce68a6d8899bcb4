//! A mark on the breaker means that the tool is not well: what retries mend leaves none, and neither does what the caller does.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use futures_util::future::join_all;
use sandbox_runtime::{
    BreakerState, Budget, CircuitBreaker, Counting, Policy, SandboxError, Tool, Verdict, execute_with_controls,
};
use tokio::time::{Instant, sleep};

const MILLI: Duration = Duration::from_millis(1);
const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .max_retries(2)
    .backoff_base(MILLI);

/// A call whose first attempts return an error.
async fn fails_first(breaker: &CircuitBreaker, policy: Policy, failures: u32) -> Result<u32, String> {
    let attempts = Cell::new(0);
    let tool = Tool::new("tool", || {
        attempts.set(attempts.get() + 1);
        let attempt = attempts.get();
        async move {
            if attempt > failures {
                Ok(attempt)
            } else {
                Err("503".to_owned())
            }
        }
    });
    execute_with_controls(policy, breaker, tool).await
}

async fn hangs(breaker: &CircuitBreaker, policy: Policy) {
    let tool = Tool::new("tool", pending::<Result<(), SandboxError>>);
    let _ = execute_with_controls(policy, breaker, tool).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_a_retry_mends_is_none() {
    let breaker = CircuitBreaker::new(2);
    let policy = POLICY.max_retries(9);
    assert_eq!(
        fails_first(&breaker, policy, 6).await,
        Ok(7),
        "more failures than the threshold"
    );
    assert_eq!(breaker.failure_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_error_that_ends_a_call_is_one() {
    let breaker = CircuitBreaker::new(9);
    for (ended_by, policy) in [
        ("its attempts", POLICY),
        ("having one attempt", POLICY.max_retries(0)),
        ("having no time", POLICY.backoff_base(MILLI * 200).deadline(MILLI * 150)),
    ] {
        let before = breaker.failure_count();
        assert!(fails_first(&breaker, policy, 9).await.is_err(), "ended by {ended_by}");
        assert_eq!(breaker.failure_count(), before + 1, "ended by {ended_by}");
    }
    let before = breaker.failure_count();
    let run = Budget::new().retries(0);
    assert!(run.scope(fails_first(&breaker, POLICY, 9)).await.is_err());
    assert_eq!(breaker.failure_count(), before + 1, "ended by the retries of its run");
    assert_eq!(fails_first(&breaker, POLICY, 2).await, Ok(3));
    assert_eq!(breaker.failure_count(), 0, "a success takes them back");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_a_retry_is_of_no_use_is_one() {
    let breaker = CircuitBreaker::new(9);
    let tool = Tool::new("tool", || async { Err::<(), _>("401".to_owned()) }).classify(|_| Verdict::Fail);
    let _ = execute_with_controls(POLICY, &breaker, tool).await;
    assert_eq!(breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_one_each() {
    let breaker = CircuitBreaker::new(5);
    hangs(&breaker, POLICY).await;
    assert_eq!(breaker.failure_count(), 3);
    hangs(&breaker, POLICY).await;
    assert!(breaker.is_open(), "five hanging attempts");
}

#[tokio::test(start_paused = true)]
async fn of_a_window_too() {
    let breaker = CircuitBreaker::windowed(4, 0.5);
    for _ in 0..4 {
        assert_eq!(fails_first(&breaker, POLICY, 2).await, Ok(3));
    }
    assert_eq!(
        breaker.state(),
        BreakerState::Closed,
        "eight errors that retries mended"
    );
    for _ in 0..2 {
        assert!(fails_first(&breaker, POLICY, 9).await.is_err());
    }
    assert!(breaker.is_open(), "two of the last four calls ended with an error");
}

#[tokio::test(start_paused = true)]
async fn half_open_every_result_decides() {
    let breaker = CircuitBreaker::new(1).cooldown(MILLI * 50);
    breaker.record_failure();
    sleep(MILLI * 50).await;
    assert_eq!(
        fails_first(&breaker, POLICY, 1).await,
        Err("503".into()),
        "the probe's error is not retried"
    );
    assert!(
        matches!(breaker.state(), BreakerState::Open { .. }),
        "{:?}",
        breaker.state()
    );
}

#[tokio::test(start_paused = true)]
async fn one_outage_under_parallel_calls_is_none() {
    let breaker = CircuitBreaker::new(5);
    let start = Instant::now();
    let call = |_| async {
        let tool = Tool::new("tool", || async {
            sleep(MILLI * 20).await;
            if start.elapsed() < MILLI * 100 {
                Err("down".to_owned())
            } else {
                Ok(())
            }
        });
        execute_with_controls(POLICY.backoff_base(MILLI * 100), &breaker, tool).await
    };
    let answers = join_all((0..8).map(call)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(breaker.failure_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_is_none_and_that_of_the_call_is_one() {
    let breaker = CircuitBreaker::new(9);
    let run = Budget::new().deadline(MILLI * 50);
    run.scope(hangs(&breaker, POLICY)).await;
    assert_eq!(breaker.failure_count(), 0, "cut by the run");
    let nested = Budget::new()
        .deadline(MILLI * 900)
        .scope(run.scope(hangs(&breaker, POLICY)));
    nested.await;
    assert_eq!(breaker.failure_count(), 0, "cut by the run inside a run");
    let spawned = run.scope(async {
        let inherited = Budget::inherit(async {
            let breaker = CircuitBreaker::new(9);
            hangs(&breaker, POLICY).await;
            breaker.failure_count()
        });
        tokio::spawn(inherited).await
    });
    assert_eq!(spawned.await.unwrap(), 0, "cut by the run, in a task of its own");
    hangs(&breaker, POLICY.max_retries(0).deadline(MILLI * 50)).await;
    assert_eq!(breaker.failure_count(), 1, "cut by the call's own deadline");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_cancels_or_drops_leaves_none() {
    let breaker = CircuitBreaker::new(9);
    let policy = POLICY.backoff_base(MILLI * 500);
    let _ = tokio::time::timeout(MILLI * 10, fails_first(&breaker, policy, 9)).await;
    let tool = Tool::new("tool", || async { Err::<(), _>("503".to_owned()) }).cancelled_by(sleep(MILLI * 10));
    let _ = execute_with_controls(policy, &breaker, tool).await;
    assert_eq!(breaker.failure_count(), 0, "both waited for a retry");
}

/// What ends the inner call of a tool by no fault of it ends the tool without a mark and without a retry.
#[tokio::test(start_paused = true)]
async fn an_inner_call_that_its_caller_ends_leaves_none_on_the_outer_tool() {
    let inner = CircuitBreaker::disabled();
    let attempts = Cell::new(0);
    for (end, marks, expected) in [
        ("cancelled", 0, 1),
        ("run", 0, 1),
        ("own deadline", 1, 3),
        ("timeout", 1, 3),
    ] {
        let outer = CircuitBreaker::new(9);
        attempts.set(0);
        let tool = Tool::new("outer", || async {
            attempts.set(attempts.get() + 1);
            let hang = Tool::new("inner", pending::<Result<(), String>>);
            let once = POLICY.max_retries(0).timeout(MILLI * 50);
            match end {
                "cancelled" => execute_with_controls(once, &inner, hang.cancelled_by(sleep(MILLI * 10))).await,
                "run" => {
                    let run = Budget::new().deadline(MILLI * 10);
                    run.scope(execute_with_controls(once, &inner, hang)).await
                }
                "own deadline" => execute_with_controls(once.deadline(MILLI * 10), &inner, hang).await,
                _ => execute_with_controls(once, &inner, hang).await,
            }
        });
        assert!(execute_with_controls(POLICY, &outer, tool).await.is_err(), "{end}");
        assert_eq!((outer.failure_count(), attempts.get()), (marks, expected), "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn closures_that_answer_with_json_count_every_attempt() {
    let breaker = CircuitBreaker::new(9);
    let _ = execute_with_controls(POLICY, &breaker, || async { Err("503".to_owned()) }).await;
    assert_eq!(breaker.failure_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn so_do_breakers_that_are_asked_to() {
    let breaker = CircuitBreaker::new(9).counting(Counting::Attempts);
    assert!(fails_first(&breaker, POLICY, 9).await.is_err());
    assert_eq!(breaker.failure_count(), 3);
    let opens = CircuitBreaker::new(2).counting(Counting::Attempts);
    assert!(fails_first(&opens, POLICY, 9).await.is_err());
    assert!(opens.is_open(), "two of three attempts are enough");
}
