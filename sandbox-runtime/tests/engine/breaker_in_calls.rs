//! The breaker admits each attempt and counts its result.

use std::cell::Cell;
use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, SandboxError, Tool, execute_with_controls};
use tokio_util::sync::CancellationToken;

use crate::support::{Script, Step, timed};

const ONCE: Policy = Policy::new().timeout(Duration::from_millis(100)).max_retries(0);
const COOLDOWN: Duration = Duration::from_secs(10);

async fn call(breaker: &CircuitBreaker, step: Step) -> Result<bool, SandboxError> {
    let script = Script::new(&[step]);
    let result = execute_with_controls(&ONCE, breaker, || script.run()).await;
    result.map(|result| result.success)
}

#[tokio::test(start_paused = true)]
async fn it_opens_refuses_probes_and_closes_again() {
    let breaker = CircuitBreaker::new(2).cooldown(COOLDOWN);
    assert_eq!(call(&breaker, Step::Fail).await, Ok(false));
    assert_eq!(breaker.state(), BreakerState::Closed);
    let error = call(&breaker, Step::Hang).await.unwrap_err();
    assert!(error.is_timeout(), "the second failure is not a timeout: {error}");
    assert_eq!(breaker.state(), BreakerState::Open { retry_after: COOLDOWN });

    tokio::time::advance(Duration::from_secs(4)).await;
    let (refusal, elapsed) = timed(call(&breaker, Step::Answer)).await;
    let Err(SandboxError::CircuitBreakerOpen { retry_after_ms, .. }) = refusal else {
        panic!("expected a refusal, got {refusal:?}");
    };
    assert_eq!(retry_after_ms, Some(6_000), "the refusal states how long is left");
    assert_eq!(elapsed, 0);

    tokio::time::advance(Duration::from_millis(5_999)).await;
    let error = call(&breaker, Step::Answer).await.unwrap_err();
    assert!(
        error.is_circuit_open(),
        "not refused until the cooldown is over: {error}"
    );
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(call(&breaker, Step::Answer).await, Ok(true));
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.failure_count(), 0, "a transition clears the counts");
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_it_for_another_cooldown() {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
    assert_eq!(call(&breaker, Step::Fail).await, Ok(false));
    tokio::time::advance(COOLDOWN).await;
    assert_eq!(call(&breaker, Step::Fail).await, Ok(false));
    assert_eq!(breaker.state(), BreakerState::Open { retry_after: COOLDOWN });
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_and_not_calls() {
    let breaker = CircuitBreaker::new(10);
    let policy = ONCE.max_retries(3).backoff_base(Duration::ZERO);
    let script = Script::new(&[Step::Fail]);
    let _ = execute_with_controls(&policy, &breaker, || script.run()).await;
    assert_eq!(breaker.failure_count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_success_clears_the_count() {
    let breaker = CircuitBreaker::new(3);
    for step in [Step::Fail, Step::Fail, Step::Answer, Step::Fail, Step::Fail] {
        let _ = call(&breaker, step).await;
    }
    assert_eq!(breaker.failure_count(), 2);
    assert!(!breaker.is_open(), "failures on both sides of a success were added up");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_breaker_opens_elsewhere_during_its_backoff_ends_after_it() {
    let breaker = CircuitBreaker::new(5);
    let policy = ONCE.max_retries(3).backoff_base(Duration::from_millis(100));
    let script = Script::new(&[Step::Fail]);
    let elsewhere = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        breaker.force_open();
    };
    let (result, ()) = tokio::join!(execute_with_controls(&policy, &breaker, || script.run()), elsewhere);
    let Err(SandboxError::CircuitBreakerOpen { retry_after_ms, .. }) = result else {
        panic!("expected a refusal, got {result:?}");
    };
    assert_eq!(retry_after_ms, None, "a forced breaker has no end");
    assert_eq!(script.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_in_as_many_at_a_time_as_there_are_probes() {
    for probes in [1, 2, 3] {
        let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN).probes(probes);
        let _ = call(&breaker, Step::Fail).await;
        tokio::time::advance(COOLDOWN).await;
        let calls = (0..50).map(|_| call(&breaker, Step::AnswerAfter(10)));
        let mut admitted = 0;
        for result in futures_util::future::join_all(calls).await {
            match result {
                Ok(success) => {
                    assert!(success, "a tool that answers has failed");
                    admitted += 1;
                }
                Err(error) => assert!(error.is_circuit_open(), "{error}"),
            }
        }
        assert_eq!(admitted, probes, "of 50 callers at once");
        assert_eq!(breaker.state(), BreakerState::Closed, "{probes} probes succeeded");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_from_before_the_trip_does_not_close_it() {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
    let early = call(&breaker, Step::AnswerAfter(50));
    let trip = call(&breaker, Step::Fail);
    let (early, trip) = tokio::join!(early, trip);
    assert_eq!((early, trip), (Ok(true), Ok(false)));
    assert!(
        breaker.is_open(),
        "an attempt that began before the breaker opened closed it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_takes_longer_than_the_cooldown_still_decides() {
    let cooldown = Duration::from_millis(10);
    for (step, closes) in [
        (Step::AnswerAfter(90), true),
        (Step::FailAfter(90), false),
        (Step::Hang, false),
    ] {
        let breaker = CircuitBreaker::new(1).cooldown(cooldown);
        let _ = call(&breaker, Step::Fail).await;
        tokio::time::advance(cooldown).await;
        let others = async {
            for _ in 0..80 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let other = call(&breaker, Step::Answer).await;
                assert!(other.unwrap_err().is_circuit_open(), "beside a probe under way");
            }
        };
        let (_, ()) = tokio::join!(call(&breaker, step), others);
        assert_eq!(
            breaker.state() == BreakerState::Closed,
            closes,
            "after a probe that would {step:?}"
        );
    }
}

/// Not the time limit and the cooldown, after which a silent probe would lose its slot.
#[tokio::test(start_paused = true)]
async fn whoever_is_refused_beside_a_probe_is_asked_to_come_back_soon() {
    let retry_after_ms = |refusal| match refusal {
        Err(SandboxError::CircuitBreakerOpen { retry_after_ms, .. }) => retry_after_ms,
        other => panic!("expected a refusal, got {other:?}"),
    };
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
    let _ = call(&breaker, Step::Fail).await;
    tokio::time::advance(COOLDOWN).await;
    let (probe, beside) = tokio::join!(call(&breaker, Step::AnswerAfter(50)), call(&breaker, Step::Answer));
    assert_eq!(probe, Ok(true));
    assert_eq!(retry_after_ms(beside), Some(1_000));

    let _ = call(&breaker, Step::Fail).await;
    tokio::time::advance(COOLDOWN).await;
    let _hung = breaker.admit().unwrap();
    tokio::time::advance(COOLDOWN - Duration::from_millis(999)).await;
    let beside = call(&breaker, Step::Answer).await;
    assert_eq!(
        retry_after_ms(beside),
        Some(999),
        "no later than a silent probe loses its slot"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_probe_by_hand_blocks_for_one_cooldown_at_most() {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
    let _ = call(&breaker, Step::Fail).await;
    tokio::time::advance(COOLDOWN).await;
    let hung = breaker.admit().unwrap();
    assert!(hung.is_probe(), "closed after its cooldown, without a probe");
    tokio::time::advance(COOLDOWN - Duration::from_millis(1)).await;
    let error = call(&breaker, Step::Answer).await.unwrap_err();
    assert!(error.is_circuit_open(), "not refused beside a hung probe: {error}");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(call(&breaker, Step::Answer).await, Ok(true));
    hung.failure();
    assert_eq!(
        breaker.state(),
        BreakerState::Closed,
        "a probe that had lost its place was counted"
    );
}

/// What a refusal takes from the task's budget it gives back to other tasks.
#[tokio::test(start_paused = true)]
async fn a_loop_over_refusals_lets_others_run() {
    let breaker = CircuitBreaker::new(1);
    breaker.force_open();
    let others = Cell::new(0);
    let refusals = Cell::new(0);
    let looping = async {
        while refusals.get() < 10_000 && others.get() < 2 {
            assert!(call(&breaker, Step::Answer).await.is_err());
            refusals.set(refusals.get() + 1);
        }
    };
    let beside = async {
        while refusals.get() < 10_000 && others.get() < 2 {
            others.set(others.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(looping, beside);
    assert_eq!(
        others.get(),
        2,
        "the loop kept its thread for {} refusals",
        refusals.get()
    );
}

/// The destructor of a tool may still use what it is the only one to use.
#[tokio::test(start_paused = true)]
async fn the_slot_of_a_probe_that_is_dropped_or_cancelled_is_free_when_the_tool_is_gone() {
    struct Seen<'a>(&'a CircuitBreaker, &'a Cell<Option<bool>>);
    impl Drop for Seen<'_> {
        fn drop(&mut self) {
            self.1.set(Some(self.0.is_open()));
        }
    }
    for is_cancelled in [false, true] {
        let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
        breaker.record_failure();
        tokio::time::advance(COOLDOWN).await;
        let was_taken = Cell::new(None);
        let tool = Tool::new("probe", || async {
            let _seen = Seen(&breaker, &was_taken);
            std::future::pending::<Result<(), String>>().await
        });
        let token = CancellationToken::new();
        let mut probe = Box::pin(execute_with_controls(
            ONCE,
            &breaker,
            tool.cancelled_by(token.cancelled()),
        ));
        let begun = std::future::poll_fn(|cx| Poll::Ready(probe.as_mut().poll(cx))).await;
        assert!(begun.is_pending() && breaker.is_open(), "the slot is taken");
        if is_cancelled {
            token.cancel();
            assert!(probe.as_mut().await.is_err(), "it was cancelled");
        } else {
            drop(probe);
        }
        assert_eq!(
            was_taken.get(),
            Some(true),
            "free while the destructor ran, cancelled: {is_cancelled}"
        );
        assert!(!breaker.is_open(), "the slot is kept, cancelled: {is_cancelled}");
    }
}
