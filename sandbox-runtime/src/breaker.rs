//! [`CircuitBreaker`]: stops calls to a dependency that is down, and finds out when it is back.

#[cfg(test)]
mod loom_tests;
mod machine;
#[cfg(test)]
mod model_tests;
mod packed;
mod refusal;
mod settings;
mod window;

use std::fmt;
use std::time::Duration;

use machine::Machine;
use packed::Kind;
use settings::{Settings, TripRule};

pub(crate) use machine::Admission;
pub use refusal::Refusal;

use crate::clock::{self, Tick};
use crate::failure::SandboxError;
use crate::verdict::Verdict;

/// A circuit breaker: opens after failures, refuses attempts for a cooldown, then lets probes decide.
///
/// - **Closed**: attempts pass. So many failures in a row as the threshold says open it, or so many among the last
///   results when it is [`windowed`](Self::windowed).
/// - **Open**: attempts are refused until the cooldown has passed.
/// - **Half-open**: as many attempts at a time as there are [`probes`](Self::probes) are let in. As many successes close
///   the breaker; one failure opens it again.
///
/// It has no lock and allocates nothing, and it can be a `static`: one breaker stands for one dependency, for all
/// threads and callers. While it is closed and the attempts succeed, it is only read.
///
/// Results count for the state they were admitted in: an attempt that began before the breaker opened says nothing about
/// it afterwards. A probe that never reports loses its place, when all are taken and have been kept for long enough: in the
/// engine's calls for the time limit of an attempt and one cooldown, by hand for one cooldown. So no hung probe keeps the
/// breaker from closing again. By hand, make the cooldown longer than a probe takes: a probe that outlasts it counts for
/// nothing.
///
/// Time is tokio's, in whole milliseconds: under a paused clock the breaker is deterministic.
///
/// ```
/// use sandbox_runtime::CircuitBreaker;
/// use std::time::Duration;
///
/// static WEATHER: CircuitBreaker = CircuitBreaker::new(5).cooldown(Duration::from_secs(10));
/// assert!(!WEATHER.is_open());
/// ```
pub struct CircuitBreaker {
    machine: Machine,
}

/// What a [`CircuitBreaker`] would do with an attempt now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Attempts pass.
    Closed,
    /// Attempts are refused.
    Open {
        /// How long the cooldown still lasts.
        retry_after: Duration,
    },
    /// The cooldown is over: attempts pass as probes while there is a place.
    HalfOpen,
    /// Attempts are refused until [`reset`](CircuitBreaker::reset); with a threshold of 0, always.
    ForcedOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BreakerState::Closed => f.write_str("closed"),
            BreakerState::Open { retry_after } => write!(f, "open for {} ms", retry_after.as_millis()),
            BreakerState::HalfOpen => f.write_str("half-open"),
            BreakerState::ForcedOpen => f.write_str("forced open"),
        }
    }
}

impl CircuitBreaker {
    /// The default length of a cooldown.
    const COOLDOWN: Tick = Tick::rounded_up(Duration::from_secs(30));

    /// The threshold of [`CircuitBreaker::default`]: 5.
    pub const DEFAULT_THRESHOLD: u32 = 5;

    /// A closed breaker that opens after `threshold` failures in a row, with a cooldown of 30 s and one probe.
    ///
    /// A `threshold` of 0 is reached from the start: such a breaker is always open, and a [`reset`](Self::reset) leaves
    /// it so.
    #[must_use]
    pub const fn new(threshold: u32) -> Self {
        Self::tripping(TripRule::Consecutive { failures: threshold })
    }

    /// A closed breaker that opens when at least `failure_rate` of the last `window` results are failures.
    ///
    /// It judges after every result, successes included, once the window is full, and opens at
    /// `failure_rate · window` failures, rounded up. Opening and closing empty the window; a probe's result is not part
    /// of the next one. (These are the rules of MicroProfile Fault Tolerance.) Unlike a breaker for failures in a row it
    /// writes to its window at every result.
    ///
    /// `window` is 1 to 64 and `failure_rate` is above 0 and at most 1; what lies outside is taken as the nearest value
    /// inside, and a rate that is not a number as 1.
    ///
    /// ```
    /// # use sandbox_runtime::CircuitBreaker;
    /// static SEARCH: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);
    /// assert_eq!(SEARCH.threshold(), 10);
    /// ```
    #[must_use]
    pub const fn windowed(window: u32, failure_rate: f64) -> Self {
        let size = match window {
            0 => 1,
            1..=64 => window,
            _ => 64,
        };
        // A little less than the product, for ones such as 0.55 · 20 come out above the whole number that is meant. Written
        // so that a rate that is not a number reaches the end.
        let enough = failure_rate * (size as f64) - 1e-9;
        let mut failures = 1;
        while failures < size && (enough > failures as f64 || enough.is_nan()) {
            failures += 1;
        }
        Self::tripping(TripRule::Windowed { size, failures })
    }

    /// A breaker that never opens by itself and counts nothing, for tools that are to have none.
    /// [`force_open`](Self::force_open) still switches them off.
    #[must_use]
    pub const fn disabled() -> Self {
        Self::tripping(TripRule::Disabled)
    }

    const fn tripping(trip_rule: TripRule) -> Self {
        CircuitBreaker {
            machine: Machine::new(Settings {
                trip_rule,
                cooldown: Self::COOLDOWN,
                cooldown_max: Tick::ZERO,
                probes: 1,
            }),
        }
    }

    /// Sets for how long the breaker stays open, in whole milliseconds rounded up. Default: 30 s.
    ///
    /// Cooldowns beyond some thirty years last for ever.
    #[must_use]
    pub const fn cooldown(self, cooldown: Duration) -> Self {
        let settings = Settings {
            cooldown: Tick::rounded_up(cooldown),
            ..self.machine.settings()
        };
        self.with(settings)
    }

    /// Lets the cooldown double at each failed probe, up to this length. Default: it does not grow.
    ///
    /// A breaker that closes starts again from [`cooldown`](Self::cooldown). A length below that means no growth.
    #[must_use]
    pub const fn cooldown_max(self, longest: Duration) -> Self {
        let settings = Settings {
            cooldown_max: Tick::rounded_up(longest),
            ..self.machine.settings()
        };
        self.with(settings)
    }

    /// Sets how many successes close a half-open breaker, and how many attempts it lets in at a time. Default: 1.
    ///
    /// 0 means 1; more than 65,535 means 65,535.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the larger numbers are handled first")]
    pub const fn probes(self, probes: u32) -> Self {
        let probes = match probes {
            0 => 1,
            1..=0xffff => probes as u16,
            _ => u16::MAX,
        };
        let settings = Settings {
            probes,
            ..self.machine.settings()
        };
        self.with(settings)
    }

    const fn with(self, settings: Settings) -> Self {
        CircuitBreaker {
            machine: self.machine.with(settings),
        }
    }

    /// Asks to make one attempt. The permit that is given takes its result.
    ///
    /// ```
    /// # use sandbox_runtime::{CircuitBreaker, SandboxError};
    /// # fn call() -> Result<(), std::io::Error> { Ok(()) }
    /// # fn attempt(breaker: &CircuitBreaker) -> Result<(), Box<dyn std::error::Error>> {
    /// let permit = breaker.admit()?;
    /// match call() {
    ///     Ok(()) => permit.success(),
    ///     Err(_) => permit.failure(),
    /// }
    /// # Ok(()) }
    /// # attempt(&CircuitBreaker::new(1)).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SandboxError::CircuitBreakerOpen`] when the breaker is open, or half-open with every place taken.
    #[inline]
    pub fn admit(&self) -> Result<Permit<'_>, SandboxError> {
        // Nobody knows how long an attempt by hand may take.
        match self.request(Duration::ZERO) {
            Ok(admission) => Ok(Permit {
                breaker: self,
                pending: Some(admission),
            }),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// [`admit`](Self::admit) for the engine, which keeps the admission itself, and whose attempts end within `limit`.
    #[inline]
    pub(crate) fn request(&self, limit: Duration) -> Result<Admission, Refusal> {
        self.machine.admit(limit, clock::now)
    }

    /// [`request`](Self::request) to a closed breaker; `None` when it is not closed, and has to be asked in full.
    #[inline]
    pub(crate) fn request_if_closed(&self) -> Option<Admission> {
        self.machine.admit_if_closed()
    }

    /// Takes the result of an admitted attempt.
    #[inline]
    pub(crate) fn resolve(&self, admission: Admission, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.machine.succeed(admission, clock::now),
            Verdict::Retry { .. } | Verdict::Fail => self.machine.fail(admission, clock::now),
            Verdict::Ignore => self.machine.release(admission),
        }
    }

    /// Why an attempt would be refused now.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.machine.refusal(clock::now)
    }

    /// The state that an attempt would meet now. An open breaker whose cooldown has passed is half-open.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.machine.view(clock::now) {
            (Kind::Closed, _) => BreakerState::Closed,
            (Kind::Open, retry_after) => BreakerState::Open { retry_after },
            (Kind::HalfOpen, _) => BreakerState::HalfOpen,
            (Kind::Forced, _) => BreakerState::ForcedOpen,
        }
    }

    /// Whether an attempt would be refused now. Changes nothing and takes no place; to make an attempt, use
    /// [`admit`](Self::admit).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.refusal().is_some()
    }

    /// Records a failure by hand and returns [`failure_count`](Self::failure_count).
    ///
    /// For callers that ask with [`is_open`](Self::is_open) instead of holding a permit. When the breaker is half-open,
    /// or its cooldown has passed, the failure opens it again; while it is open it is only counted.
    pub fn record_failure(&self) -> u32 {
        self.machine.record_failure(clock::now)
    }

    /// Records a success by hand: no failure is counted any more, and an open or half-open breaker closes.
    ///
    /// A success without a permit is taken at its word, also while the breaker is open: it may come from a health check.
    /// Only a breaker that was [forced open](Self::force_open) stays as it is.
    pub fn record_success(&self) {
        self.machine.record_success(clock::now);
    }

    /// The failures that are counted now. Closed: those in a row, or in the window. Open: the
    /// [`threshold`](Self::threshold), and those recorded by hand since it opened. Half-open: the threshold. Forced open:
    /// those recorded by hand since.
    #[must_use]
    pub fn failure_count(&self) -> u32 {
        self.machine.failure_count()
    }

    /// The number of failures that opens the breaker; `u32::MAX` for one that is [`disabled`](Self::disabled).
    #[must_use]
    pub const fn threshold(&self) -> u32 {
        self.machine.settings().trip_rule.failures()
    }

    /// Closes the breaker from any state and clears its counts. Attempts under way count for nothing afterwards. A breaker
    /// with a threshold of 0 stays open.
    pub fn reset(&self) {
        self.machine.force(self.machine.settings().initial());
    }

    /// Refuses every attempt until [`reset`](Self::reset): for maintenance, or to switch a tool off.
    pub fn force_open(&self) {
        self.machine.force(Kind::Forced);
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        CircuitBreaker::new(CircuitBreaker::DEFAULT_THRESHOLD)
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("state", &self.state())
            .field("failure_count", &self.failure_count())
            .field("threshold", &self.threshold())
            .finish_non_exhaustive()
    }
}

/// Leave to make one attempt, given by [`CircuitBreaker::admit`].
///
/// Takes the attempt's result once. A permit that is dropped counts for nothing and frees its place at once: the
/// caller went away, or the attempt said nothing about the dependency's health.
#[must_use = "a permit that is dropped counts for nothing"]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    pending: Option<Admission>,
}

impl Permit<'_> {
    /// The attempt succeeded.
    #[inline]
    pub fn success(self) {
        self.resolve(Verdict::Success);
    }

    /// The attempt failed.
    pub fn failure(self) {
        self.resolve(Verdict::Fail);
    }

    #[inline]
    fn resolve(mut self, verdict: Verdict) {
        if let Some(admission) = self.pending.take() {
            self.breaker.resolve(admission, verdict);
        }
    }

    /// Whether the breaker was half-open: this attempt decides whether it closes.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pending.is_some_and(Admission::is_probe)
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(admission) = self.pending.take() {
            self.breaker.resolve(admission, Verdict::Ignore);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}
