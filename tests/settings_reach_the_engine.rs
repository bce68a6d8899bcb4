//! Every key of the attribute has its effect, and one that is absent leaves the runtime's default.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Policy, SandboxConfig, Verdict, sandboxed};
use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

/// All keys, as the messages about unknown ones list them. The test `ui` compares them with what the compiler prints.
fn keys() -> BTreeSet<&'static str> {
    include_str!("ui/fail/unknown-argument.stderr")
        .lines()
        .filter(|line| line.starts_with("error: unknown argument"))
        .filter_map(|line| line.split("there are ").nth(1))
        .flat_map(|keys| keys.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether this file has a test whose name begins with `key`; of a key for the answers of rmcp's tools, whether theirs has one, and of
/// one for a fleet, whether the runtime has.
fn is_tested(key: &str) -> bool {
    if key == "scope" {
        return include_str!("../sandbox-runtime/tests/shares_of_a_rate_are_obeyed.rs").contains("scope = fleet)");
    }
    if key == "is_error" {
        return include_str!("mcp/answers_can_be_failures.rs").contains("#[sandboxed(is_error = retry");
    }
    let test = format!("async fn {key}_");
    let lines: Vec<_> = include_str!("settings_reach_the_engine.rs").lines().collect();
    lines
        .windows(2)
        .any(|pair| pair[0].starts_with("#[tokio::test(") && pair[1].starts_with(&test))
}

#[test]
fn each_key_has_a_test() {
    let keys = keys();
    for known in ["timeout_ms", "crate", "threshold", "probes"] {
        assert!(
            keys.contains(known),
            "`{}` is not among the keys found: {:?}",
            known,
            keys
        );
    }
    let untested: Vec<_> = keys.into_iter().filter(|key| !is_tested(key)).collect();
    assert!(
        untested.is_empty(),
        "no test shows an effect of {:?}; add one whose name begins with the key",
        untested
    );
}

/// How many milliseconds `call` takes on the paused clock.
async fn millis<T>(call: impl Future<Output = T>) -> u128 {
    let start = Instant::now();
    call.await;
    start.elapsed().as_millis()
}

/// Tools with these settings that hang.
macro_rules! hangs {
    ($($name:ident: $settings:tt;)*) => {$(
        #[sandboxed $settings]
        async fn $name() -> Result<(), String> {
            std::future::pending().await
        }
    )*};
}

/// Tools with these settings that count their attempts and fail.
macro_rules! fails {
    ($($name:ident: $settings:tt;)*) => {$(
        #[sandboxed $settings]
        async fn $name(attempts: &AtomicU32) -> Result<(), String> {
            attempts.fetch_add(1, Ordering::Relaxed);
            Err("down".into())
        }
    )*};
}

/// How many attempts `tool` makes.
macro_rules! attempts_of {
    ($tool:ident) => {{
        let attempts = AtomicU32::new(0);
        let _ = $tool(&attempts).await;
        attempts.into_inner()
    }};
}

hangs! {
    with_timeout: (timeout_ms = 200, max_retries = 0);
    with_deadline: (timeout_ms = 200, backoff_base_ms = 50, deadline_ms = 300);
    not_idempotent: (timeout_ms = 200, idempotent = false);
    one_at_a_time: (timeout_ms = 200, max_retries = 0, max_concurrent = 1, queue_ms = 1_000);
    not_queued: (timeout_ms = 200, max_retries = 0, max_concurrent = 1, queue_ms = 0);
    three_a_minute: (timeout_ms = 200, max_retries = 0, queue_ms = 120_000, rate(calls = 3, per_ms = 60_000), breaker = off);
    three_in_eleven_seconds: (timeout_ms = 200, max_retries = 0, queue_ms = 120_000, rate(calls = 3, per_ms = 11_000), breaker = off);
    three_in_ten_seconds: (timeout_ms = 200, max_retries = 0, queue_ms = 120_000, rate(calls = 3, per_ms = 10_000), breaker = off);
    named: (timeout_ms = 200, max_retries = 0, name = "paged search");
}

fails! {
    with_retries: (max_retries = 3, backoff_base_ms = 0);
    with_base: (max_retries = 2, backoff_base_ms = 7);
    with_maximum: (max_retries = 3, backoff_base_ms = 7, backoff_max_ms = 10);
    retried_if_up: (backoff_base_ms = 0, retry_if = |error| error == "up");
    retried_if_down: (backoff_base_ms = 0, retry_if = |error| error == "down");
    classified: (backoff_base_ms = 0, classify = |_| Verdict::Success);
    translated: (max_retries = 0, breaker = &DOWN, on_failure = |_| Err("translated".into()));
    ignored: (backoff_base_ms = 0, ignore_if = |error| error == "down", breaker(threshold = 1));
    shared: (max_retries = 0, breaker = &SHARED);
}

static DOWN: CircuitBreaker = CircuitBreaker::new(0);
static SHARED: CircuitBreaker = CircuitBreaker::new(5);

#[tokio::test(start_paused = true)]
async fn timeout_ms_limits_an_attempt() {
    assert_eq!(millis(with_timeout()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn max_retries_counts_the_attempts_after_the_first() {
    assert_eq!(attempts_of!(with_retries), 4);
}

#[tokio::test(start_paused = true)]
async fn backoff_base_ms_is_the_first_delay_and_doubles() {
    assert_eq!(millis(with_base(&AtomicU32::new(0))).await, 7 + 14);
}

#[tokio::test(start_paused = true)]
async fn backoff_max_ms_limits_a_delay() {
    assert_eq!(millis(with_maximum(&AtomicU32::new(0))).await, 7 + 10 + 10);
}

#[tokio::test(start_paused = true)]
async fn deadline_ms_limits_the_call() {
    assert_eq!(
        millis(with_deadline()).await,
        300,
        "one attempt of 200, a delay of 50, and the rest"
    );
}

const DECADE_MS: u64 = 1_000 * 60 * 60 * 24 * 365 * 10;

fails! {
    with_jitter: (max_retries = 1, backoff_base_ms = DECADE_MS, jitter = equal);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_a_delay() {
    let delays = [
        millis(with_jitter(&AtomicU32::new(0))).await,
        millis(with_jitter(&AtomicU32::new(0))).await,
    ];
    let longest = u128::from(DECADE_MS);
    for delay in &delays {
        assert!(
            (longest / 2..=longest).contains(delay),
            "{} is not between half of {} and all of it",
            delay,
            longest
        );
    }
    // The range has so many milliseconds that two draws agree once in 10^11 times.
    assert_ne!(delays[0], delays[1], "two calls wait in step");
}

#[tokio::test(start_paused = true)]
async fn idempotent_decides_whether_a_timeout_is_retried() {
    assert_eq!(millis(not_idempotent()).await, 200, "it has been run again");
}

#[tokio::test(start_paused = true)]
async fn max_concurrent_lets_so_many_calls_be_made_at_a_time() {
    assert_eq!(
        millis(async { tokio::join!(one_at_a_time(), one_at_a_time()) }).await,
        400
    );
}

#[tokio::test(start_paused = true)]
async fn queue_ms_limits_the_wait_for_a_place() {
    assert_eq!(millis(async { tokio::join!(not_queued(), not_queued()) }).await, 200);
}

#[tokio::test(start_paused = true)]
async fn rate_limits_how_often_attempts_begin() {
    let four = async {
        for _ in 0..4 {
            let _ = three_a_minute().await;
        }
    };
    assert_eq!(millis(four).await, 60_200);
}

#[tokio::test(start_paused = true)]
async fn calls_is_how_many_attempts_begin_in_a_length_of_time() {
    let three = async {
        for _ in 0..3 {
            let _ = three_in_ten_seconds().await;
        }
    };
    assert_eq!(millis(three).await, 600);
}

#[tokio::test(start_paused = true)]
async fn per_ms_is_the_length_of_time_in_which_so_many_attempts_begin() {
    let four = async {
        for _ in 0..4 {
            let _ = three_in_eleven_seconds().await;
        }
    };
    assert_eq!(millis(four).await, 11_200);
}

#[tokio::test(start_paused = true)]
async fn retry_if_decides_which_errors_are_retried() {
    assert_eq!((attempts_of!(retried_if_up), attempts_of!(retried_if_down)), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn ignore_if_keeps_errors_from_the_breaker() {
    assert_eq!(attempts_of!(ignored), 1, "an error that is to be ignored is retried");
    assert_eq!(
        attempts_of!(ignored),
        1,
        "an error that is to be ignored has opened the breaker"
    );
}

#[tokio::test(start_paused = true)]
async fn classify_decides_what_is_a_success() {
    assert_eq!(attempts_of!(classified), 1, "an answer that is a success is retried");
}

#[tokio::test(start_paused = true)]
async fn on_failure_makes_the_answer() {
    assert_eq!(translated(&AtomicU32::new(0)).await, Err("translated".into()));
}

#[tokio::test(start_paused = true)]
async fn a_raw_identifier_is_a_name_without_its_prefix() {
    #[sandboxed(max_retries = 0, breaker = off)]
    async fn r#move() -> Result<(), String> {
        panic!()
    }
    let failure = r#move().await.unwrap_err();
    assert_eq!(&failure[..6], "`move`");
}

#[tokio::test(start_paused = true)]
async fn name_is_the_tool_in_its_failures() {
    let failure = named().await.unwrap_err();
    assert!(failure.starts_with("`paged search` timed out"), "{}", failure);
}

struct Paged;

impl Paged {
    const NAME: &'static str = "paged";
    const TITLE: &'static str = "titled";
}

const TITLE: &str = Paged::TITLE;

impl Paged {
    #[sandboxed(name = TITLE, timeout_ms = 1, max_retries = 0)]
    async fn by_constant(&self) -> Result<(), String> {
        std::future::pending().await
    }

    #[sandboxed(name = Self::NAME, timeout_ms = 1, max_retries = 0)]
    async fn by_its_type(&self) -> Result<(), String> {
        std::future::pending().await
    }

    #[sandboxed(name = <Self as Named>::NAME, timeout_ms = 1, max_retries = 0, breaker = &SHARED)]
    async fn by_a_trait(&self) -> Result<(), String> {
        std::future::pending().await
    }
}

trait Named {
    const NAME: &'static str;
}

impl Named for Paged {
    const NAME: &'static str = "named";
}

#[tokio::test(start_paused = true)]
async fn name_may_be_a_constant_also_of_the_type() {
    for (failure, name) in [
        (Paged.by_constant().await, "`titled` timed out"),
        (Paged.by_its_type().await, "`paged` timed out"),
        (Paged.by_a_trait().await, "`named` timed out"),
    ] {
        let failure = failure.unwrap_err();
        assert!(failure.starts_with(name), "{}", failure);
    }
}

hangs! {
    without_timeout: (timeout_ms = off, max_retries = 0, deadline_ms = 90_000);
}

#[tokio::test(start_paused = true)]
async fn timeout_ms_may_be_off_and_the_deadline_still_holds() {
    assert_eq!(millis(without_timeout()).await, 90_000);
}

struct Configured {
    policy: Policy,
    attempts: AtomicU32,
}

impl Configured {
    fn new(max_retries: u32) -> Self {
        Configured {
            policy: Policy::new().max_retries(max_retries).backoff_base(Duration::ZERO),
            attempts: AtomicU32::new(0),
        }
    }

    #[sandboxed(policy = self.policy, breaker(threshold = 100))]
    async fn of_the_instance(&self, text: String) -> Result<String, String> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        Err(text)
    }

    #[sandboxed(policy = &self.policy, breaker = off)]
    async fn by_reference(&mut self, text: String) -> Result<String, String> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        Err(text)
    }
}

#[sandboxed(policy = SandboxConfig { timeout_ms: limit_ms, ..SandboxConfig::default() }, breaker = off)]
async fn of_an_argument(limit_ms: u64) -> Result<(), String> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn policy_is_that_of_each_call() {
    for max_retries in [0, 3] {
        let mut tool = Configured::new(max_retries);
        assert_eq!(tool.of_the_instance("a".into()).await, Err("a".into()));
        assert_eq!(tool.by_reference("b".into()).await, Err("b".into()));
        assert_eq!(tool.attempts.into_inner(), 2 * (max_retries + 1));
    }
    assert_eq!(millis(of_an_argument(10)).await, 3 * 10 + 500 + 1_000);
    assert_eq!(millis(of_an_argument(20)).await, 3 * 20 + 500 + 1_000);
}

#[sandboxed(cancel = token)]
async fn with_token(token: &CancellationToken) -> Result<(), String> {
    token.cancel();
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn cancel_ends_the_call_at_once() {
    assert_eq!(millis(with_token(&CancellationToken::new())).await, 0);
}

/// The runtime, but with a millisecond of two.
mod slow_runtime {
    pub(super) mod private {
        pub(in super::super) use sandbox_runtime::private::*;

        pub(in super::super) const fn millis(millis: u64) -> std::time::Duration {
            std::time::Duration::from_millis(2 * millis)
        }
    }
}

hangs! {
    of_another_runtime: (crate = slow_runtime, timeout_ms = 200, max_retries = 0);
}

#[tokio::test(start_paused = true)]
async fn crate_is_where_the_runtime_is() {
    assert_eq!(
        millis(of_another_runtime()).await,
        2 * 200,
        "the milliseconds are of another crate"
    );
}

#[tokio::test(start_paused = true)]
async fn breaker_names_another() {
    assert_eq!(attempts_of!(shared), 1);
    assert_eq!(
        SHARED.failure_count(),
        1,
        "the failure is not counted by the breaker that is named"
    );
}

/// Tools with a breaker of these settings that work or fail.
macro_rules! breakers {
    ($($name:ident: $settings:tt;)*) => {$(
        #[sandboxed(max_retries = 0, breaker $settings)]
        async fn $name(works: bool) -> Result<(), String> {
            if works { Ok(()) } else { Err("down".into()) }
        }
    )*};
}

breakers! {
    by_threshold: (threshold = 2);
    by_window: (window = 2, failure_rate = 1.0);
    by_rate: (window = 4, failure_rate = 0.75);
    with_cooldown: (threshold = 1, cooldown_ms = 100);
    with_longest_cooldown: (threshold = 1, cooldown_ms = 100, cooldown_max_ms = 150);
    with_probes: (threshold = 2, cooldown_ms = 100, probes = 2);
}

/// Calls `tool` once for each of these: a call works, fails, or is one that the breaker has to refuse.
macro_rules! calls {
    ($tool:ident: $($expected:ident),*) => {
        [$((stringify!($expected), outcome($tool(stringify!($expected) == "works").await))),*]
            .iter()
            .enumerate()
            .for_each(|(call, (expected, outcome))| assert_eq!(expected, outcome, "call {} of `{}`", call, stringify!($tool)))
    };
}

fn outcome(result: Result<(), String>) -> &'static str {
    match result {
        Ok(()) => "works",
        Err(error) if error == "down" => "fails",
        Err(error) if error.contains("circuit breaker open") => "refused",
        Err(error) => panic!("no failure of the breaker: {}", error),
    }
}

fails! {
    counting_calls: (max_retries = 1, backoff_base_ms = 0, breaker(threshold = 2));
    counting_attempts: (max_retries = 1, backoff_base_ms = 0, breaker(threshold = 2, count = attempts));
}

#[tokio::test(start_paused = true)]
async fn count_is_what_the_breaker_counts() {
    assert_eq!(attempts_of!(counting_calls), 2);
    assert_eq!(
        attempts_of!(counting_calls),
        2,
        "the first call has left one mark of two"
    );
    assert_eq!(attempts_of!(counting_calls), 0, "the second has opened the breaker");
    assert_eq!(attempts_of!(counting_attempts), 2);
    assert_eq!(attempts_of!(counting_attempts), 0, "one call has opened the breaker");
}

#[tokio::test(start_paused = true)]
async fn threshold_counts_failures_in_a_row() {
    calls!(by_threshold: fails, works, fails, fails, refused);
}

#[tokio::test(start_paused = true)]
async fn window_is_how_many_results_are_judged() {
    calls!(by_window: fails, works, fails, fails, refused);
}

#[tokio::test(start_paused = true)]
async fn failure_rate_is_the_share_that_opens_it() {
    calls!(by_rate: fails, fails, works, works, fails, works, fails, fails, refused);
}

#[tokio::test(start_paused = true)]
async fn cooldown_ms_is_how_long_it_stays_open() {
    calls!(with_cooldown: fails, refused);
    advance(Duration::from_millis(99)).await;
    calls!(with_cooldown: refused);
    advance(Duration::from_millis(1)).await;
    calls!(with_cooldown: works);
}

#[tokio::test(start_paused = true)]
async fn cooldown_max_ms_lets_cooldowns_double_up_to_it() {
    calls!(with_longest_cooldown: fails);
    advance(Duration::from_millis(100)).await;
    calls!(with_longest_cooldown: fails);
    advance(Duration::from_millis(149)).await;
    calls!(with_longest_cooldown: refused);
    advance(Duration::from_millis(1)).await;
    calls!(with_longest_cooldown: works);
}

#[tokio::test(start_paused = true)]
async fn probes_is_how_many_successes_close_it() {
    calls!(with_probes: fails, fails, refused);
    advance(Duration::from_millis(100)).await;
    calls!(with_probes: works, fails, refused);
    advance(Duration::from_millis(100)).await;
    calls!(with_probes: works, works, fails, works);
}

#[sandboxed(breaker(threshold = 2, slow_call_ms = 50))]
async fn with_slow_calls(millis: u64) -> Result<(), String> {
    sleep(Duration::from_millis(millis)).await;
    Ok(())
}

#[sandboxed(breaker(window = 2, failure_rate = 1.0, slow_call_ms = SLOW_CALL_MS))]
async fn with_slow_calls_in_a_window(millis: u64) -> Result<(), String> {
    sleep(Duration::from_millis(millis)).await;
    Ok(())
}

const SLOW_CALL_MS: u64 = 50;

/// Its attempts borrow an argument, so that they are driven by another loop.
#[sandboxed(breaker(threshold = 2, slow_call_ms = 50))]
async fn with_slow_calls_and_a_lent_argument(millis: &mut u64) -> Result<(), String> {
    sleep(Duration::from_millis(*millis)).await;
    *millis += 1;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn slow_call_ms_is_the_longest_that_a_success_may_take() {
    for millis in [51, 50, 51, 51] {
        assert_eq!(with_slow_calls(millis).await, Ok(()), "the caller gets the answer");
    }
    let refused = with_slow_calls(1).await.unwrap_err();
    assert!(
        refused.contains("circuit breaker open"),
        "two in a row have not opened it: {}",
        refused
    );
    for millis in [50, 51, 51] {
        assert_eq!(with_slow_calls_in_a_window(millis).await, Ok(()));
    }
    let refused = with_slow_calls_in_a_window(1).await.unwrap_err();
    assert!(
        refused.contains("circuit breaker open"),
        "a window of two is full: {}",
        refused
    );
    let mut millis = 49;
    for _ in 0..4 {
        assert_eq!(with_slow_calls_and_a_lent_argument(&mut millis).await, Ok(()));
    }
    let refused = with_slow_calls_and_a_lent_argument(&mut millis).await.unwrap_err();
    assert!(
        refused.contains("circuit breaker open"),
        "51 and 52 ms have not opened it: {}",
        refused
    );
}

breakers! {
    with_forgotten_failures: (threshold = 2, forget_ms = 1_000);
}

#[tokio::test(start_paused = true)]
async fn forget_ms_is_how_far_apart_failures_in_a_row_may_lie() {
    calls!(with_forgotten_failures: fails);
    advance(Duration::from_millis(1_001)).await;
    calls!(with_forgotten_failures: fails);
    advance(Duration::from_millis(1_000)).await;
    calls!(with_forgotten_failures: fails, refused);
}

hangs! {
    bare: ();
    all: (timeout_ms = TIMEOUT_MS + 1, max_retries = { 1 + 2 }, backoff_base_ms = 1_000u64,);
}

const TIMEOUT_MS: u64 = 200;

#[sandboxed]
async fn without_parentheses() -> Result<(), String> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn defaults_are_30_s_2_retries_and_half_a_second() {
    assert_eq!(
        millis(without_parentheses()).await,
        30_000 + 500 + 30_000 + 1_000 + 30_000
    );
    assert_eq!(millis(bare()).await, 30_000 + 500 + 30_000 + 1_000 + 30_000);
}

#[tokio::test(start_paused = true)]
async fn settings_are_constant_expressions() {
    assert_eq!(millis(all()).await, 4 * 201 + 1_000 + 2_000 + 4_000);
}

fails! {
    with_the_default_breaker: (max_retries = 0);
}

#[tokio::test(start_paused = true)]
async fn the_default_breaker_opens_at_5_failures() {
    let attempts = AtomicU32::new(0);
    for _ in 0..9 {
        let _ = with_the_default_breaker(&attempts).await;
    }
    assert_eq!(attempts.into_inner(), 5);
}
