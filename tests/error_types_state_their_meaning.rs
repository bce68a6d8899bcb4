//! An error type states once what its values mean, and every tool that returns it obeys, unless an argument says otherwise.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use sandbox_runtime::{
    CircuitBreaker, ErrorVerdict, Failure, FromFailure, Policy, SandboxError, Tool, Verdict, execute_with_controls,
    sandboxed,
};

const SECOND: Duration = Duration::from_secs(1);
const RETRY: (Verdict, bool) = (Verdict::RETRY, false);
const SAFE: (Verdict, bool) = (Verdict::RETRY, true);
const FAIL: (Verdict, bool) = (Verdict::Fail, false);
const IGNORE: (Verdict, bool) = (Verdict::Ignore, false);

fn meaning(error: &impl ErrorVerdict) -> (Verdict, bool) {
    (error.verdict(), error.is_safe_to_retry())
}

fn retry_after(after: Option<Duration>) -> Verdict {
    Verdict::Retry { after }
}

fn io(kind: ErrorKind) -> io::Error {
    kind.into()
}

fn refused() -> SandboxError {
    let breaker = CircuitBreaker::new(1);
    breaker.force_open();
    let refused = breaker.admit().map(drop);
    refused.unwrap_err()
}

/// An error whose cause is below it.
#[derive(Debug, thiserror::Error)]
#[error("the request failed")]
struct Request(#[source] io::Error);

/// A number that converts like the status codes of the crate `http`.
#[derive(Debug, Clone, Copy)]
struct Code(u16);

impl From<Code> for u16 {
    fn from(code: Code) -> u16 {
        code.0
    }
}

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum FetchError {
    #[error("bad request")]
    #[verdict(ignore)]
    BadRequest,
    #[error("rejected: {0}")]
    #[verdict(fail)]
    Rejected(String),
    #[error("locked")]
    #[verdict(retry, safe)]
    Locked { by: u32 },
    #[error("busy")]
    #[verdict(retry, after = retry_after)]
    Busy { client: u32, retry_after: Duration },
    #[error("busy")]
    #[verdict(safe)]
    #[verdict(after = 1, retry)]
    BusyForAWhile(u32, Option<Duration>),
    #[error("status {status}")]
    #[verdict(status = status)]
    Status { status: u16, body: String },
    #[error("status {0}, to be asked again after {1:?}")]
    #[verdict(status = 0, after = 1)]
    Answer(u16, Option<Duration>),
    #[error("status {0:?}")]
    #[verdict(status = 0)]
    Code(Code),
    #[error("the file: {0}")]
    File(#[from] io::Error),
    #[error("the request: {0}")]
    Request(#[from] Request),
    #[error("in {place}")]
    Located {
        place: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("below")]
    Below(u32, #[source] Arc<io::Error>),
    #[error(transparent)]
    Other(anyhow::Error),
    #[error("not a number: {0}")]
    Number(#[from] std::num::ParseIntError),
    #[error("by hand: {0}")]
    #[verdict(source)]
    ByHand(io::Error),
    #[error("by hand: {1}")]
    #[verdict(source = 1)]
    SecondByHand(u32, io::Error),
    #[error("the file was not well")]
    #[verdict(fail)]
    FileUnwell(#[source] io::Error),
    #[error("unknown")]
    Unknown,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

#[test]
fn a_variant_means_what_its_attribute_says() {
    use FetchError::*;
    assert_eq!(meaning(&BadRequest), IGNORE);
    assert_eq!(meaning(&Rejected(String::new())), FAIL);
    assert_eq!(meaning(&Locked { by: 1 }), SAFE);
    let (client, retry) = (1, retry_after(Some(SECOND)));
    assert_eq!(
        meaning(&Busy {
            client,
            retry_after: SECOND
        }),
        (retry, false)
    );
    assert_eq!(meaning(&BusyForAWhile(1, Some(SECOND))), (retry, true));
    assert_eq!(meaning(&BusyForAWhile(1, None)), SAFE);
    assert_eq!(meaning(&Unknown), RETRY);
    for (status, expected) in [
        (404, IGNORE),
        (401, FAIL),
        (503, RETRY),
        (425, SAFE),
        (429, SAFE),
        (200, RETRY),
        (304, RETRY),
    ] {
        let body = String::new();
        assert_eq!(meaning(&Status { status, body }), expected, "{}", status);
        assert_eq!(meaning(&Code(self::Code(status))), expected, "{}", status);
        let (verdict, is_safe) = expected;
        let later = match verdict {
            Verdict::Retry { .. } => retry_after(Some(SECOND)),
            verdict => verdict,
        };
        assert_eq!(meaning(&Answer(status, Some(SECOND))), (later, is_safe), "{}", status);
        assert_eq!(meaning(&Answer(status, None)), expected, "{}", status);
    }
}

#[test]
fn a_variant_with_a_source_means_what_that_means() {
    use FetchError::*;
    for (kind, expected) in [
        (ErrorKind::NotFound, IGNORE),
        (ErrorKind::StorageFull, FAIL),
        (ErrorKind::ConnectionReset, RETRY),
        (ErrorKind::ConnectionRefused, SAFE),
    ] {
        for error in [
            File(io(kind)),
            Request(self::Request(io(kind))),
            Located {
                place: String::new(),
                source: io(kind).into(),
            },
            Located {
                place: String::new(),
                source: self::Request(io(kind)).into(),
            },
            Below(1, Arc::new(io(kind))),
            Other(io(kind).into()),
            Other(anyhow::Error::from(self::Request(io(kind))).context("the second time")),
            ByHand(io(kind)),
            SecondByHand(1, io(kind)),
        ] {
            assert_eq!(meaning(&error), expected, "{:?}", error);
        }
        assert_eq!(meaning(&FileUnwell(io(kind))), FAIL, "the attribute wins");
    }
    assert_eq!(
        meaning(&Number("x".parse::<u8>().unwrap_err())),
        RETRY,
        "nothing is known of it"
    );
    assert_eq!(meaning(&Other(anyhow::anyhow!("a text"))), RETRY);
}

#[test]
fn the_end_of_a_call_within_is_not_this_tools_fault() {
    use FetchError::*;
    for error in [
        Sandbox(refused()),
        Sandbox(SandboxError::Cancelled),
        File(refused().into()),
        Located {
            place: String::new(),
            source: refused().into(),
        },
        Other(anyhow::Error::from(refused()).context("in the cache")),
    ] {
        assert_eq!(meaning(&error), IGNORE, "{:?}", error);
    }
}

#[derive(Debug, ErrorVerdict)]
#[verdict(fail)]
enum OftenFatal {
    Fatal,
    #[verdict(retry)]
    Busy,
    Number {
        source: std::num::ParseIntError,
    },
    File {
        source: io::Error,
    },
}

#[derive(Debug, ErrorVerdict)]
#[verdict(retry, safe)]
enum MostlySafe {
    Any,
    #[verdict(retry)]
    Late,
    #[verdict(ignore)]
    Wrong,
}

#[test]
fn an_enum_sets_the_default_for_the_rest() {
    assert_eq!(meaning(&OftenFatal::Fatal), FAIL);
    assert_eq!(meaning(&OftenFatal::Busy), RETRY);
    let source = "x".parse::<u8>().unwrap_err();
    assert_eq!(
        meaning(&OftenFatal::Number { source }),
        FAIL,
        "nothing is known of the source"
    );
    let source = io(ErrorKind::NotFound);
    assert_eq!(meaning(&OftenFatal::File { source }), IGNORE);
    assert_eq!(meaning(&MostlySafe::Any), SAFE);
    assert_eq!(meaning(&MostlySafe::Late), RETRY);
    assert_eq!(meaning(&MostlySafe::Wrong), IGNORE);
}

#[derive(Debug, ErrorVerdict)]
#[verdict(status = code)]
struct Answer {
    code: u16,
}

#[derive(Debug, ErrorVerdict)]
#[verdict(ignore)]
struct Wrong;

#[derive(Debug, ErrorVerdict)]
struct Plain(#[allow(dead_code)] u32);

#[derive(Debug, thiserror::Error, ErrorVerdict)]
#[error(transparent)]
struct Transparent(#[from] io::Error);

#[derive(Debug, ErrorVerdict)]
enum Never {}

/// With what a type may have: parameters, conditions, names that are keywords.
#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum Generic<'a, E, const N: usize>
where
    E: Error + 'static,
{
    #[error("below")]
    Below(#[source] E),
    #[error("{0}")]
    #[verdict(ignore)]
    Text(&'a str, [u8; N]),
    #[error("{}", .r#type)]
    #[verdict(retry, after = r#in)]
    Later { r#type: u8, r#in: Duration },
}

#[derive(Debug, ErrorVerdict)]
enum Nested<E: ErrorVerdict> {
    #[verdict(source)]
    Inner(E),
    #[verdict(fail)]
    Outer,
}

#[test]
fn structs_and_generic_types_too() {
    assert_eq!(meaning(&Answer { code: 404 }), IGNORE);
    assert_eq!(meaning(&Answer { code: 429 }), SAFE);
    assert_eq!(meaning(&Wrong), IGNORE);
    assert_eq!(meaning(&Plain(1)), RETRY);
    assert_eq!(meaning(&Transparent(io(ErrorKind::NotFound))), IGNORE);
    let none: Option<Never> = None;
    assert!(none.map(|never| meaning(&never)).is_none());
    let below: Generic<'_, Request, 1> = Generic::Below(Request(io(ErrorKind::NotFound)));
    assert_eq!(meaning(&below), IGNORE, "an error among its sources");
    let text: Generic<'_, Request, 1> = Generic::Text("", [0]);
    assert_eq!(meaning(&text), IGNORE);
    let hint: Generic<'_, Request, 1> = Generic::Later {
        r#type: 1,
        r#in: SECOND,
    };
    assert_eq!(meaning(&hint), (retry_after(Some(SECOND)), false));
    assert_eq!(meaning(&Nested::Inner(Wrong)), IGNORE);
    assert_eq!(meaning(&Nested::<Wrong>::Outer), FAIL);
}

// ---- In tools -------------------------------------------------------------------------------------------------------

/// A tool for each error type; it counts its attempts.
macro_rules! tools {
    ($($name:ident: $error:ty;)*) => {$(
        #[sandboxed(backoff_base_ms = 0)]
        async fn $name(attempts: &AtomicU32, error: impl Fn() -> io::Error + Clone) -> Result<u32, $error> {
            attempts.fetch_add(1, Relaxed);
            Err(<$error>::from(error()))
        }
    )*};
}

tools! {
    plain: io::Error;
    any: anyhow::Error;
    boxed: Box<dyn Error>;
    boxed_send: Box<dyn Error + Send + Sync>;
    derived: FetchError;
}

/// Calls each tool twenty times, with the number of attempts that is expected.
async fn check(error: impl Fn() -> io::Error + Clone, expected: u32) {
    macro_rules! check {
        ($($tool:ident)*) => {$(
            let attempts = AtomicU32::new(0);
            for call in 1..=20 {
                let result = $tool(&attempts, error.clone()).await;
                assert!(result.is_err());
                let attempts = attempts.load(Relaxed);
                assert_eq!(attempts, call * expected, "`{}` was not called", stringify!($tool));
            }
        )*};
    }
    check!(plain any boxed boxed_send derived);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_missing_files_switches_no_tool_off() {
    check(|| io(ErrorKind::NotFound), 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_a_tool_within_switches_no_tool_off() {
    check(|| refused().into(), 1).await;
}

static UNHEALTHY: CircuitBreaker = CircuitBreaker::new(6);

#[sandboxed(backoff_base_ms = 0, breaker = &UNHEALTHY)]
async fn unhealthy(attempts: &AtomicU32) -> anyhow::Result<u32> {
    attempts.fetch_add(1, Relaxed);
    Err(io(ErrorKind::ConnectionReset).into())
}

#[tokio::test(start_paused = true)]
async fn other_errors_are_retried_and_counted() {
    let attempts = AtomicU32::new(0);
    assert!(unhealthy(&attempts).await.is_err());
    assert_eq!(attempts.into_inner(), 3);
    assert!(UNHEALTHY.failure_count() > 0);
}

// ---- An argument wins -----------------------------------------------------------------------------------------------

macro_rules! by_argument {
    ($($name:ident($($argument:tt)*);)*) => {$(
        #[sandboxed(backoff_base_ms = 0, max_retries = 3, $($argument)*)]
        async fn $name(attempts: &AtomicU32, error: fn() -> FetchError) -> Result<u32, FetchError> {
            attempts.fetch_add(1, Relaxed);
            Err(error())
        }
    )*};
}

static RETRY_IF: CircuitBreaker = CircuitBreaker::new(100);
static IGNORE_IF: CircuitBreaker = CircuitBreaker::new(100);
static CLASSIFY: CircuitBreaker = CircuitBreaker::new(100);

by_argument! {
    by_retry_if(retry_if = |error| matches!(error, FetchError::BadRequest), breaker = &RETRY_IF);
    by_ignore_if(ignore_if = |error| matches!(error, FetchError::Locked { .. }), breaker = &IGNORE_IF);
    by_classify(
        classify = |result: &Result<u32, FetchError>| match result {
            Err(FetchError::BadRequest) => Verdict::RETRY,
            Err(FetchError::Locked { .. }) => Verdict::Ignore,
            _ => Verdict::Fail,
        },
        breaker = &CLASSIFY
    );
}

#[tokio::test(start_paused = true)]
async fn an_argument_wins() {
    let bad_request = || FetchError::BadRequest;
    let locked = || FetchError::Locked { by: 1 };
    let rejected = || FetchError::Rejected(String::new());
    let unknown = || FetchError::Unknown;
    macro_rules! check {
        ($($tool:ident($error:ident) on $breaker:ident: $attempts:literal, marked $marked:literal;)*) => {$(
            let attempts = AtomicU32::new(0);
            let before = $breaker.failure_count();
            assert!($tool(&attempts, $error).await.is_err());
            assert_eq!(attempts.into_inner(), $attempts, stringify!($tool($error)));
            assert_eq!($breaker.failure_count() > before, $marked, stringify!($tool($error)));
        )*};
    }
    check! {
        by_retry_if(bad_request) on RETRY_IF: 4, marked true;
        by_retry_if(locked) on RETRY_IF: 1, marked true;
        by_ignore_if(locked) on IGNORE_IF: 1, marked false;
        // About the others the type is asked.
        by_ignore_if(bad_request) on IGNORE_IF: 1, marked false;
        by_ignore_if(rejected) on IGNORE_IF: 1, marked true;
        by_ignore_if(unknown) on IGNORE_IF: 4, marked true;
        by_classify(bad_request) on CLASSIFY: 4, marked true;
        by_classify(locked) on CLASSIFY: 1, marked false;
        by_classify(unknown) on CLASSIFY: 1, marked true;
    }
}

// ---- What else a type may be ----------------------------------------------------------------------------------------

/// Has a verdict and no text.
#[derive(Debug, ErrorVerdict)]
enum Mute {
    #[verdict(ignore)]
    Wrong,
    Sandbox(#[allow(dead_code)] String),
}

impl FromFailure for Mute {
    fn from_failure(failure: Failure) -> Self {
        Mute::Sandbox(failure.to_string())
    }
}

#[sandboxed]
async fn mute(attempts: &AtomicU32) -> Result<(), Mute> {
    attempts.fetch_add(1, Relaxed);
    Err(Mute::Wrong)
}

/// The type of an error that is a parameter of the function.
#[sandboxed(backoff_base_ms = 0, breaker = off)]
async fn generic<E: From<SandboxError> + ErrorVerdict>(attempts: &AtomicU32, error: fn() -> E) -> Result<(), E> {
    attempts.fetch_add(1, Relaxed);
    Err(error())
}

#[sandboxed(backoff_base_ms = 0, breaker = off)]
async fn unbounded<E: From<SandboxError>>(attempts: &AtomicU32, error: fn() -> E) -> Result<(), E> {
    attempts.fetch_add(1, Relaxed);
    Err(error())
}

/// A failure can only be made by hand, the meaning of an error is still the type's.
#[sandboxed(on_failure = |failure| Err(OftenFatal::Number { source: failure.to_string().parse::<u8>().unwrap_err() }))]
async fn with_on_failure(attempts: &AtomicU32) -> Result<(), OftenFatal> {
    attempts.fetch_add(1, Relaxed);
    Err(OftenFatal::Fatal)
}

/// Errors that borrow: what they are cannot be asked for.
#[derive(Debug, ErrorVerdict)]
enum Borrowed<'a> {
    Below {
        #[allow(dead_code)]
        source: Place<'a>,
    },
    #[verdict(source)]
    Inner(Generic<'a, Request, 1>),
}

#[derive(Debug, thiserror::Error)]
#[error("in {0}")]
struct Place<'a>(&'a str);

#[sandboxed(backoff_base_ms = 0, breaker = off)]
async fn borrowed<'a>(attempts: &AtomicU32, place: &'a str) -> Result<(), Box<dyn Error + 'a>> {
    attempts.fetch_add(1, Relaxed);
    Err(Box::new(Place(place)))
}

#[tokio::test(start_paused = true)]
async fn types_that_borrow() {
    let attempts = AtomicU32::new(0);
    let place = String::from("here");
    assert_eq!(borrowed(&attempts, &place).await.unwrap_err().to_string(), "in here");
    assert_eq!(attempts.into_inner(), 3);
    assert_eq!(meaning(&Borrowed::Below { source: Place(&place) }), RETRY);
    assert_eq!(meaning(&Borrowed::Inner(Generic::Text(&place, [0]))), IGNORE);
}

#[tokio::test(start_paused = true)]
async fn types_of_every_kind() {
    let attempts = AtomicU32::new(0);
    assert!(mute(&attempts).await.is_err());
    assert_eq!(attempts.swap(0, Relaxed), 1);
    assert!(generic(&attempts, || FetchError::BadRequest).await.is_err());
    assert_eq!(attempts.swap(0, Relaxed), 1);
    assert!(unbounded(&attempts, || FetchError::BadRequest).await.is_err());
    assert_eq!(
        attempts.swap(0, Relaxed),
        3,
        "nothing is known of a parameter without a bound"
    );
    assert!(with_on_failure(&attempts).await.is_err());
    assert_eq!(attempts.swap(0, Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_is_asked_for() {
    for (asked_for, expected) in [(false, 3), (true, 1)] {
        let attempts = AtomicU32::new(0);
        let breaker = CircuitBreaker::new(5);
        let tool = Tool::new("read", || async {
            attempts.fetch_add(1, Relaxed);
            Err::<(), _>(io(ErrorKind::NotFound))
        });
        let policy = Policy::new();
        let result = match asked_for {
            true => execute_with_controls(policy, &breaker, tool.classify_by_error_type()).await,
            false => execute_with_controls(policy, &breaker, tool).await,
        };
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(attempts.load(Relaxed), expected);
        assert_eq!(breaker.failure_count() == 0, asked_for);
    }
}

/// Fields that `thiserror` takes for a source, and fields that it does not.
#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum Kept {
    #[error(transparent)]
    AsItIs(io::Error),
    #[error("the file: {0}")]
    AsAPart(io::Error),
    #[error("the file {1}: {0}")]
    BesideOthers(io::Error, u32),
    #[error("{source}")]
    ByName { source: io::Error },
}

#[test]
fn what_is_only_shown_is_not_a_source() {
    let missing = || io(ErrorKind::NotFound);
    assert_eq!(meaning(&Kept::AsItIs(missing())), IGNORE);
    assert_eq!(meaning(&Kept::AsAPart(missing())), RETRY);
    assert_eq!(meaning(&Kept::BesideOthers(missing(), 1)), RETRY);
    assert_eq!(meaning(&Kept::ByName { source: missing() }), IGNORE);
}

// ---- The text of an earlier error -----------------------------------------------------------------------------------

macro_rules! hangs_after_an_error {
    ($($name:ident: $error:ty, $value:expr;)*) => {$(
        #[sandboxed(timeout_ms = 100, max_retries = 1, on_failure = |failure| Ok(failure.last_error.map(String::from)))]
        async fn $name(attempts: &AtomicU32) -> Result<Option<String>, $error> {
            match attempts.fetch_add(1, Relaxed) {
                0 => Err($value),
                _ => std::future::pending().await,
            }
        }
    )*};
}

hangs_after_an_error! {
    text: String, "down".into();
    typed: io::Error, io::Error::other("down");
    wrapped: anyhow::Error, anyhow::anyhow!("down");
    boxed_text: Box<dyn Error + Send + Sync>, "down".into();
    stated: FetchError, FetchError::ByHand(io::Error::other("down"));
    without: Mute, Mute::Sandbox("down".into());
    discreet: Discreet, Discreet;
}

/// An error that has other words for models than for operators.
#[derive(Debug, thiserror::Error)]
#[error("the password of db-7 was rejected")]
struct Discreet;

impl From<SandboxError> for Discreet {
    fn from(_: SandboxError) -> Self {
        Discreet
    }
}

impl ErrorVerdict for Discreet {
    fn verdict(&self) -> Verdict {
        Verdict::RETRY
    }

    fn text(&self, _: Option<&dyn std::fmt::Display>) -> Option<String> {
        Some("the login\nfailed".into())
    }
}

#[sandboxed(timeout_ms = 100, max_retries = 1)]
async fn login(attempts: &AtomicU32) -> Result<(), String> {
    match attempts.fetch_add(1, Relaxed) {
        0 => Err("the password has expired".into()),
        _ => std::future::pending().await,
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_that_displays_is_remembered() {
    let attempts = AtomicU32::new(0);
    macro_rules! check {
        ($($tool:ident: $expected:expr;)*) => {$(
            attempts.store(0, Relaxed);
            let text = $tool(&attempts).await.unwrap();
            assert_eq!(text.as_deref(), $expected, stringify!($tool));
        )*};
    }
    check! {
        text: Some("down");
        typed: Some("down");
        wrapped: Some("down");
        boxed_text: Some("down");
        stated: Some("by hand: down");
        without: None;
        discreet: Some("the login failed");
    }
    attempts.store(0, Relaxed);
    let text = login(&attempts).await.unwrap_err();
    assert!(
        text.contains("the password has expired"),
        "also without `on_failure`: {}",
        text
    );
}

/// Fails at every attempt with an error of this kind, which the return type wraps in its own way.
macro_rules! not_idempotent {
    ($($name:ident -> $returned:ty;)*) => {$(
        #[sandboxed(idempotent = false, backoff_base_ms = 0, breaker = off)]
        async fn $name(attempts: &AtomicU32, kind: ErrorKind) -> $returned {
            attempts.fetch_add(1, Relaxed);
            Err(io(kind))?
        }
    )*};
}

not_idempotent! {
    of_its_own -> io::Result<()>;
    within_anyhow -> anyhow::Result<()>;
    within_a_box -> Result<(), Box<dyn Error + Send + Sync>>;
}

#[tokio::test(start_paused = true)]
async fn what_has_done_nothing_is_done_again_however_the_error_is_wrapped() {
    for (kind, attempts) in [(ErrorKind::ConnectionRefused, 3), (ErrorKind::ConnectionReset, 1)] {
        let counts: [AtomicU32; 3] = Default::default();
        of_its_own(&counts[0], kind).await.unwrap_err();
        within_anyhow(&counts[1], kind).await.unwrap_err();
        within_a_box(&counts[2], kind).await.unwrap_err();
        assert_eq!(counts.map(AtomicU32::into_inner), [attempts; 3], "{:?}", kind);
    }
}
