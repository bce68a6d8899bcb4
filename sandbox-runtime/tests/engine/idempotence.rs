//! A tool that is not idempotent is never run again after an attempt whose effect is unknown.

use std::time::Duration;

use std::cell::Cell;
use std::io::{self, ErrorKind};

use sandbox_runtime::execute_with_controls;
use sandbox_runtime::{CircuitBreaker, ErrorVerdict, Failure, FailureKind, FromFailure, Policy, Tool, Verdict};

use crate::support::{Script, Step, timed};

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .backoff_base(Duration::from_millis(100))
    .idempotent(false);

#[tokio::test(start_paused = true)]
async fn a_timeout_is_not_retried() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Hang, Step::Answer]);
    let (result, elapsed) = timed(execute_with_controls(POLICY, &breaker, || script.run())).await;
    let error = result.unwrap_err();
    assert!(error.is_timeout(), "ended by something else: {error}");
    assert_eq!((script.attempts(), elapsed), (1, 1_000));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_unknown_effect_is_not_retried() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Fail, Step::Answer]);
    let result = execute_with_controls(POLICY, &breaker, || script.run()).await;
    let answer = result.expect("the tool's own error is kept");
    assert_eq!(answer.attempts, 1, "the attempt may have taken effect: {answer:?}");
}

/// The attempts of a call whose first one ends with `error`, as `with` makes the tool.
macro_rules! attempts_after {
    ($error:expr, |$tool:ident| $with:expr) => {{
        let attempts = Cell::new(0);
        let $tool = Tool::new("send", || {
            attempts.set(attempts.get() + 1);
            std::future::ready(if attempts.get() == 1 { Err($error) } else { Ok(()) })
        });
        let result: Result<(), SendError> = execute_with_controls(POLICY, &CircuitBreaker::new(10), $with).await;
        (attempts.get(), result.is_ok())
    }};
}

#[derive(Debug)]
enum SendError {
    Io(io::Error),
    Ended,
}

impl FromFailure for SendError {
    fn from_failure(_: Failure) -> Self {
        SendError::Ended
    }
}

impl ErrorVerdict for SendError {
    fn verdict(&self) -> Verdict {
        Verdict::RETRY
    }

    fn is_safe_to_retry(&self) -> bool {
        match self {
            SendError::Io(error) => error.is_safe_to_retry(),
            SendError::Ended => panic!("asked about a failure"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_retried_if_its_type_or_a_function_says_that_it_is_safe() {
    let io = |kind: ErrorKind| SendError::Io(kind.into());
    let refused = || io(ErrorKind::ConnectionRefused);
    let broken = || io(ErrorKind::BrokenPipe);
    let (once, again) = ((1, false), (2, true));
    assert_eq!(attempts_after!(refused(), |tool| tool), once, "nobody says anything");
    assert_eq!(attempts_after!(refused(), |tool| tool.classify_by_error_type()), again);
    assert_eq!(attempts_after!(broken(), |tool| tool.classify_by_error_type()), once);
    assert_eq!(attempts_after!(broken(), |tool| tool.retry_if(|_| true)), again);
    assert_eq!(attempts_after!(broken(), |tool| tool.retry_if(|_| false)), once);
    let by_hand = |answer: &Result<(), SendError>| answer.as_ref().map_or(Verdict::RETRY, |()| Verdict::Success);
    assert_eq!(attempts_after!(broken(), |tool| tool.classify(by_hand)), again);
    let unread = |_: &SendError| false;
    assert_eq!(
        attempts_after!(broken(), |tool| tool.ignore_if(unread)),
        once,
        "it says what is ignored"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_error_type_is_one_of_the_tool() {
    let breaker = CircuitBreaker::new(10);
    let attempt = || std::future::ready(Err::<(), _>(SendError::Ended));
    let tool = Tool::new("send", attempt).classify_by_error_type();
    let tool = tool.on_failure(|failure: Failure| -> Result<(), SendError> {
        assert_eq!(failure.kind, FailureKind::Panicked);
        assert_eq!(failure.panic_message(), Some("asked about a failure"));
        Err(SendError::Io(ErrorKind::Other.into()))
    });
    let result = execute_with_controls(POLICY, &breaker, tool).await;
    assert!(matches!(result, Err(SendError::Io(_))), "{result:?}");
    assert_eq!(breaker.failure_count(), 1, "a panic leaves a mark");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_not_retried() {
    let breaker = CircuitBreaker::new(10);
    let script = Script::new(&[Step::Panic, Step::Answer]);
    let result = execute_with_controls(POLICY, &breaker, || script.run()).await;
    let error = result.unwrap_err();
    assert!(error.is_panic(), "ended by something else: {error}");
    assert_eq!(script.attempts(), 1);
}
