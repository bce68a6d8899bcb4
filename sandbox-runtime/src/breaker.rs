//! [`CircuitBreaker`]: stops calls to a dependency that is down, and finds out when it is back.

#[cfg(feature = "keyed")]
mod keyed;
#[cfg(test)]
mod loom_tests;
mod machine;
#[cfg(test)]
mod model_tests;
mod origin;
mod packed;
mod permit;
mod probe_scope;
mod renewal;
mod row;
mod settings;
mod state;
mod transition;
mod window;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use machine::Machine;
use packed::State;

#[cfg(feature = "keyed")]
pub use keyed::{KeyOf, KeyedBreakers};
pub use permit::Permit;
pub use settings::Counting;
pub use state::BreakerState;
pub(crate) use transition::Fault;
pub use transition::{BreakerCause, BreakerPhase};

pub(crate) use transition::Transition;

pub(crate) use machine::Admission;
pub(crate) use origin::LastOrigin;
pub(crate) use probe_scope::ProbeScope;

use crate::clock;
use crate::failure::{Refusal, SandboxError};
use crate::limits::Limits;
use crate::{gate, observe};

/// A circuit breaker: opens after failures, refuses attempts for a cooldown, then lets probes decide.
///
/// - **Closed**: attempts pass. The breaker opens when the failures in a row reach the [`threshold`](Self::threshold), or,
///   if it is [`windowed`](Self::windowed), the failures among the latest results. Failures that lie too far apart are no
///   row if it [forgets](Self::forget_after).
/// - **Open**: attempts are refused until the cooldown is over.
/// - **Half-open**: attempts pass as probes, at most [`probes`](Self::probes) at a time; each takes a probe slot. That
///   many successes close the breaker; one failure opens it again. A probe that is dropped while every slot is taken
///   doubles the slots, so that callers that give up together, such as a `try_join_all` at the first refusal, do not
///   keep the breaker half-open: a batch of n is let in whole after about log₂ n batches. What the tool of a probe calls
///   with the same breaker, itself included, shares its slot: the outer result decides, and the inner ones do not count.
///
/// With [`slow_call`](Self::slow_call), a success that took too long is a failure, in each of them.
///
/// The breaker has no lock, and it can be a `static`: one breaker stands for one dependency, for all threads and callers.
/// It allocates nothing, except that a thread does once, when it first runs a probe. While it is closed and the attempts
/// succeed, it is only read.
///
/// A result counts only for the state in which its attempt was admitted: one that began before the breaker opened does not
/// matter afterwards. A probe that never reports does not keep the breaker from closing: once every probe slot is taken
/// and none has been taken for long enough, all of them are given away. Long enough is the time limit of an attempt plus
/// one cooldown in the engine's calls, and one cooldown for permits taken by hand. For those, make the cooldown longer
/// than a probe takes: a probe that outlasts it counts for nothing.
///
/// Time is tokio's: under a paused clock the breaker is deterministic. It is open for exactly as long as asked, and reports
/// what is left in whole milliseconds, rounded up. Under a clock that is behind the one by which it opened, such as another
/// test's, the cooldown begins again: nobody waits longer than that.
///
/// ```
/// use sandbox_runtime::CircuitBreaker;
/// use std::time::Duration;
///
/// static WEATHER: CircuitBreaker = CircuitBreaker::new(5).cooldown(Duration::from_secs(10));
/// assert!(!WEATHER.is_open());
/// ```
// In this order: the words of the machine are those that calls read and write.
#[repr(C)]
pub struct CircuitBreaker {
    machine: Machine,
    /// Of the calls that it admits: made when they are first needed.
    limits: OnceLock<Arc<Limits>>,
}

impl CircuitBreaker {
    /// The limits of the calls that it admits.
    pub(crate) fn limits(&self) -> &Arc<Limits> {
        self.limits.get_or_init(|| Arc::new(Limits::new()))
    }

    /// Has the calls that wait for their turn look whether they still have to.
    #[cold]
    pub(crate) fn wake_those_who_wait(&self) {
        if let Some(limits) = self.limits.get() {
            limits.wake();
        }
    }

    /// Lets so many calls be made at a time, if any have been limited: those that wait have the places that this adds.
    pub(crate) fn resize(&self, max_concurrent: u32) {
        if let Some(limits) = self.limits.get() {
            limits.resize(max_concurrent);
        }
    }

    /// Admits no attempt for so long, because the dependency has asked for that.
    #[cold]
    pub(crate) fn hold(&self, lasts: Duration) {
        self.limits().hold(lasts);
    }

    /// How much longer the dependency is to be left alone, because it has asked for that.
    pub(crate) fn held_for(&self) -> Option<Duration> {
        self.limits.get()?.held_for()
    }

    /// Tells whether that may be so: it may be over.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.limits.get().is_some_and(|limits| limits.is_held())
    }

    /// Admits one attempt. The returned permit takes its result.
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
    /// [`SandboxError::CircuitBreakerOpen`] when the breaker is open, or half-open with every probe slot taken.
    #[inline]
    pub fn admit(&self) -> Result<Permit<'_>, SandboxError> {
        // The time limit of an attempt by hand is unknown.
        match self.request(Duration::ZERO) {
            Ok(admission) => Ok(Permit::new(self, admission)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Does what [`admit`](Self::admit) does, for the engine, which stores the admission itself and whose attempts end
    /// within `limit`.
    #[inline]
    pub(crate) fn request(&self, limit: Duration) -> Result<Admission, Refusal> {
        let is_within_probe = |generation| ProbeScope::has(self.address(), generation);
        let answer = self.machine.admit(limit, clock::now, is_within_probe, |transition| {
            self.on_transition(Some(transition), None);
        });
        #[cfg(feature = "fleet")]
        let answer = answer.map_err(|refusal| Refusal {
            consecutive_failures: self.note_refused(refusal.consecutive_failures, limit),
            ..refusal
        });
        answer
    }

    /// Admits an attempt whatever the state. Its result does not count.
    #[cold]
    pub(crate) fn admit_in_shadow(&self) -> Admission {
        self.machine.admit_in_shadow()
    }

    /// Encloses a poll of the tool of an attempt that is a probe: what the tool calls shares its slot.
    #[inline]
    pub(crate) fn probe_scope(&self, probe: Admission) -> ProbeScope {
        ProbeScope::enter(self.address(), probe.generation())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Admits an attempt if the breaker is closed; `None` if it is not, and [`request`](Self::request) has to decide.
    #[inline]
    pub(crate) fn request_if_closed(&self) -> Option<Admission> {
        self.machine.admit_if_closed()
    }

    /// Takes the success of an admitted attempt.
    #[inline]
    pub(crate) fn succeed(&self, admission: Admission) {
        self.on_transition(self.machine.succeed(admission, clock::now), None);
    }

    /// Returns whether it matters how long an attempt took that succeeds.
    #[inline]
    pub(crate) fn has_slow_calls(&self) -> bool {
        self.machine.settings().has_slow_calls()
    }

    /// Returns the longest that a success may take that counts as one, if there is such a length.
    pub(crate) fn longest_success(&self) -> Option<Duration> {
        let settings = self.machine.settings();
        let longest = || Duration::from_millis(settings.slow_call.number().into());
        settings.has_slow_calls().then(longest)
    }

    /// Takes the success of an admitted attempt that took so long, which is for a breaker that [has slow calls](Self::has_slow_calls).
    #[cold]
    pub(crate) fn succeed_after(&self, admission: Admission, took: Duration) {
        if self.machine.settings().is_slow(took) {
            self.fail(admission, Fault::SlowCall);
        } else {
            self.succeed(admission);
        }
    }

    /// The same for one that was admitted by [`request_if_closed`](Self::request_if_closed).
    #[inline]
    pub(crate) fn succeed_if_closed(&self, admission: Admission) {
        self.on_transition(self.machine.succeed_if_closed(admission, clock::now), None);
    }

    /// Takes the failure of an admitted attempt, of this kind.
    // The machine's part is inlined here, so that a failure without a transition pays nothing for returning none.
    #[cold]
    pub(crate) fn fail(&self, admission: Admission, fault: Fault) {
        self.on_transition(self.machine.fail(admission, clock::now), Some(fault));
    }

    /// Takes back the admission of an attempt that says nothing about the dependency: no result is counted, and the slot of
    /// a probe is free.
    // Out of line: few attempts come to nothing, and the others keep their registers.
    #[inline(never)]
    pub(crate) fn release(&self, admission: Admission) {
        self.machine.release(admission);
    }

    /// Receives every transition once, from the caller that made it.
    #[inline]
    fn on_transition(&self, transition: Option<Transition>, fault: Option<Fault>) {
        if let Some(transition) = transition {
            self.report(transition, fault);
        }
    }

    #[cold]
    fn report(&self, transition: Transition, fault: Option<Fault>) {
        self.wake_those_who_wait();
        #[cfg(feature = "fleet")]
        if let (Some(limits), Some(by_others)) = (self.limits.get(), transition.is_by_others()) {
            limits.be_opened_by_others(by_others);
        }
        #[cfg(any(feature = "rmcp", feature = "fleet"))]
        crate::changes::changed();
        if gate::is_open() {
            observe::breaker_changed(self, transition, fault);
        }
    }

    /// Returns whether every failed attempt is counted.
    #[inline]
    pub(crate) fn counts_attempts(&self) -> bool {
        self.machine.settings().counting == Counting::Attempts
    }

    /// Returns what it would refuse attempts with, had it just opened.
    #[cfg(feature = "faults")]
    pub(crate) fn refusal_when_open(&self) -> Refusal {
        let threshold = self.threshold();
        match threshold {
            // Such a one opens by hand alone.
            0 | u32::MAX => Refusal::new(self.failure_count(), threshold, None),
            _ => Refusal::new(
                threshold,
                threshold,
                Some(self.machine.settings().cooldown_at(0).bits()),
            ),
        }
    }

    /// Returns why an attempt would be refused now.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let is_within_probe = |generation| ProbeScope::has(self.address(), generation);
        self.machine.refusal(clock::now, is_within_probe)
    }

    /// Returns the state that an attempt would meet now. An open breaker whose cooldown is over is half-open.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.machine.state_at(clock::now) {
            (State::Closed, _) => BreakerState::Closed,
            (State::Open, retry_after) => BreakerState::Open { retry_after },
            (State::HalfOpen, _) => BreakerState::HalfOpen,
            (State::ForcedOpen, _) => BreakerState::ForcedOpen,
        }
    }

    /// Returns whether an attempt would be refused now. Changes nothing and takes no probe slot; to make an attempt, use
    /// [`admit`](Self::admit).
    #[must_use]
    pub fn is_open(&self) -> bool {
        let is_open = self.refusal().is_some();
        #[cfg(feature = "fleet")]
        if is_open {
            self.note_refusal();
        }
        is_open
    }

    /// Records a failure by hand and returns [`failure_count`](Self::failure_count).
    ///
    /// For callers that check [`is_open`](Self::is_open) instead of holding a permit. If the breaker is half-open, or its
    /// cooldown is over, the failure opens it again; while the breaker is open, the failure is only counted.
    pub fn record_failure(&self) -> u32 {
        self.on_transition(self.machine.record_failure(clock::now), None);
        self.failure_count()
    }

    /// Records a success by hand: a row of failures ends, a window takes the success in, and an open or half-open breaker
    /// closes.
    ///
    /// A success without a permit is trusted even while the breaker is open: it may come from a health check. Only a
    /// breaker that was [forced open](Self::force_open) does not change.
    pub fn record_success(&self) {
        self.on_transition(self.machine.record_success(clock::now), None);
    }

    /// Returns the failures counted now. Closed: those in a row, none once they are [forgotten](Self::forget_after), or those
    /// in the window. Open: the
    /// [`threshold`](Self::threshold) plus those recorded by hand since the breaker opened. Half-open: the threshold.
    /// Forced open: those recorded by hand since then.
    #[must_use]
    pub fn failure_count(&self) -> u32 {
        self.machine.failure_count(clock::now)
    }

    /// Returns the number of failures that opens the breaker; `u32::MAX` if it is [`disabled`](Self::disabled).
    #[must_use]
    pub const fn threshold(&self) -> u32 {
        self.machine.settings().threshold
    }

    /// Closes the breaker from any state and clears its counts. The results of attempts under way no longer count. A
    /// breaker with a threshold of 0 stays open. A dependency that has asked to be left alone is called again.
    pub fn reset(&self) {
        if let Some(limits) = self.limits.get() {
            limits.let_go();
        }
        self.on_transition(self.machine.reset(clock::now), None);
    }

    /// Opens, or sets for how much longer it is open, because the replicas of the service agreed on that.
    #[cfg(feature = "fleet")]
    pub(crate) fn open_for(&self, lasts: Duration) {
        // Where it is noted that this was not found out here.
        self.limits();
        let state = || self.machine.state_at(clock::now).0;
        let before = state();
        self.on_transition(self.machine.open_for(lasts, clock::now), None);
        // Also without a transition: its cooldown may have ended, or begun again. Whoever offers its tool has to look.
        if state() != before {
            crate::changes::changed();
        }
    }

    /// Closes for the same reason.
    #[cfg(feature = "fleet")]
    pub(crate) fn close(&self) {
        self.on_transition(self.machine.close(clock::now), None);
    }

    /// The length of a cooldown before any probe has failed.
    #[cfg(feature = "fleet")]
    pub(crate) fn first_cooldown(&self) -> Duration {
        Duration::from_millis(self.machine.settings().cooldown_at(0).bits())
    }

    /// Notes that somebody is refused, or would be and has asked first, if it is [asked](Self::is_wanted) about that.
    #[cfg(feature = "fleet")]
    #[cold]
    pub(crate) fn note_refusal(&self) {
        if let Some(limits) = self.limits.get() {
            // The time limit of who asks first is unknown.
            limits.note_refusal(Duration::ZERO);
        }
    }

    /// Does the same for who is refused, and returns how many of the failures that the machine has counted were found here.
    #[cfg(feature = "fleet")]
    #[cold]
    fn note_refused(&self, failures: u32, limit: Duration) -> u32 {
        match self.limits.get() {
            None => failures,
            Some(limits) => {
                limits.note_refusal(limit);
                match limits.is_opened_by_others() {
                    true => failures.saturating_sub(self.threshold()),
                    false => failures,
                }
            }
        }
    }

    /// Tells whether somebody was refused since it was last asked.
    #[cfg(feature = "fleet")]
    pub(crate) fn is_wanted(&self) -> bool {
        self.limits().take_refusals()
    }

    /// The longest that an attempt of those may take who were refused: of permits by hand, whose time limit is unknown, a cooldown.
    #[cfg(feature = "fleet")]
    pub(crate) fn longest_attempt(&self) -> Duration {
        match self.limits().longest_refused() {
            Duration::ZERO => self.first_cooldown(),
            longest => longest,
        }
    }

    /// Refuses every attempt until [`reset`](Self::reset): for maintenance, or to switch a tool off.
    pub fn force_open(&self) {
        self.on_transition(self.machine.force_open(clock::now), None);
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
