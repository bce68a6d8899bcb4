//! Half-open, a tool that is well is reached after a few batches, however its callers give up.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, execute_with_controls};
use serde_json::Value;
use tokio::task::JoinSet;

const ONCE: Policy = Policy::new().timeout(Duration::from_millis(100)).max_retries(0);
const COOLDOWN: Duration = Duration::from_secs(10);

type Breaker = &'static CircuitBreaker;

/// Resolves to an error when the call was refused.
async fn call(breaker: Breaker) -> Result<(), String> {
    let answer = || async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, String>(Value::Null)
    };
    match execute_with_controls(&ONCE, breaker, answer).await {
        Ok(result) if result.success => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn half_open(breaker: CircuitBreaker) -> Breaker {
    let breaker: Breaker = Box::leak(Box::new(breaker));
    while !breaker.is_open() {
        breaker.record_failure();
    }
    breaker
}

type Batch = Pin<Box<dyn Future<Output = bool>>>;

/// Returns how many batches it took until one was let in whole.
async fn batches_until_reached(breaker: Breaker, batch: impl Fn(Breaker) -> Batch) -> usize {
    for number in 1..=1_000 {
        tokio::time::sleep(COOLDOWN).await;
        if batch(breaker).await {
            assert_eq!(breaker.state(), BreakerState::Closed);
            return number;
        }
    }
    panic!("refused a thousand times: {breaker:?}");
}

#[tokio::test(start_paused = true)]
async fn batches_that_end_at_the_first_refusal_are_let_in_after_a_logarithm_of_their_size() {
    for (calls, batches) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (16, 5), (30, 6)] {
        let breaker = half_open(CircuitBreaker::new(3).cooldown(COOLDOWN));
        let batch = move |breaker| -> Batch {
            Box::pin(async move { try_join_all((0..calls).map(|_| call(breaker))).await.is_ok() })
        };
        assert_eq!(batches_until_reached(breaker, batch).await, batches, "{calls} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn breakers_with_several_probes_and_with_windows_do_the_same() {
    for (breaker, batches) in [
        (CircuitBreaker::new(1).probes(3), 3),
        (CircuitBreaker::windowed(10, 0.5), 5),
        (CircuitBreaker::windowed(10, 0.5).probes(9), 1),
    ] {
        let breaker = half_open(breaker.cooldown(COOLDOWN));
        let batch =
            |breaker| -> Batch { Box::pin(async move { try_join_all((0..9).map(|_| call(breaker))).await.is_ok() }) };
        assert_eq!(batches_until_reached(breaker, batch).await, batches, "{breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sets_of_tasks_that_are_aborted_at_the_first_refusal() {
    let breaker = half_open(CircuitBreaker::new(3).cooldown(COOLDOWN));
    let batch = |breaker| -> Batch {
        Box::pin(async move {
            let mut tasks: JoinSet<_> = (0..5).map(|_| call(breaker)).collect();
            while let Some(ended) = tasks.join_next().await {
                if ended.unwrap().is_err() {
                    tasks.shutdown().await;
                    return false;
                }
            }
            true
        })
    };
    assert_eq!(batches_until_reached(breaker, batch).await, 4);
}

/// The refusal comes first.
#[tokio::test(start_paused = true)]
async fn races_of_which_the_first_to_end_is_taken() {
    let breaker = half_open(CircuitBreaker::new(3).cooldown(COOLDOWN));
    let batch = |breaker| -> Batch {
        Box::pin(async move {
            tokio::select! {
                biased;
                first = call(breaker) => first.is_ok(),
                second = call(breaker) => second.is_ok(),
                third = call(breaker) => third.is_ok(),
            }
        })
    };
    assert_eq!(batches_until_reached(breaker, batch).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_result_still_decides_and_the_next_round_begins_with_one_slot() {
    let breaker = half_open(CircuitBreaker::new(1).cooldown(COOLDOWN));
    tokio::time::sleep(COOLDOWN).await;
    for _ in 0..3 {
        let batch = try_join_all((0..30).map(|_| call(breaker))).await;
        assert!(batch.is_err(), "thirty are let in at once");
    }
    breaker.admit().unwrap().failure();
    assert_eq!(breaker.state(), BreakerState::Open { retry_after: COOLDOWN });
    tokio::time::sleep(COOLDOWN).await;
    let all = join_all((0..100).map(|_| call(breaker))).await;
    assert_eq!(all.into_iter().filter(Result::is_ok).count(), 1, "beside one probe");
}

/// Nobody is refused, so there is no reason for more probes at a time than these.
#[tokio::test(start_paused = true)]
async fn callers_that_give_up_one_after_the_other_do_not_open_the_gates() {
    let breaker = half_open(CircuitBreaker::new(1).cooldown(COOLDOWN));
    tokio::time::sleep(COOLDOWN).await;
    for _ in 0..20 {
        let gave_up = tokio::time::timeout(Duration::from_millis(1), call(breaker)).await;
        assert!(gave_up.is_err(), "{gave_up:?}");
    }
    let all = join_all((0..100).map(|_| call(breaker))).await;
    assert_eq!(all.into_iter().filter(Result::is_ok).count(), 2);
}
