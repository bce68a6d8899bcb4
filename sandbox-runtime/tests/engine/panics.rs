//! A panic in the tool is caught, counted and reported, and never retried.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Failure, FailureKind, Policy, SandboxError, Tool, execute_with_controls};
use serde_json::Value;

use crate::support::{Script, Step};

const POLICY: Policy = Policy::new().timeout(Duration::from_millis(100));

#[tokio::test(start_paused = true)]
async fn a_panic_becomes_an_error_with_its_message() {
    let breaker = CircuitBreaker::new(5);
    let script = Script::new(&[Step::Fail, Step::Panic, Step::Answer]);
    let result = execute_with_controls(&POLICY, &breaker, || script.run()).await;
    let expected = SandboxError::Panicked {
        message: "attempt 2 panicked".into(),
    };
    assert_eq!(result, Err(expected));
    assert_eq!(script.attempts(), 2, "a panic is not retried");
    assert_eq!(breaker.failure_count(), 2, "a panic is a failure");
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_await_is_caught_too() {
    let breaker = CircuitBreaker::new(5);
    let tool = || -> std::future::Ready<Result<Value, String>> { panic!("no future at all") };
    let result = execute_with_controls(&POLICY, &breaker, tool).await;
    let error = result.unwrap_err();
    assert!(error.is_panic(), "the panic is reported as something else: {error}");
    assert_eq!(breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_timed_out_attempt_is_dropped_is_caught_too() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    let breaker = CircuitBreaker::new(5);
    let tool = || async {
        let _guard = PanicsWhenDropped;
        std::future::pending::<Result<Value, String>>().await
    };
    let result = execute_with_controls(&POLICY, &breaker, tool).await;
    let expected = SandboxError::Panicked {
        message: "in the destructor".into(),
    };
    assert_eq!(result, Err(expected));
    assert_eq!(breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_finished_attempt_is_dropped_is_caught_too() {
    struct Finished;
    impl Future for Finished {
        type Output = Result<Value, String>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(Value::Null))
        }
    }
    impl Drop for Finished {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    let breaker = CircuitBreaker::new(5);
    let result = execute_with_controls(&POLICY, &breaker, || Finished).await;
    let error = result.unwrap_err();
    assert!(error.is_panic(), "the panic is reported as something else: {error}");
    assert_eq!(breaker.failure_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn payloads_that_are_not_text_are_reported_without_one() {
    let breaker = CircuitBreaker::new(5);
    let tool = Tool::new("odd", || async {
        if true {
            std::panic::panic_any(7);
        }
        Ok::<(), String>(())
    });
    let result = execute_with_controls(&POLICY, &breaker, tool).await;
    let text = result.unwrap_err();
    assert!(text.starts_with("`odd` crashed."), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_probe_does_not_keep_its_place() {
    let breaker = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    for _ in 0..3 {
        let script = Script::new(&[Step::Panic]);
        let result = execute_with_controls(&POLICY, &breaker, || script.run()).await;
        let error = result.unwrap_err();
        assert!(error.is_panic(), "a probe was refused: {error}");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    breaker.admit().expect("half-open with its place free").success();
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_an_error_is_written_is_a_panic_of_the_tool() {
    struct Mute;
    impl std::fmt::Display for Mute {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }
    let breaker = CircuitBreaker::new(5);
    let attempts = Cell::new(0);
    let tool = Tool::new("mute", || {
        attempts.set(attempts.get() + 1);
        async { Err::<Failure, _>(Mute) }
    })
    .keep_last_error()
    .on_failure(Ok);
    let Ok(failure) = execute_with_controls(&POLICY, &breaker, tool).await else {
        panic!("the engine had to make what is returned");
    };
    assert_eq!(failure.kind, FailureKind::Panicked);
    assert_eq!(failure.panic_message(), Some("no text"));
    assert_eq!(
        (attempts.get(), breaker.failure_count()),
        (1, 1),
        "one attempt, one mark"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_whose_payload_panics_as_well_stays_inside() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                std::panic::panic_any(Bomb);
            }
        }
    }
    let breaker = CircuitBreaker::new(5);
    let tool = Tool::new("bomb", || async {
        match std::hint::black_box(true) {
            true => std::panic::panic_any(Bomb),
            false => Ok::<_, SandboxError>(()),
        }
    });
    let error = execute_with_controls(&POLICY, &breaker, tool).await.unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(breaker.failure_count(), 1);
}
