//! No number makes a call panic, overflow, spin or hang: every call ends as a naive computation predicts, to the
//! millisecond.

use std::future::Future;
use std::time::Duration;

use sandbox_runtime::{
    BreakerState, CircuitBreaker, Jitter, Policy, SandboxConfig, Tool, Verdict, execute_with_controls,
};

use crate::support::{NUMBERS_OF_SEED_0, Script, Step, timed};

const DURATIONS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_millis(u32::MAX as u64),
    Duration::from_millis(u64::MAX),
    Duration::MAX,
];
const COUNTS: [u32; 4] = [0, 1, u32::MAX - 1, u32::MAX];

/// The last attempt answers, so that no number of retries makes a call endless.
const STEPS: [Step; 4] = [Step::Fail, Step::AnswerAfter(5), Step::Fail, Step::Answer];

const YEAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The longest time that a timer is armed for; whatever is longer ends after it.
const LONGEST: Duration = Duration::from_secs(YEAR.as_secs() * 30);

/// Longer than the three longest delays of a call.
const PATIENCE: Duration = Duration::from_secs(YEAR.as_secs() * 100);

const NANOS_PER_MILLI: u128 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Answered,
    Failed,
    TimedOut,
    OutOfTime,
    Refused,
}

/// How a call ends, after how many attempts and milliseconds.
type Ended = (End, usize, u128);

/// Runs `case` on a paused clock of its own: the decades of all cases together are more than the engine's clock counts.
fn on_a_new_clock<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system")
        .block_on(case)
}

async fn end_of(policy: Policy, breaker: &CircuitBreaker, steps: &[Step]) -> Ended {
    let script = Script::new(steps);
    let call = execute_with_controls(policy, breaker, || script.run());
    let (result, elapsed) = timed(tokio::time::timeout(PATIENCE, call)).await;
    let result = result.unwrap_or_else(|_| panic!("{policy:?} with {breaker:?} hangs"));
    let end = match result {
        Ok(report) if report.success => End::Answered,
        Ok(_) => End::Failed,
        Err(error) if error.is_timeout() => End::TimedOut,
        Err(error) if error.is_deadline_exceeded() => End::OutOfTime,
        Err(error) if error.is_circuit_open() => End::Refused,
        Err(error) => panic!("{policy:?} with {breaker:?} ends with an error of another kind: {error}"),
    };
    (end, script.attempts(), elapsed)
}

/// The milliseconds after which a timer for `nanos` ends: on the first whole one that is not before its time.
fn rounded_up(nanos: u128) -> u128 {
    nanos.min(LONGEST.as_nanos()).div_ceil(NANOS_PER_MILLI)
}

/// The settings of a policy, readable.
#[derive(Debug, Clone, Copy)]
struct Settings {
    timeout: Duration,
    max_retries: u32,
    base: Duration,
    /// The longest delay, and the deadline.
    bound: Option<Duration>,
    jitter: Jitter,
}

impl Settings {
    fn policy(self) -> Policy {
        let policy = Policy::new()
            .timeout(self.timeout)
            .max_retries(self.max_retries)
            .backoff_base(self.base)
            .jitter(self.jitter)
            .jitter_seed(0);
        match self.bound {
            Some(bound) => policy.backoff_max(bound).deadline(bound),
            None => policy,
        }
    }

    /// How a call of [`STEPS`] with this policy ends.
    fn expected_end(self) -> Ended {
        let mut millis = 0;
        for (attempt, step) in (1..).zip(STEPS) {
            let failure = match step {
                Step::Fail => End::Failed,
                Step::AnswerAfter(needed) => {
                    let needed = u128::from(needed);
                    let limit = self.left(millis).min(self.timeout.as_nanos());
                    if needed <= rounded_up(limit) {
                        return (End::Answered, attempt, millis + needed);
                    }
                    millis += rounded_up(limit);
                    if self.left(millis) == 0 {
                        return (End::OutOfTime, attempt, millis);
                    }
                    End::TimedOut
                }
                Step::Answer => return (End::Answered, attempt, millis),
                _ => unreachable!("{step:?} is not among the steps"),
            };
            let delay = self.delay_after(attempt);
            if attempt > self.max_retries as usize || delay >= self.left(millis) {
                return (failure, attempt, millis);
            }
            millis += rounded_up(delay);
            if self.left(millis) == 0 {
                // The timer has woken at the end of the millisecond that the deadline lies in.
                return (failure, attempt, millis);
            }
        }
        unreachable!("the last step answers")
    }

    /// The nanoseconds until the deadline; without one there are always more than any setting asks for.
    fn left(self, millis: u128) -> u128 {
        let deadline = self.bound.map_or(u128::MAX, |bound| bound.as_nanos());
        deadline.saturating_sub(millis * NANOS_PER_MILLI)
    }

    /// The nanoseconds between the attempt of this number and the next.
    fn delay_after(self, attempt: usize) -> u128 {
        let longest = self.bound.unwrap_or(Duration::MAX).as_nanos();
        let delay = (self.base.as_nanos() << (attempt - 1)).min(longest);
        let number = u128::from(NUMBERS_OF_SEED_0[attempt - 1]);
        match self.jitter {
            Jitter::Full => number % (delay + 1),
            Jitter::Equal => delay / 2 + number % (delay - delay / 2 + 1),
            _ => delay,
        }
    }
}

#[test]
fn in_the_policy() {
    for timeout in DURATIONS {
        for base in DURATIONS {
            for bound in DURATIONS.map(Some).into_iter().chain([None]) {
                for max_retries in COUNTS {
                    for jitter in [Jitter::None, Jitter::Full, Jitter::Equal] {
                        let settings = Settings {
                            timeout,
                            max_retries,
                            base,
                            bound,
                            jitter,
                        };
                        let breaker = CircuitBreaker::new(u32::MAX);
                        let end = on_a_new_clock(end_of(settings.policy(), &breaker, &STEPS));
                        assert_eq!(end, settings.expected_end(), "a call with {settings:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn in_the_rules_of_the_policy() {
    for timeout in DURATIONS {
        for base in DURATIONS {
            for bound in DURATIONS {
                let policy = Policy::new().timeout(timeout).backoff_base(base);
                let is_deadline_long_enough = bound > timeout || timeout == Duration::MAX && bound > Duration::ZERO;
                let valid = timeout > Duration::ZERO && base <= bound && is_deadline_long_enough;
                let checked = policy.backoff_max(bound).deadline(bound).validate();
                assert_eq!(checked.is_ok(), valid, "{timeout:?}, {base:?}, {bound:?}: {checked:?}");
            }
        }
    }
}

#[test]
fn in_the_config() {
    for timeout_ms in [0, 1, u64::MAX] {
        for max_retries in COUNTS {
            for backoff_base_ms in [0, 1, u64::MAX] {
                let config = SandboxConfig {
                    timeout_ms,
                    max_retries,
                    backoff_base_ms,
                };
                let settings = Settings {
                    timeout: Duration::from_millis(timeout_ms),
                    max_retries,
                    base: Duration::from_millis(backoff_base_ms),
                    bound: None,
                    jitter: Jitter::None,
                };
                let end = on_a_new_clock(end_of(Policy::from(config), &CircuitBreaker::new(5), &STEPS));
                assert_eq!(end, settings.expected_end(), "a call with {config:?}");
            }
        }
    }
}

#[test]
fn in_the_number_of_attempts() {
    // More than the backoff can double in any of its integers.
    const RETRIES: usize = 1_000;
    let steps: Vec<_> = std::iter::repeat_n(Step::Fail, RETRIES).chain([Step::Answer]).collect();
    for (base, millis) in [(Duration::ZERO, 0), (Duration::from_nanos(1), 1), (Duration::MAX, 1)] {
        let policy = Policy::new()
            .max_retries(u32::MAX)
            .backoff_base(base)
            .backoff_max(Duration::from_millis(1));
        let end = on_a_new_clock(end_of(policy, &CircuitBreaker::new(u32::MAX), &steps));
        let expected = (End::Answered, RETRIES + 1, RETRIES as u128 * millis);
        assert_eq!(end, expected, "{RETRIES} retries with a base of {base:?}");
    }
}

/// What is waited for without a longest delay.
const LONGEST_HINT: Duration = Duration::from_secs(60);

#[test]
fn in_a_hint() {
    for after in DURATIONS {
        let breaker = CircuitBreaker::new(5);
        let mut attempts = 0;
        let tool = Tool::new("hinted", || {
            attempts += 1;
            let attempt = attempts;
            async move { if attempt == 1 { Err(String::new()) } else { Ok(attempt) } }
        })
        .classify(|result| match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Retry { after: Some(after) },
        });
        let call = execute_with_controls(Policy::new(), &breaker, tool);
        let (result, elapsed) = on_a_new_clock(timed(async { tokio::time::timeout(PATIENCE, call).await }));
        let expected = match after <= LONGEST_HINT {
            true => (Ok(Ok(2)), rounded_up(after.as_nanos())),
            false => (Ok(Err(String::new())), 0),
        };
        assert_eq!((result, elapsed), expected, "a hint of {after:?}");
    }
}

const ONCE: Policy = Policy::new().max_retries(0);

#[test]
fn in_the_breaker() {
    for threshold in COUNTS {
        for cooldown in DURATIONS {
            for longest in DURATIONS {
                for probes in COUNTS {
                    let breaker = CircuitBreaker::new(threshold)
                        .cooldown(cooldown)
                        .cooldown_max(longest)
                        .probes(probes);
                    let case = format!("threshold {threshold}, cooldown {cooldown:?} to {longest:?}, {probes} probes");
                    assert_eq!(breaker.threshold(), threshold, "{case}");
                    on_a_new_clock(async {
                        match threshold {
                            0 => refuses_every_call(&breaker, &case).await,
                            1 => opens_for_longer_each_time(&breaker, [cooldown, longest], probes, &case).await,
                            _ => stays_closed(&breaker, &case).await,
                        }
                    });
                }
            }
        }
    }
}

async fn refuses_every_call(breaker: &CircuitBreaker, case: &str) {
    let end = end_of(ONCE, breaker, &[Step::Answer]).await;
    assert_eq!(end, (End::Refused, 0, 0), "a threshold of 0 lets a call pass: {case}");
    assert_eq!(breaker.state(), BreakerState::ForcedOpen, "{case}");
}

async fn stays_closed(breaker: &CircuitBreaker, case: &str) {
    for failures in 1..=3 {
        let end = end_of(ONCE, breaker, &[Step::Fail]).await;
        assert_eq!(end, (End::Failed, 1, 0), "call {failures} of a closed breaker: {case}");
        assert_eq!(
            breaker.failure_count(),
            failures,
            "not every failure is counted: {case}"
        );
    }
    assert_eq!(
        breaker.state(),
        BreakerState::Closed,
        "opened below its threshold: {case}"
    );
}

/// Every probe but the last fails, which doubles the cooldown up to its maximum.
async fn opens_for_longer_each_time(
    breaker: &CircuitBreaker,
    [cooldown, longest]: [Duration; 2],
    probes: u32,
    case: &str,
) {
    let [cooldown, longest] =
        [cooldown, longest.max(cooldown)].map(|length| length.as_nanos().div_ceil(NANOS_PER_MILLI));
    for failed_probes in 0..3 {
        let case = format!("{failed_probes} failed probes, {case}");
        let end = end_of(ONCE, breaker, &[Step::Fail]).await;
        assert_eq!(
            end,
            (End::Failed, 1, 0),
            "an attempt is refused after its cooldown: {case}"
        );
        let length = (cooldown << failed_probes).min(longest);
        let Some(length) = finite(length) else {
            assert!(
                matches!(breaker.state(), BreakerState::Open { retry_after } if retry_after > LONGEST),
                "a cooldown beyond the clock ends: {:?}, {case}",
                breaker.state()
            );
            return;
        };
        if length.is_zero() {
            assert_eq!(breaker.state(), BreakerState::HalfOpen, "no cooldown: {case}");
            continue;
        }
        assert_eq!(breaker.state(), BreakerState::Open { retry_after: length }, "{case}");
        let end = end_of(ONCE, breaker, &[Step::Answer]).await;
        assert_eq!(end, (End::Refused, 0, 0), "an attempt passes in the cooldown: {case}");
        tokio::time::advance(length).await;
    }
    let end = end_of(ONCE, breaker, &[Step::Answer]).await;
    assert_eq!(end, (End::Answered, 1, 0), "the last probe: {case}");
    let expected = if probes <= 1 {
        BreakerState::Closed
    } else {
        BreakerState::HalfOpen
    };
    assert_eq!(breaker.state(), expected, "after one successful probe: {case}");
}

/// A length in milliseconds that the clock can count.
fn finite(millis: u128) -> Option<Duration> {
    let length = Duration::from_millis(u64::try_from(millis).ok()?);
    (length < LONGEST).then_some(length)
}

#[test]
fn in_a_window() {
    for window in [0, 1, 64, 65, u32::MAX] {
        for rate in [
            f64::NEG_INFINITY,
            -1.0,
            0.0,
            1e-300,
            0.5,
            1.0,
            2.0,
            f64::INFINITY,
            f64::NAN,
        ] {
            let size = f64::from(window.clamp(1, 64));
            let failures = if rate.is_nan() {
                size
            } else {
                (rate * size).ceil().clamp(1.0, size)
            };
            let threshold = CircuitBreaker::windowed(window, rate).threshold();
            assert_eq!(
                f64::from(threshold),
                failures,
                "the threshold of windowed({window}, {rate})"
            );
        }
    }
}
