//! The time that a call has: the limit of an attempt, what is left until the deadline, and the end of the run.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::rare::Wait;
use super::{CallState, Controls};
use crate::clock::{Moment, before, saturating_add};
use crate::limits::CallLimits;
use crate::policy::Policy;

impl<S: Controls> CallState<S> {
    /// Notes that the call begins now, if its policy has a deadline. Comes before anything that asks for
    /// [`time_left`](Self::time_left); what surrounds the call does the same when it is found.
    #[inline]
    pub(super) fn start_clock(self: Pin<&mut Self>) {
        if self.setting(|policy| policy.deadline.is_some()) {
            self.note_start();
        }
    }

    /// The same for a call that begins by this policy, and of which nothing else is known.
    #[inline(always)]
    pub(super) fn start_clock_by(self: Pin<&mut Self>, policy: &Policy) {
        if policy.deadline.is_some() {
            self.note_start_now();
        }
    }

    #[cold]
    pub(super) fn note_start(self: Pin<&mut Self>) {
        if self.started.is_none() && (self.setting(|policy| policy.deadline.is_some()) || self.run_ends().is_some()) {
            self.note_start_now();
        }
    }

    #[cold]
    fn note_start_now(self: Pin<&mut Self>) {
        self.project().started.get_or_insert(Moment::of(Instant::now()));
    }

    /// When an attempt that begins to wait now will have run into its limit or the call's deadline.
    pub(super) fn attempt_limit(self: Pin<&mut Self>) -> Instant {
        let now = Instant::now();
        let (timeout, deadline) = self.setting(|policy| (policy.timeout, policy.deadline));
        let limit = saturating_add(now, timeout);
        let ends = match deadline {
            Some(deadline) => limit.min(saturating_add(now, deadline.saturating_sub(self.elapsed()))),
            None => limit,
        };
        if self.rare.is_none() && !self.controls.breaker().has_slow_calls() {
            return ends;
        }
        self.note_wait(Wait { began: now, ends })
    }

    /// Notes the wait of an attempt, and returns when it ends by what surrounds the call as well.
    #[cold]
    fn note_wait(mut self: Pin<&mut Self>, wait: Wait) -> Instant {
        self.as_mut().project().rare.get_or_insert_default().wait = Some(wait);
        self.end_of(wait)
    }

    /// When an attempt ends whose limit has passed, if what surrounds the call has moved its end since.
    #[cold]
    pub(super) fn later_limit(&self) -> Option<Instant> {
        let later = self.end_of(self.rare.as_ref()?.wait?);
        (later > Instant::now()).then_some(later)
    }

    fn end_of(&self, wait: Wait) -> Instant {
        self.run_ends().map_or(wait.ends, |ends| wait.ends.min(ends))
    }

    /// Notes when the call first had to wait, as the `limit` of the attempt that waited shows it. A call that nobody asks how
    /// long it took does not keep that: to do so at every first wait took 90 instructions. With a deadline the limit may be
    /// shorter than the policy's; but then the call has noted when it began.
    pub(super) fn note_first_wait(self: Pin<&mut Self>, limit: Instant) {
        if self.started.is_none()
            && let Some(waited) = before(limit, self.setting(|policy| policy.timeout))
        {
            *self.project().started = Some(Moment::of(waited));
        }
    }

    /// What is left until the deadline; `None` without one.
    #[inline]
    pub(super) fn time_left(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_sub(self.elapsed()))
    }

    /// The longest that the call may take, by its own policy and by what surrounds it.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.is_concerned() {
            true => self.deadline_around(),
            false => self.controls.policy().deadline,
        }
    }

    #[cold]
    fn deadline_around(&self) -> Option<Duration> {
        let own = self.setting(|policy| policy.deadline);
        let of_run = self.run_ends().and_then(|ends| Some(self.started?.until(ends)));
        own.into_iter().chain(of_run).min()
    }

    /// Tells whether everything around the call is over.
    pub(super) fn is_run_over(&self) -> bool {
        self.run_ends().is_some_and(|ends| ends <= Instant::now())
    }

    /// Tells whether the attempt was cut before its own time limit, after it was held back: then others took the time.
    #[cold]
    pub(super) fn is_cut_after_queue(&self) -> bool {
        let has_waited = self.limits().is_some_and(CallLimits::has_waited);
        let wait = self.rare.as_ref().and_then(|rare| rare.wait);
        let limit = self.setting(|policy| policy.timeout);
        has_waited && wait.is_some_and(|wait| wait.began.elapsed() < limit)
    }

    #[inline]
    fn run_ends(&self) -> Option<Instant> {
        self.surroundings()?.ends()
    }

    #[inline]
    pub(super) fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, Moment::elapsed)
    }
}
