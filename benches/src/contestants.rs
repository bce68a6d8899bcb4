//! The contestants: the same tool and the same policy, by every engine.
//!
//! Everything that can be made once is made once: a function here is called before the clock starts and returns what is
//! called while it runs.

use std::future::Future;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use layered::{Execute, Service as _, Stack};
use recloser::{AsyncRecloser, Recloser};
use sandbox_runtime::SandboxError;
use seatbelt::breaker::Breaker;
use seatbelt::retry::{Backoff, Retry};
use seatbelt::timeout::Timeout;
use seatbelt::{RecoveryInfo, ResilienceContext};
use tokio::time::error::Elapsed;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};
use tower_resilience_retry::RetryLayer;
use tower_resilience_timelimiter::{TimeLimiterError, TimeLimiterLayer};

use crate::minimal::{self, Counter};

/// How long breakers stay open: longer than a run.
pub const COOLDOWN: Duration = Duration::from_secs(3_600);

/// A threshold that no run reaches.
pub const NEVER: u32 = 1_000_000_000;

/// The policy, for peers that take it at run time.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The limit of one attempt.
    pub timeout: Duration,
    /// How many attempts may follow the first.
    pub max_retries: u32,
    /// The delay before the first retry.
    pub base: Duration,
    /// The failures in a row that open the breaker; [`NEVER`] for none.
    pub threshold: u32,
}

impl Settings {
    /// 30 s, two retries, 500 ms, five failures.
    pub const STANDARD: Settings = Settings {
        timeout: Duration::from_secs(30),
        max_retries: 2,
        base: Duration::from_millis(500),
        threshold: 5,
    };
    /// As the standard, without retries, and with a breaker that stays closed.
    pub const ONCE: Settings = Settings {
        max_retries: 0,
        threshold: NEVER,
        ..Settings::STANDARD
    };
    /// As the standard, without delays.
    pub const AT_ONCE: Settings = Settings {
        base: Duration::ZERO,
        ..Settings::STANDARD
    };
}

/// How a call ends that has no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum CallError {
    /// The tool's own error.
    Tool(String),
    /// The limit was reached.
    Timeout,
    /// The breaker was open.
    Open,
}

impl From<SandboxError> for CallError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::CircuitBreakerOpen { .. } => CallError::Open,
            SandboxError::Timeout { .. } => CallError::Timeout,
            other => CallError::Tool(other.to_string()),
        }
    }
}

/// A call's result: what the measurement asks of it.
pub trait Answer {
    /// The value, if there is one.
    fn value(&self) -> Option<u64>;
    /// Whether a breaker refused the call.
    fn is_refusal(&self) -> bool;
}

impl Answer for Result<u64, String> {
    fn value(&self) -> Option<u64> {
        self.as_ref().ok().copied()
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Err(error) if error.contains("circuit breaker"))
    }
}

impl Answer for Result<u64, CallError> {
    fn value(&self) -> Option<u64> {
        self.as_ref().ok().copied()
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Err(CallError::Open))
    }
}

/// What `tokio::time::timeout` resolves to.
impl Answer for Result<Result<u64, String>, Elapsed> {
    fn value(&self) -> Option<u64> {
        self.as_ref().ok().and_then(Answer::value)
    }

    fn is_refusal(&self) -> bool {
        false
    }
}

/// Our two contestants for one tool and policy: a module with `by_attribute`, `by_hand`, and `typed`, which is the
/// former with an error type of its own instead of `String`.
#[macro_export]
macro_rules! ours {
    ($module:ident, $tool:path, $settings:expr) => {
        mod $module {
            use ::sandbox_runtime::{CircuitBreaker, Policy, Tool, execute_with_controls, sandboxed};
            use $crate::contestants::{COOLDOWN, CallError, Settings};

            #[allow(unused_imports, reason = "not every tool's path needs it")]
            use super::*;

            const SETTINGS: Settings = $settings;
            #[allow(clippy::cast_possible_truncation, reason = "a delay is at most some seconds")]
            const BASE_MS: u64 = SETTINGS.base.as_millis() as u64;
            const POLICY: Policy = Policy::new()
                .timeout(SETTINGS.timeout)
                .max_retries(SETTINGS.max_retries)
                .backoff_base(SETTINGS.base);
            static BREAKER: CircuitBreaker = CircuitBreaker::new(SETTINGS.threshold).cooldown(COOLDOWN);

            #[sandboxed(
                                                        timeout_ms = 30_000,
                                                        max_retries = SETTINGS.max_retries,
                                                        backoff_base_ms = BASE_MS,
                                                        breaker(threshold = SETTINGS.threshold, cooldown_ms = 3_600_000)
                                                    )]
            pub(crate) async fn by_attribute(argument: u64) -> Result<u64, String> {
                $tool(argument).await
            }

            #[sandboxed(
                                                        timeout_ms = 30_000,
                                                        max_retries = SETTINGS.max_retries,
                                                        backoff_base_ms = BASE_MS,
                                                        breaker(threshold = SETTINGS.threshold, cooldown_ms = 3_600_000)
                                                    )]
            #[allow(dead_code, reason = "only where errors matter")]
            pub(crate) async fn typed(argument: u64) -> Result<u64, CallError> {
                $tool(argument).await.map_err(CallError::Tool)
            }

            pub(crate) async fn by_hand(argument: u64) -> Result<u64, String> {
                execute_with_controls(&POLICY, &BREAKER, Tool::new("tool", || $tool(argument))).await
            }
        }
    };
}

/// `tokio::time::timeout` around the tool.
pub async fn within<A>(limit: Duration, attempt: A) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>>,
{
    match tokio::time::timeout(limit, attempt).await {
        Ok(result) => result.map_err(CallError::Tool),
        Err(_) => Err(CallError::Timeout),
    }
}

/// `tokio::time::timeout` alone.
pub fn timeout_alone<A>(tool: impl Fn(u64) -> A, settings: Settings) -> impl AsyncFn(u64) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>>,
{
    async move |argument| within(settings.timeout, tool(argument)).await
}

/// The minimal engine.
pub fn minimal<A>(
    tool: impl Fn(u64) -> A,
    settings: Settings,
    breaker: impl AsRef<Counter>,
) -> impl AsyncFn(u64) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>>,
{
    async move |argument| minimal::execute(&settings, breaker.as_ref(), || tool(argument)).await
}

fn delays(settings: Settings) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_factor(2.0)
        .with_min_delay(settings.base)
        .without_max_delay()
        .with_max_times(settings.max_retries as usize)
}

/// A breaker of recloser's: a share of 1 of the last `threshold` results.
#[must_use]
pub fn recloser_breaker(settings: Settings) -> AsyncRecloser {
    let (len, rate) = match settings.threshold {
        NEVER => (5, 2.0),
        threshold => (threshold as usize, 1.0),
    };
    let breaker = Recloser::custom()
        .closed_len(len)
        .error_rate_closed(rate)
        .open_wait(COOLDOWN);
    AsyncRecloser::from(breaker.build())
}

/// backon, tokio's timeout and recloser.
pub fn backon_recloser<A>(
    tool: impl Fn(u64) -> A,
    settings: Settings,
    breaker: AsyncRecloser,
) -> impl AsyncFn(u64) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>>,
{
    let delays = delays(settings);
    async move |argument| {
        let attempt = || async {
            let attempt = within(settings.timeout, async { tool(argument).await });
            breaker.call(attempt).await.map_err(|error| match error {
                recloser::Error::Inner(error) => error,
                recloser::Error::Rejected => CallError::Open,
            })
        };
        attempt.retry(delays).when(|error| *error != CallError::Open).await
    }
}

/// A breaker of failsafe's: so many failures in a row.
#[must_use]
pub fn failsafe_breaker(settings: Settings) -> impl failsafe::futures::CircuitBreaker + Clone + Send + 'static {
    let policy =
        failsafe::failure_policy::consecutive_failures(settings.threshold, failsafe::backoff::constant(COOLDOWN));
    failsafe::Config::new().failure_policy(policy).build()
}

/// backon, tokio's timeout and failsafe.
pub fn backon_failsafe<A>(
    tool: impl Fn(u64) -> A,
    settings: Settings,
    breaker: impl failsafe::futures::CircuitBreaker,
) -> impl AsyncFn(u64) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>>,
{
    let delays = delays(settings);
    async move |argument| {
        let attempt = || async {
            let attempt = within(settings.timeout, async { tool(argument).await });
            breaker.call(attempt).await.map_err(|error| match error {
                failsafe::Error::Inner(error) => error,
                failsafe::Error::Rejected => CallError::Open,
            })
        };
        attempt.retry(delays).when(|error| *error != CallError::Open).await
    }
}

/// seatbelt's retry, breaker and timeout. Its breaker knows no failures in a row: it opens when 99.9 % of the results
/// of 30 s have failed, from `threshold` results on. (It takes no share of 1.)
pub fn seatbelt<A>(
    tool: impl Fn(u64) -> A + Send + Sync + 'static,
    settings: Settings,
) -> impl AsyncFn(u64) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>> + Send + 'static,
{
    seatbelt_in(ResilienceContext::new(tick::Clock::new_tokio()), tool, settings)
}

/// The same in a context, which tells of calls if that has been switched on.
pub fn seatbelt_in<A>(
    context: ResilienceContext<u64, Result<u64, CallError>>,
    tool: impl Fn(u64) -> A + Send + Sync + 'static,
    settings: Settings,
) -> impl AsyncFn(u64) -> Result<u64, CallError>
where
    A: Future<Output = Result<u64, String>> + Send + 'static,
{
    let stack = (
        Retry::layer("retry", &context)
            .clone_input()
            .max_retry_attempts(settings.max_retries)
            .backoff(Backoff::Exponential)
            .base_delay(settings.base)
            .use_jitter(false)
            .recovery_with(|result: &Result<u64, CallError>, _| match result {
                Ok(_) | Err(CallError::Open) => RecoveryInfo::never(),
                Err(_) => RecoveryInfo::retry(),
            }),
        Breaker::layer("breaker", &context)
            .failure_threshold(0.999)
            .min_throughput(settings.threshold)
            .sampling_duration(Duration::from_secs(30))
            .break_duration(COOLDOWN)
            .recovery_with(|result: &Result<u64, CallError>, _| match result {
                Ok(_) => RecoveryInfo::never(),
                Err(_) => RecoveryInfo::retry(),
            })
            .rejected_input_error(|_, _| CallError::Open),
        Timeout::layer("timeout", &context)
            .timeout_error(|_| CallError::Timeout)
            .timeout(settings.timeout),
        Execute::new(move |argument| {
            let attempt = tool(argument);
            async move { attempt.await.map_err(CallError::Tool) }
        }),
    );
    let service = stack.into_service();
    async move |argument| service.execute(argument).await
}

type Limited = TimeLimiterError<String>;
type Broken = CircuitBreakerError<Limited>;

/// tower-resilience's retry, circuit breaker and time limiter, around `tool`.
pub fn tower_service<A>(
    tool: impl Fn(u64) -> A + Clone + Send + 'static,
    settings: Settings,
) -> impl Service<u64, Response = u64, Error = Broken, Future: Send> + Clone + Send + 'static
where
    A: Future<Output = Result<u64, String>> + Send + 'static,
{
    let retry = RetryLayer::<u64, u64, Broken>::builder()
        .max_attempts(settings.max_retries as usize + 1)
        .exponential_backoff(settings.base)
        .retry_on(|error| !error.is_circuit_open())
        .build();
    let breaker = CircuitBreakerLayer::builder()
        .consecutive_failures(settings.threshold as usize)
        .wait_duration_in_open(COOLDOWN)
        .permitted_calls_in_half_open(1)
        .build()
        .expect("the settings are in range");
    let limit = TimeLimiterLayer::builder()
        .timeout_duration(settings.timeout)
        .cancel_running_future(true)
        .build();
    ServiceBuilder::new()
        .layer(retry)
        .layer(breaker)
        .layer(limit)
        .service(tower::service_fn(tool))
}

fn told(error: Broken) -> CallError {
    match error {
        CircuitBreakerError::OpenCircuit => CallError::Open,
        CircuitBreakerError::Inner(TimeLimiterError::Timeout) => CallError::Timeout,
        CircuitBreakerError::Inner(TimeLimiterError::Inner(error)) => CallError::Tool(error),
    }
}

/// Calls one service of tower's again and again.
pub fn tower_one(
    mut service: impl Service<u64, Response = u64, Error = Broken>,
) -> impl AsyncFnMut(u64) -> Result<u64, CallError> {
    async move |argument| {
        let service = service.ready().await.map_err(told)?;
        service.call(argument).await.map_err(told)
    }
}

/// Clones a service of tower's for every call, as calls at a time need.
pub fn tower_cloned(
    service: impl Service<u64, Response = u64, Error = Broken> + Clone,
) -> impl AsyncFn(u64) -> Result<u64, CallError> {
    async move |argument| {
        let mut service = service.clone();
        let service = service.ready().await.map_err(told)?;
        service.call(argument).await.map_err(told)
    }
}
