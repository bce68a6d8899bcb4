//! A failure that comes long after the last one begins a new row, where a breaker is asked to forget.

use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, execute_with_controls};
use tokio::time::advance;

use crate::support::{Script, Step};

const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

fn forgetting(threshold: u32) -> CircuitBreaker {
    CircuitBreaker::new(threshold).forget_after(FORGOTTEN_AFTER)
}

async fn call(breaker: &CircuitBreaker, step: Step) {
    let script = Script::new(&[step]);
    let policy = Policy::new().max_retries(0);
    let _ = execute_with_controls(policy, breaker, || script.run()).await;
}

#[tokio::test(start_paused = true)]
async fn failures_as_far_apart_as_allowed_are_a_row_and_one_millisecond_more_ends_it() {
    let breaker = forgetting(3);
    for expected in [1, 2] {
        call(&breaker, Step::Fail).await;
        assert_eq!(breaker.failure_count(), expected);
        advance(FORGOTTEN_AFTER).await;
        assert_eq!(breaker.failure_count(), expected, "forgotten early");
    }
    advance(MILLISECOND).await;
    assert_eq!(breaker.failure_count(), 0, "an old row is no longer told");
    for expected in [1, 2] {
        call(&breaker, Step::Fail).await;
        assert_eq!(breaker.failure_count(), expected, "of the new row");
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    advance(FORGOTTEN_AFTER).await;
    call(&breaker, Step::Fail).await;
    assert!(breaker.is_open(), "three failures, a minute between each two");
    assert_eq!(breaker.failure_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_row_ends_with_a_success_too() {
    let breaker = forgetting(2);
    call(&breaker, Step::Fail).await;
    call(&breaker, Step::Answer).await;
    assert_eq!(breaker.failure_count(), 0);
    call(&breaker, Step::Fail).await;
    assert!(!breaker.is_open(), "failures on both sides of a success were added up");
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_by_hand_is_forgotten_alike() {
    let breaker = forgetting(2);
    assert_eq!(breaker.record_failure(), 1);
    advance(FORGOTTEN_AFTER + MILLISECOND).await;
    assert_eq!(breaker.record_failure(), 1);
    breaker.admit().expect("it is closed").failure();
    assert!(breaker.is_open());
    assert_eq!(breaker.record_failure(), 3, "the threshold, and one while it is open");
}

/// An open breaker forgets nothing: it waits for its cooldown.
#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_for_its_cooldown_and_a_probe_decides() {
    let cooldown = 10 * FORGOTTEN_AFTER;
    let breaker = forgetting(1).cooldown(cooldown);
    call(&breaker, Step::Fail).await;
    advance(cooldown - MILLISECOND).await;
    assert_eq!(
        breaker.state(),
        BreakerState::Open {
            retry_after: MILLISECOND
        }
    );
    assert_eq!(breaker.failure_count(), 1);
    advance(MILLISECOND).await;
    call(&breaker, Step::Fail).await;
    assert_eq!(breaker.state(), BreakerState::Open { retry_after: cooldown });
}

#[tokio::test(start_paused = true)]
async fn without_it_and_with_an_endless_one_a_row_lasts() {
    let endless = Duration::from_millis(u64::from(u32::MAX));
    for breaker in [
        CircuitBreaker::new(2),
        forgetting(2).forget_after(endless),
        CircuitBreaker::new(2).forget_after(Duration::MAX),
    ] {
        call(&breaker, Step::Fail).await;
        advance(2 * endless).await;
        call(&breaker, Step::Fail).await;
        assert!(breaker.is_open(), "{breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_is_not_forgotten() {
    let breaker = CircuitBreaker::windowed(2, 1.0).forget_after(MILLISECOND);
    call(&breaker, Step::Fail).await;
    advance(FORGOTTEN_AFTER).await;
    assert_eq!(breaker.failure_count(), 1);
    call(&breaker, Step::Fail).await;
    assert!(breaker.is_open());
}

/// Each paused runtime has a clock of its own, and may share a static breaker with others.
#[test]
fn a_clock_that_is_behind_forgets_at_worst() {
    let on_a_clock = |ahead: Duration, breaker: &CircuitBreaker| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        runtime.block_on(async {
            advance(ahead).await;
            breaker.record_failure();
            (breaker.failure_count(), breaker.is_open())
        })
    };
    let breaker = forgetting(2);
    assert_eq!(on_a_clock(Duration::from_secs(7_200), &breaker), (1, false));
    assert_eq!(
        on_a_clock(Duration::ZERO, &breaker),
        (1, false),
        "two hours apart, whichever came first"
    );
    assert_eq!(
        on_a_clock(Duration::from_secs(30), &breaker),
        (2, true),
        "half a minute apart"
    );
}
