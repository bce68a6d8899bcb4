//! However a call ends, its observer is told so once: why, after how many attempts, and with which `error.type`. There is a row for
//! everything that `docs/observing.md` says about it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, Observer, Stop, error_type, observe_in};
use sandbox_runtime::{
    Budget, CircuitBreaker, ErrorVerdict, Policy, SandboxError, Tool, execute_with_controls, sandboxed,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use Around::{BreakerIsForcedOpen, CancelledAfter, DroppedAfter, IsCancelled, Nothing, OthersFailAfter, Run};
use Step::{AskToWait, BlameCaller, Fail, FailForGood, Hang, Panic, Work};

/// What one attempt does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Work,
    Fail,
    FailForGood,
    BlameCaller,
    AskToWait(Duration),
    Hang,
    Panic,
}

/// What happens around the call.
#[derive(Debug, Clone, Copy)]
enum Around {
    Nothing,
    BreakerIsForcedOpen,
    /// Other calls open the breaker after this time.
    OthersFailAfter(Duration),
    Run(Budget),
    IsCancelled,
    CancelledAfter(Duration),
    DroppedAfter(Duration),
}

/// A call, and what its observer is told of its end.
struct Row {
    stop: Stop,
    attempts: u32,
    error_type: Option<&'static str>,
    policy: Policy,
    /// The last one repeats.
    steps: &'static [Step],
    around: Around,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Three attempts of 100 ms, with delays of 10 ms and 20 ms.
const POLICY: Policy = Policy::new().timeout(ms(100)).max_retries(2).backoff_base(ms(10));

/// What opens the breaker of a call.
const THRESHOLD: u32 = 3;

const RUN: Budget = Budget::new();

#[rustfmt::skip]
const ROWS: [Row; 25] = [
    row(Stop::Succeeded,         1, None,                         POLICY,                    &[Work],                 Nothing),
    row(Stop::Succeeded,         3, None,                         POLICY,                    &[Fail, Hang, Work],     Nothing),
    row(Stop::AttemptsExhausted, 3, Some("tool_error"),           POLICY,                    &[Fail],                 Nothing),
    row(Stop::AttemptsExhausted, 3, Some("timeout"),              POLICY,                    &[Fail, Fail, Hang],     Nothing),
    row(Stop::NotRetryable,      1, Some("tool_error"),           POLICY,                    &[FailForGood],          Nothing),
    row(Stop::Ignored,           1, Some("tool_error"),           POLICY,                    &[BlameCaller],          Nothing),
    row(Stop::NotIdempotent,     1, Some("tool_error"),           POLICY.idempotent(false),  &[Fail],                 Nothing),
    row(Stop::NotIdempotent,     1, Some("timeout"),              POLICY.idempotent(false),  &[Hang],                 Nothing),
    row(Stop::HintTooLong,       1, Some("tool_error"),           POLICY.backoff_max(ms(50)), &[AskToWait(ms(51))],   Nothing),
    row(Stop::NoTimeLeft,        1, Some("tool_error"),           POLICY.deadline(ms(150)),  &[AskToWait(ms(150))],   Nothing),
    row(Stop::NoTimeLeft,        1, Some("timeout"),              POLICY.deadline(ms(110)),  &[Hang],                 Nothing),
    row(Stop::CallBudgetSpent,   0, Some("_OTHER"),               POLICY,                    &[Fail],                 Run(RUN.calls(0))),
    row(Stop::RetryBudgetSpent,  2, Some("tool_error"),           POLICY,                    &[Fail],                 Run(RUN.retries(1))),
    row(Stop::BreakerOpened,     1, Some("tool_error"),           POLICY,                    &[Fail],                 OthersFailAfter(ms(5))),
    row(Stop::BreakerOpened,     3, Some("timeout"),              POLICY.max_retries(3),     &[Hang],                 Nothing),
    row(Stop::Refused,           0, Some("circuit_breaker_open"), POLICY,                    &[Work],                 BreakerIsForcedOpen),
    row(Stop::DeadlineExceeded,  2, Some("deadline_exceeded"),    POLICY.deadline(ms(150)),  &[Hang],                 Nothing),
    row(Stop::DeadlineExceeded,  1, Some("deadline_exceeded"),    POLICY,                    &[Hang],                 Run(RUN.deadline(ms(50)))),
    row(Stop::DeadlineExceeded,  0, Some("deadline_exceeded"),    POLICY,                    &[Work],                 Run(RUN.deadline(ms(0)))),
    row(Stop::Panicked,          2, Some("panic"),                POLICY,                    &[Fail, Panic],          Nothing),
    row(Stop::Cancelled,         0, Some("cancelled"),            POLICY,                    &[Work],                 IsCancelled),
    row(Stop::Cancelled,         1, Some("cancelled"),            POLICY,                    &[Hang],                 CancelledAfter(ms(50))),
    row(Stop::Cancelled,         1, Some("cancelled"),            POLICY,                    &[Fail],                 CancelledAfter(ms(5))),
    row(Stop::Dropped,           1, Some("cancelled"),            POLICY,                    &[Hang],                 DroppedAfter(ms(50))),
    row(Stop::Dropped,           1, Some("cancelled"),            POLICY,                    &[Fail],                 DroppedAfter(ms(5))),
];

/// Only a parameter of rmcp can be consumed: `tests/mcp/parameters_are_read_again.rs` has the row. Only an annotated function can be
/// switched off: `tools_are_switched_off.rs`.
const TOLD_ELSEWHERE: [Stop; 4] = [
    Stop::ArgumentsConsumed,
    Stop::Disabled,
    Stop::Overloaded,
    Stop::RateLimited,
];

const fn row(
    stop: Stop,
    attempts: u32,
    error_type: Option<&'static str>,
    policy: Policy,
    steps: &'static [Step],
    around: Around,
) -> Row {
    Row {
        stop,
        attempts,
        error_type,
        policy,
        steps,
        around,
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            stop, steps, around, ..
        } = self;
        write!(f, "`{}` by {steps:?} in {around:?}", stop.as_str())
    }
}

#[derive(Debug, PartialEq, thiserror::Error, ErrorVerdict)]
enum SearchError {
    #[error("down")]
    Down,
    #[error("the key was rejected")]
    #[verdict(fail)]
    Rejected,
    #[error("not a query")]
    #[verdict(ignore)]
    NotAQuery,
    #[error("busy")]
    #[verdict(retry, after = after)]
    Busy { after: Duration },
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

type Answer = Result<(), SearchError>;

/// What the tools of a row share.
struct Search {
    policy: Policy,
    breaker: CircuitBreaker,
    token: CancellationToken,
    steps: &'static [Step],
    attempts: AtomicUsize,
}

impl Search {
    fn of(row: &Row) -> Self {
        Search {
            policy: row.policy,
            breaker: CircuitBreaker::new(THRESHOLD),
            token: CancellationToken::new(),
            steps: row.steps,
            attempts: AtomicUsize::new(0),
        }
    }

    async fn attempt(&self) -> Answer {
        let index = self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.steps[index.min(self.steps.len() - 1)] {
            Work => Ok(()),
            Fail => Err(SearchError::Down),
            FailForGood => Err(SearchError::Rejected),
            BlameCaller => Err(SearchError::NotAQuery),
            AskToWait(after) => Err(SearchError::Busy { after }),
            Hang => pending().await,
            Panic => panic!("a bug"),
        }
    }
}

async fn by_hand(search: &Search) -> Answer {
    let tool = Tool::new("search", || search.attempt())
        .classify_by_error_type()
        .cancelled_by(search.token.cancelled());
    execute_with_controls(search.policy, &search.breaker, tool).await
}

#[sandboxed(policy = search.policy, breaker = &search.breaker, cancel = search.token)]
async fn by_the_attribute(search: &Search) -> Answer {
    search.attempt().await
}

/// With an argument that the attempts borrow one after the other, which the engine runs in another way.
#[sandboxed(policy = search.policy, breaker = &search.breaker, cancel = search.token)]
async fn by_the_attribute_with_a_lent_argument(search: &Search, begun: &mut u32) -> Answer {
    *begun += 1;
    search.attempt().await
}

/// What the caller gets, if it waits for that.
async fn within(around: Around, search: &Search, call: impl Future<Output = Answer>) -> Option<Answer> {
    let meanwhile = |after, act: fn(&Search)| async move {
        sleep(after).await;
        act(search);
    };
    match around {
        Nothing => Some(call.await),
        BreakerIsForcedOpen => {
            search.breaker.force_open();
            Some(call.await)
        }
        OthersFailAfter(time) => {
            let fail = meanwhile(time, |search| {
                for _ in 0..THRESHOLD {
                    search.breaker.record_failure();
                }
            });
            Some(tokio::join!(call, fail).0)
        }
        Run(budget) => Some(budget.scope(call).await),
        IsCancelled => {
            search.token.cancel();
            Some(call.await)
        }
        CancelledAfter(time) => {
            let cancel = meanwhile(time, |search| search.token.cancel());
            Some(tokio::join!(call, cancel).0)
        }
        DroppedAfter(time) => timeout(time, call).await.ok(),
    }
}

/// What is told of a call, without the delays and the changes of its breaker.
#[derive(Debug, PartialEq)]
enum Told {
    CallStarted,
    AttemptStarted(u32),
    AttemptEnded(u32),
    CallEnded {
        stop: Stop,
        attempts: u32,
        error_type: Option<&'static str>,
    },
}

/// Notes what is told, and the failures in it. It asserts nothing: a panic in an observer is caught.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<(Vec<Told>, Vec<SandboxError>)>>);

impl Observer for Notes {
    fn on_event(&self, event: &Event<'_>) {
        let mut notes = self.0.lock().unwrap();
        let (told, failures) = &mut *notes;
        told.push(match event.happened {
            Happened::CallStarted => Told::CallStarted,
            Happened::AttemptStarted { attempt, .. } => Told::AttemptStarted(attempt),
            Happened::AttemptEnded { attempt, .. } => Told::AttemptEnded(attempt),
            Happened::CallEnded {
                stop,
                attempts,
                failure,
                ..
            } => {
                failures.extend(failure.cloned().map(SandboxError::from));
                Told::CallEnded {
                    stop,
                    attempts,
                    error_type: error_type(stop, failure),
                }
            }
            _ => return,
        });
    }
}

/// Makes the call of a row, and compares what was told of it.
async fn check<'s>(row: &Row, search: &'s Search, how: &str, call: impl Future<Output = Answer> + 's) {
    let notes = Notes::default();
    let answer = observe_in(notes.clone(), within(row.around, search, call)).await;
    let (told, failures) = std::mem::take(&mut *notes.0.lock().unwrap());

    let attempts = (1..=row.attempts).flat_map(|attempt| [Told::AttemptStarted(attempt), Told::AttemptEnded(attempt)]);
    let mut expected = vec![Told::CallStarted];
    expected.extend(attempts);
    expected.push(Told::CallEnded {
        stop: row.stop,
        attempts: row.attempts,
        error_type: row.error_type,
    });
    assert_eq!(told, expected, "{row}, {how}: the observer was told something else");

    let returned = match &answer {
        Some(Err(SearchError::Sandbox(error))) => vec![error.clone()],
        _ => Vec::new(),
    };
    assert_eq!(failures, returned, "{row}, {how}: the caller got another failure");
    assert_eq!(
        answer.is_none(),
        row.stop == Stop::Dropped,
        "{row}, {how}: the caller got {answer:?}"
    );
    let begun = search.attempts.load(Ordering::Relaxed);
    assert_eq!(
        begun, row.attempts as usize,
        "{row}, {how}: the tool ran another number of times"
    );
}

#[tokio::test(start_paused = true)]
async fn once_and_with_its_reason() {
    for row in &ROWS {
        let search = Search::of(row);
        check(row, &search, "by hand", by_hand(&search)).await;

        let search = Search::of(row);
        check(row, &search, "by the attribute", by_the_attribute(&search)).await;

        let (search, mut begun) = (Search::of(row), 0);
        let call = by_the_attribute_with_a_lent_argument(&search, &mut begun);
        check(row, &search, "with a lent argument", call).await;
    }
}

#[tokio::test(start_paused = true)]
async fn but_not_of_a_call_that_has_not_begun() {
    for row in &ROWS {
        let (notes, search) = (Notes::default(), Search::of(row));
        observe_in(notes.clone(), async { drop(by_the_attribute(&search)) }).await;
        let (told, _) = std::mem::take(&mut *notes.0.lock().unwrap());
        assert_eq!(told, [], "{row}: the call was never polled");
    }
}

const PAGE: &str = include_str!("../../docs/observing.md");

/// The words in backticks.
fn words(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn for_every_stop_that_is_documented() {
    let (_, section) = PAGE.split_once("### Why a call ends").expect("the section is there");
    let (_, table) = section.split_once("|---|---|\n").expect("the section has a table");
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<_> = lines
        .flat_map(|line| words(line.split('|').nth(1).expect("a line of a table has cells")))
        .collect();
    let mut told: BTreeSet<_> = ROWS.iter().map(|row| row.stop.as_str()).collect();
    for stop in TOLD_ELSEWHERE {
        assert!(told.insert(stop.as_str()), "`{}` has a row here", stop.as_str());
    }
    let apart: Vec<_> = documented.symmetric_difference(&told).collect();
    assert!(
        apart.is_empty(),
        "either documented and without a row here, or the other way round: {apart:?}"
    );
}

#[test]
fn with_every_error_type_that_is_documented() {
    let (_, sentence) = PAGE.split_once("\n`error.type` is ").expect("the sentence is there");
    let (list, _) = sentence
        .split_once(", and missing if nothing")
        .expect("it is about a success, too");
    let documented = words(list);
    let mut told: BTreeSet<_> = ROWS.iter().filter_map(|row| row.error_type).collect();
    // As their stops.
    told.extend(["disabled", "overloaded", "rate_limited"]);
    let apart: Vec<_> = documented.symmetric_difference(&told).collect();
    assert!(
        apart.is_empty(),
        "either documented and without a row here, or the other way round: {apart:?}"
    );
    let missing: Vec<_> = ROWS
        .iter()
        .filter(|row| row.error_type.is_none())
        .map(|row| row.stop)
        .collect();
    assert!(
        !missing.is_empty() && missing.iter().all(|stop| *stop == Stop::Succeeded),
        "`error.type` is missing for {missing:?}"
    );
}
