//! A fleet's task sets several times a second for how much longer a breaker is open: nobody learns of that, and nothing is
//! allocated.
//!
//! In a binary of its own: the changes of every breaker of a program wake the same tasks.

#![cfg(feature = "fleet")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use allocation_counter::measure;
use sandbox_runtime::{BreakerState, CircuitBreaker, fleet};
use tokio::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test(start_paused = true)]
async fn to_set_its_end_allocates_nothing_and_wakes_nobody() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(1);
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut cx = Context::from_waker(Waker::noop());
    fleet::open_for(&BREAKER, Duration::from_secs(1));
    let mut changed = pin!(fleet::changed());
    assert!(changed.as_mut().poll(&mut cx).is_pending());
    for retry_after in [3_000, 250, 1].map(Duration::from_millis) {
        assert_eq!(measure(|| fleet::open_for(&BREAKER, retry_after)).count_total, 0);
        assert_eq!(BREAKER.state(), BreakerState::Open { retry_after });
    }
    assert!(changed.as_mut().poll(&mut cx).is_pending(), "it is as open as it was");
}

/// Its generation lasts, and observers see no change: but calls are refused no longer, or again.
#[tokio::test(start_paused = true)]
async fn to_end_its_cooldown_and_to_begin_it_again_is_told() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(1);
    let _alone = ONE_AT_A_TIME.lock().await;
    fleet::open_for(&BREAKER, Duration::from_secs(1));
    for lasts in [Duration::ZERO, Duration::from_secs(3)] {
        let mut changed = pin!(fleet::changed());
        fleet::open_for(&BREAKER, lasts);
        let told = changed.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(told.is_ready(), "open for {lasts:?}");
    }
}
