//! The breaker without the engine: recording by hand, permits, reset and force.

use std::future::Future;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, SandboxError};

const COOLDOWN: Duration = Duration::from_secs(30);

#[test]
fn it_starts_closed_and_opens_at_the_threshold() {
    let breaker = CircuitBreaker::new(3);
    assert_eq!((breaker.failure_count(), breaker.is_open()), (0, false));
    assert_eq!(breaker.record_failure(), 1);
    assert_eq!(breaker.record_failure(), 2);
    assert!(!breaker.is_open(), "open below its threshold");
    assert_eq!(breaker.record_failure(), 3);
    assert!(breaker.is_open(), "closed at its threshold");
    assert_eq!(
        breaker.record_failure(),
        4,
        "failures go on being counted while it is open"
    );
}

#[test]
fn a_recorded_success_resets_it() {
    let breaker = CircuitBreaker::new(2);
    breaker.record_failure();
    breaker.record_success();
    assert_eq!(breaker.failure_count(), 0);
    breaker.record_failure();
    breaker.record_failure();
    breaker.record_success();
    assert_eq!((breaker.failure_count(), breaker.is_open()), (0, false));
}

#[tokio::test(start_paused = true)]
async fn by_hand_too_it_recovers_after_the_cooldown() {
    let breaker = CircuitBreaker::new(1);
    breaker.record_failure();
    tokio::time::advance(COOLDOWN).await;
    assert!(!breaker.is_open(), "the cooldown is over: a call may try");
    breaker.record_failure();
    assert!(breaker.is_open(), "the call failed");
    tokio::time::advance(COOLDOWN).await;
    breaker.record_success();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_threshold_of_zero_is_always_open() {
    let breaker = CircuitBreaker::new(0);
    assert!(breaker.is_open(), "closed from the start");
    breaker.record_success();
    breaker.reset();
    assert!(breaker.is_open(), "closed by a success or a reset");
    assert_eq!(breaker.state(), BreakerState::ForcedOpen);
    let refusal = breaker.admit().unwrap_err();
    assert!(
        matches!(
            refusal,
            SandboxError::CircuitBreakerOpen {
                threshold: 0,
                retry_after_ms: None,
                ..
            }
        ),
        "{refusal:?}"
    );
}

#[test]
fn a_reset_clears_from_any_state() {
    let breaker = CircuitBreaker::new(2);
    breaker.record_failure();
    breaker.reset();
    assert_eq!(breaker.failure_count(), 0, "closed");
    breaker.record_failure();
    breaker.record_failure();
    breaker.reset();
    assert_eq!(breaker.state(), BreakerState::Closed, "open");
    breaker.force_open();
    assert_eq!(breaker.state(), BreakerState::ForcedOpen);
    breaker.record_success();
    assert!(breaker.is_open(), "a success does not end a forced opening");
    breaker.reset();
    assert_eq!(breaker.state(), BreakerState::Closed, "forced open");
}

#[test]
fn results_of_permits_from_before_a_reset_count_for_nothing() {
    let breaker = CircuitBreaker::new(1);
    let permit = breaker.admit().unwrap();
    breaker.reset();
    permit.failure();
    assert_eq!((breaker.failure_count(), breaker.is_open()), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_is_neutral_and_frees_its_place_at_once() {
    let breaker = CircuitBreaker::new(1);
    breaker.admit().unwrap().failure();
    tokio::time::advance(COOLDOWN).await;
    let probe = breaker.admit().unwrap();
    assert!(breaker.admit().is_err(), "the only place is taken");
    drop(probe);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.admit().expect("the place is free").success();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_is_as_long_as_asked_to_the_nanosecond() {
    for cooldown in [1, 2, 30_000].map(Duration::from_millis) {
        for offset in [0, 1, 300_000, 499_999, 700_001, 999_999].map(Duration::from_nanos) {
            tokio::time::advance(offset).await;
            let breaker = CircuitBreaker::new(1).cooldown(cooldown);
            breaker.record_failure();
            for opened_by in [
                "a failure",
                "a failed probe",
                "a failure by hand after the cooldown",
                "a probe again",
            ] {
                let case = format!("{cooldown:?} at {offset:?}, opened by {opened_by}");
                assert_eq!(breaker.state(), BreakerState::Open { retry_after: cooldown }, "{case}");
                tokio::time::advance(cooldown - Duration::from_nanos(1)).await;
                let left = BreakerState::Open {
                    retry_after: Duration::from_millis(1),
                };
                assert_eq!(breaker.state(), left, "a nanosecond early: {case}");
                assert!(breaker.admit().is_err(), "{case}");
                assert_eq!(
                    breaker.record_failure(),
                    2,
                    "not counted as one while it is open: {case}"
                );
                tokio::time::advance(Duration::from_nanos(1)).await;
                assert_eq!(breaker.state(), BreakerState::HalfOpen, "late: {case}");
                if opened_by == "a failed probe" {
                    breaker.record_failure();
                } else {
                    breaker.admit().unwrap().failure();
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_as_long_as_it_is_refused_is_admitted() {
    for opened_at in [0, 1, 400_000, 999_999].map(Duration::from_nanos) {
        for refused_at in [1, 600_000, 999_999, 1_700_000].map(Duration::from_nanos) {
            tokio::time::advance(opened_at).await;
            let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
            breaker.record_failure();
            tokio::time::advance(refused_at).await;
            let Err(SandboxError::CircuitBreakerOpen { retry_after_ms, .. }) = breaker.admit() else {
                panic!("admitted");
            };
            let wait = Duration::from_millis(retry_after_ms.unwrap());
            assert!(
                wait < COOLDOWN - refused_at + Duration::from_millis(1),
                "rounded up, and by less than 1 ms"
            );
            tokio::time::advance(wait).await;
            breaker.admit().expect("the wait is over").success();
        }
    }
}

/// Runs `test` on a paused clock of its own, which begins at the present.
fn on_another_clock(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test);
}

const HOUR: Duration = Duration::from_secs(3_600);

/// A breaker that has opened by a clock that is an hour ahead.
fn opened_ahead() -> CircuitBreaker {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN);
    on_another_clock(async {
        tokio::time::advance(HOUR).await;
        breaker.record_failure();
    });
    breaker
}

#[test]
fn by_a_clock_that_is_behind_the_cooldown_begins_again() {
    let looks: [fn(&CircuitBreaker); 5] = [
        |breaker| assert_eq!(breaker.state(), BreakerState::Open { retry_after: COOLDOWN }),
        |breaker| assert!(breaker.is_open()),
        |breaker| assert!(breaker.admit().is_err()),
        |breaker| assert_eq!(breaker.record_failure(), 2, "it is only counted"),
        |breaker| assert!(format!("{breaker:?}").contains("30s"), "{breaker:?}"),
    ];
    for (number, look) in looks.into_iter().enumerate() {
        let breaker = opened_ahead();
        on_another_clock(async {
            look(&breaker);
            tokio::time::advance(COOLDOWN - Duration::from_millis(1)).await;
            assert!(breaker.is_open(), "look {number}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(breaker.state(), BreakerState::HalfOpen, "look {number}");
            assert!(!breaker.is_open());
            breaker.admit().unwrap().success();
        });
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}

#[test]
fn a_cooldown_that_has_grown_begins_again_as_long_as_it_was() {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN).cooldown_max(4 * COOLDOWN);
    on_another_clock(async {
        breaker.record_failure();
        tokio::time::advance(HOUR).await;
        breaker.admit().unwrap().failure();
    });
    on_another_clock(async {
        assert_eq!(
            breaker.state(),
            BreakerState::Open {
                retry_after: 2 * COOLDOWN
            }
        );
    });
}

#[test]
fn by_a_clock_that_is_behind_a_hung_probe_blocks_for_one_cooldown_at_most() {
    let breaker = opened_ahead();
    let mut hung = None;
    on_another_clock(async {
        tokio::time::advance(2 * HOUR).await;
        hung = Some(breaker.admit().unwrap());
    });
    on_another_clock(async {
        assert!(breaker.admit().is_err(), "the only place is taken");
        tokio::time::advance(COOLDOWN - Duration::from_millis(1)).await;
        assert!(breaker.is_open(), "its lease was cut short");
        tokio::time::advance(Duration::from_millis(1)).await;
        breaker.admit().expect("its lease is over").success();
    });
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_read_by_people() {
    let breaker = CircuitBreaker::default().cooldown(COOLDOWN);
    let shown = |breaker: &CircuitBreaker| breaker.state().to_string();
    assert_eq!(shown(&breaker), "closed");
    let permit = breaker.admit().unwrap();
    assert_eq!(format!("{permit:?}"), "Permit { probe: false, .. }");
    for _ in 0..5 {
        breaker.record_failure();
    }
    assert_eq!(shown(&breaker), "open for 30000 ms");
    let expected = "CircuitBreaker { state: Open { retry_after: 30s }, failure_count: 5, threshold: 5, .. }";
    assert_eq!(format!("{breaker:?}"), expected);
    tokio::time::advance(COOLDOWN).await;
    assert_eq!(shown(&breaker), "half-open");
    breaker.force_open();
    assert_eq!(shown(&breaker), "forced open");
    let refusal = breaker.admit().unwrap_err().to_string();
    assert_eq!(
        refusal,
        "circuit breaker held open; it refuses every call until it is reset"
    );
}

#[test]
fn a_disabled_one_never_opens_by_itself_and_counts_nothing() {
    let breaker = CircuitBreaker::disabled();
    for _ in 0..100 {
        breaker.admit().unwrap().failure();
        breaker.record_failure();
    }
    assert_eq!((breaker.failure_count(), breaker.is_open()), (0, false));
    breaker.force_open();
    assert!(breaker.admit().is_err(), "it can still be switched off");
}

#[test]
fn failure_rates_round_up_to_whole_failures() {
    for (window, rate, failures) in [
        (20, 0.5, 10),
        (20, 0.55, 11),
        (10, 0.25, 3),
        (3, 0.34, 2),
        (64, 1.0, 64),
        (7, 0.01, 1),
    ] {
        let threshold = CircuitBreaker::windowed(window, rate).threshold();
        assert_eq!(threshold, failures, "{rate} of {window}");
    }
}
