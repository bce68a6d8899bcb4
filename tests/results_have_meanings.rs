//! `retry_if`, `ignore_if`, `classify` and `on_failure` decide what results mean, as paths and as closures.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sandbox_runtime::{ErrorVerdict, Failure, FromFailure, SandboxError, Verdict, sandboxed};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum FetchError {
    #[error("bad request")]
    BadRequest,
    #[error("down")]
    Down,
    #[error("busy for {0} ms")]
    Busy(u64),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl FetchError {
    fn is_transient(&self) -> bool {
        *self == FetchError::Down
    }
}

type Fetched = Result<u32, FetchError>;

fn verdict(result: &Fetched) -> Verdict {
    match result {
        Ok(_) => Verdict::Success,
        Err(FetchError::BadRequest) => Verdict::Ignore,
        Err(FetchError::Busy(millis)) => Verdict::Retry {
            after: Some(Duration::from_millis(*millis)),
        },
        Err(_) => Verdict::Fail,
    }
}

fn count(attempts: &AtomicU32) {
    attempts.fetch_add(1, Ordering::Relaxed);
}

#[sandboxed(backoff_base_ms = 0, retry_if = FetchError::is_transient, breaker = off)]
async fn retry_if_path(attempts: &AtomicU32, result: Fetched) -> Fetched {
    count(attempts);
    result
}

#[sandboxed(backoff_base_ms = 0, retry_if = |error| *error == FetchError::Down, breaker = off)]
async fn retry_if_closure(attempts: &AtomicU32, result: Fetched) -> Fetched {
    count(attempts);
    result
}

#[tokio::test(start_paused = true)]
async fn retry_if() {
    for (error, expected) in [(FetchError::Down, 3), (FetchError::BadRequest, 1)] {
        let attempts = AtomicU32::new(0);
        assert_eq!(retry_if_path(&attempts, Err(error.clone())).await, Err(error.clone()));
        assert_eq!(attempts.into_inner(), expected, "by a path: {error}");
        let attempts = AtomicU32::new(0);
        assert_eq!(
            retry_if_closure(&attempts, Err(error.clone())).await,
            Err(error.clone())
        );
        assert_eq!(attempts.into_inner(), expected, "by a closure: {error}");
    }
}

#[sandboxed(classify = verdict, breaker(threshold = 1))]
async fn classify_path(attempts: &AtomicU32, first: Fetched) -> Fetched {
    count(attempts);
    if attempts.load(Ordering::Relaxed) == 1 {
        first
    } else {
        Ok(7)
    }
}

#[sandboxed(max_retries = 5, backoff_base_ms = 0, breaker = off, classify = |result: &Result<Vec<u8>, String>| match result {
    Ok(bytes) if bytes.is_empty() => Verdict::RETRY,
    Ok(_) => Verdict::Success,
    Err(_) => Verdict::Fail,
})]
async fn classify_closure(attempts: &mut u32) -> Result<Vec<u8>, String> {
    *attempts += 1;
    Ok(vec![0; *attempts as usize / 3])
}

#[tokio::test(start_paused = true)]
async fn classify() {
    let attempts = AtomicU32::new(0);
    for _ in 0..3 {
        attempts.store(0, Ordering::Relaxed);
        assert_eq!(
            classify_path(&attempts, Err(FetchError::BadRequest)).await,
            Err(FetchError::BadRequest)
        );
    }
    attempts.store(0, Ordering::Relaxed);
    let start = tokio::time::Instant::now();
    assert_eq!(classify_path(&attempts, Err(FetchError::Busy(1_234))).await, Ok(7));
    assert_eq!(start.elapsed().as_millis(), 1_234, "the hint was waited out");
    attempts.store(0, Ordering::Relaxed);
    let _ = classify_path(&attempts, Err(FetchError::Down)).await;
    assert_eq!(attempts.load(Ordering::Relaxed), 1, "a failure is final");
    let refused = classify_path(&attempts, Ok(7)).await;
    assert!(
        matches!(&refused, Err(FetchError::Sandbox(error)) if error.is_circuit_open()),
        "and a mark, which opens the breaker: {:?}",
        refused
    );
    let mut attempts = 0;
    assert_eq!(classify_closure(&mut attempts).await, Ok(vec![0]));
    assert_eq!(attempts, 3, "an empty answer is one to retry");
}

impl FetchError {
    fn is_callers_fault(&self) -> bool {
        *self == FetchError::BadRequest
    }
}

#[sandboxed(backoff_base_ms = 0, ignore_if = FetchError::is_callers_fault, breaker(threshold = 1, cooldown_ms = 1))]
async fn ignore_if_path(attempts: &AtomicU32, result: Fetched) -> Fetched {
    count(attempts);
    result
}

#[sandboxed(
    backoff_base_ms = 0,
    ignore_if = |error| *error == FetchError::BadRequest,
    retry_if = |error| matches!(error, FetchError::Busy(_)),
    breaker = off,
)]
async fn ignore_if_closure(attempts: &AtomicU32, result: Fetched) -> Fetched {
    count(attempts);
    result
}

#[tokio::test(start_paused = true)]
async fn ignore_if() {
    let attempts = AtomicU32::new(0);
    for _ in 0..3 {
        assert_eq!(
            ignore_if_path(&attempts, Err(FetchError::BadRequest)).await,
            Err(FetchError::BadRequest),
            "a breaker that opens at the first failure has counted none"
        );
    }
    assert_eq!(attempts.into_inner(), 3, "not retried");
    let attempts = AtomicU32::new(0);
    let _ = ignore_if_path(&attempts, Err(FetchError::Down)).await;
    let refused = ignore_if_path(&attempts, Ok(7)).await;
    assert_eq!(attempts.into_inner(), 3, "other errors are retried");
    assert!(refused.is_err(), "and the last one is a mark, which opens the breaker");

    for (error, expected) in [
        (FetchError::BadRequest, 1),
        (FetchError::Down, 1),
        (FetchError::Busy(1), 3),
    ] {
        let attempts = AtomicU32::new(0);
        assert_eq!(
            ignore_if_closure(&attempts, Err(error.clone())).await,
            Err(error.clone())
        );
        assert_eq!(attempts.into_inner(), expected, "beside `retry_if`: {}", error);
    }
}

fn sentence(failure: Failure) -> String {
    failure.to_string()
}

#[sandboxed(timeout_ms = 10, max_retries = 0, on_failure = sentence)]
async fn text(hang: bool) -> String {
    if hang {
        std::future::pending::<()>().await;
    }
    String::from("answer")
}

#[sandboxed(timeout_ms = 10, max_retries = 0, name = "paged search", on_failure = |failure| Err(failure.to_string().len()))]
async fn no_from(result: Result<u8, usize>, hang: bool) -> Result<u8, usize> {
    if hang {
        std::future::pending::<()>().await;
    }
    result
}

#[sandboxed(timeout_ms = 10, backoff_base_ms = 0, on_failure = |_| ())]
async fn nothing(attempts: &mut u32) {
    *attempts += 1;
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn on_failure() {
    assert_eq!(text(false).await, "answer");
    assert_eq!(text(true).await, "`text` timed out after 10 ms");
    assert_eq!(no_from(Err(3), false).await, Err(3), "the tool's own error");
    assert_eq!(
        no_from(Ok(3), true).await,
        Err("`paged search` timed out after 10 ms".len())
    );
    let mut attempts = 0;
    nothing(&mut attempts).await;
    assert_eq!(attempts, 3);
}

#[sandboxed(timeout_ms = 10, max_retries = 1, on_failure = |failure| Err(failure.last_error.unwrap_or_default().into()))]
async fn hangs_after_an_error(attempts: &AtomicU32) -> Result<(), String> {
    count(attempts);
    if attempts.load(Ordering::Relaxed) == 1 {
        return Err(String::from("503"));
    }
    std::future::pending().await
}

/// The same, whatever says what its errors mean.
macro_rules! hang_after_an_error {
    ($($name:ident: $key:ident = $value:expr, $error:ty;)*) => {$(
        #[sandboxed(timeout_ms = 10, max_retries = 1, $key = $value)]
        async fn $name(attempts: &AtomicU32) -> Result<(), $error> {
            count(attempts);
            if attempts.load(Ordering::Relaxed) == 1 {
                return Err(<$error>::from("503"));
            }
            std::future::pending().await
        }
    )*};
}

hang_after_an_error! {
    with_retry_if: retry_if = |error| error == "503", String;
    with_ignore_if: ignore_if = |error| error == "404", String;
    with_classify: classify = |result| if result.is_ok() { Verdict::Success } else { Verdict::RETRY }, String;
    with_a_text_of_its_own: name = "coded", Coded;
}

/// States what it means and what it says, and does not display.
struct Coded(String);

impl From<&str> for Coded {
    fn from(code: &str) -> Self {
        Coded(code.to_owned())
    }
}

impl ErrorVerdict for Coded {
    fn verdict(&self) -> Verdict {
        Verdict::RETRY
    }

    fn text(&self, _: Option<&dyn std::fmt::Display>) -> Option<String> {
        Some(format!("code {}", self.0))
    }
}

impl FromFailure for Coded {
    fn from_failure(failure: Failure) -> Self {
        Coded(failure.last_error.unwrap_or_default().into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_reports_the_error_of_an_earlier_attempt() {
    assert_eq!(hangs_after_an_error(&AtomicU32::new(0)).await, Err(String::from("503")));
    for failure in [
        with_retry_if(&AtomicU32::new(0)).await,
        with_ignore_if(&AtomicU32::new(0)).await,
        with_classify(&AtomicU32::new(0)).await,
    ] {
        let failure = failure.unwrap_err();
        assert!(failure.contains("503"), "{}", failure);
    }
    let coded = with_a_text_of_its_own(&AtomicU32::new(0)).await.err();
    assert_eq!(coded.map(|coded| coded.0).as_deref(), Some("code 503"));
}

struct Mute;

#[sandboxed(timeout_ms = 10, max_retries = 1, on_failure = |failure| Ok(failure.last_error.is_none()))]
async fn hangs_after_an_error_without_text(attempts: &AtomicU32) -> Result<bool, Mute> {
    count(attempts);
    if attempts.load(Ordering::Relaxed) == 1 {
        return Err(Mute);
    }
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn an_error_need_not_display() {
    let answer = hangs_after_an_error_without_text(&AtomicU32::new(0)).await;
    assert!(matches!(answer, Ok(true)), "the error does not display");
}

#[sandboxed(backoff_base_ms = 0, breaker = off, on_failure = |_| Err(0))]
async fn errors_are_retried(attempts: &AtomicU32) -> Result<(), u32> {
    count(attempts);
    Err(attempts.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_type_without_from_are_still_retried() {
    assert_eq!(errors_are_retried(&AtomicU32::new(0)).await, Err(3));
}

/// A function that reads results may name the arguments of the tool.
#[sandboxed(
    retry_if = |error: &String| error.starts_with(prefix.as_str()) && attempts.load(Ordering::Relaxed) < limit,
    on_failure = |failure| Err(format!("{prefix}: {failure}")),
    backoff_base_ms = 0,
    max_retries = 9,
    breaker = off
)]
async fn with_arguments(prefix: String, limit: u32, attempts: &AtomicU32) -> Result<u32, String> {
    attempts.fetch_add(1, Ordering::Relaxed);
    Err(prefix)
}

#[sandboxed(on_failure = |failure| Err(format!("{name}: {failure}")), timeout_ms = 1, max_retries = 0, breaker = off)]
async fn once_with_an_argument(name: String) -> Result<u32, String> {
    std::future::pending::<()>().await;
    drop(name);
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn they_may_name_arguments() {
    let attempts = AtomicU32::new(0);
    assert_eq!(with_arguments("busy".into(), 3, &attempts).await, Err("busy".into()));
    assert_eq!(attempts.into_inner(), 3);
    let failure = once_with_an_argument("slow".into()).await.unwrap_err();
    assert!(
        failure.starts_with("slow: `once_with_an_argument` timed out"),
        "{}",
        failure
    );
}
