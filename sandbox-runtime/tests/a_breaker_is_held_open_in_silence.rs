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

#[tokio::test(start_paused = true)]
async fn to_set_its_end_allocates_nothing_and_wakes_nobody() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new(1);
    let mut cx = Context::from_waker(Waker::noop());
    fleet::open_for(&BREAKER, Duration::from_secs(1));
    let mut changed = pin!(fleet::changed());
    assert!(changed.as_mut().poll(&mut cx).is_pending());
    for millis in [3_000, 250, 0, 1] {
        let lasts = Duration::from_millis(millis);
        assert_eq!(measure(|| fleet::open_for(&BREAKER, lasts)).count_total, 0);
        match lasts {
            Duration::ZERO => assert_eq!(BREAKER.state(), BreakerState::HalfOpen),
            _ => assert_eq!(BREAKER.state(), BreakerState::Open { retry_after: lasts }),
        }
    }
    assert!(changed.as_mut().poll(&mut cx).is_pending(), "no change of its state");
    fleet::close(&BREAKER);
    assert!(changed.as_mut().poll(&mut cx).is_ready(), "it is closed");
}
