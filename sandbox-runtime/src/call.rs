//! [`Call`]: what one sandboxed call knows of itself, and the decisions it takes between attempts. No waiting here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::breaker::{Admission, CircuitBreaker, Refusal};
use crate::clock::{Moment, after};
use crate::error::millis;
use crate::failure::{Failure, FailureKind};
use crate::outcome::{End, Handler};
use crate::policy::Policy;
use crate::tool::{Tool, ToolName};
use crate::verdict::Verdict;
use crate::{budget, report, scope};

pin_project! {
    #[derive(Debug)]
    pub struct Call<'b, C, H, K, N> {
        config: C,
        breaker: &'b CircuitBreaker,
        name: N,
        handler: H,
        #[pin]
        cancel: K,
        // Leave for the attempt under way, or for the one that is about to begin.
        admission: Option<Admission>,
        // Attempts begun.
        attempts: u32,
        // When the call began, if it has a deadline; otherwise when it first had to wait. A call without a deadline whose
        // tool is ready at once reads no clock.
        started: Option<Moment>,
    }

    impl<C, H, K, N> PinnedDrop for Call<'_, C, H, K, N> {
        fn drop(this: Pin<&mut Self>) {
            // Not by `resolve`, which takes the admission out: there is no need to write here.
            if let Some(admission) = this.admission {
                this.breaker.resolve(admission, Verdict::Ignore);
            }
        }
    }
}

/// What an attempt leaves behind when another may follow.
#[derive(Debug)]
pub(crate) enum Last<R> {
    Answered(R),
    TimedOut,
}

/// What becomes of a call after a failed attempt.
#[derive(Debug)]
pub(crate) enum Next {
    Retry {
        delay: Duration,
    },
    Stop {
        refusal: Option<Refusal>,
    },
    /// The deadline has cut the attempt.
    OutOfTime,
}

impl<C, H, K, N> Call<'_, C, H, K, N> {
    /// Whether there is leave for the attempt that is about to begin.
    pub(crate) fn is_admitted(&self) -> bool {
        self.admission.is_some()
    }

    /// Tells the breaker what the attempt under way came to.
    #[inline]
    pub(crate) fn resolve(self: Pin<&mut Self>, verdict: Verdict) {
        let this = self.project();
        if let Some(admission) = this.admission.take() {
            this.breaker.resolve(admission, verdict);
        }
    }
}

impl<'b, C, H, K, N> Call<'b, C, H, K, N>
where
    C: Into<Policy> + Copy,
    N: ToolName,
{
    /// A call that has not begun; `tool`'s function is left to whoever makes the attempts.
    #[inline]
    pub(crate) fn new<F>(config: C, breaker: &'b CircuitBreaker, tool: Tool<F, H, K, N>) -> (Self, F) {
        let call = Call {
            config,
            breaker,
            name: tool.name,
            handler: tool.handler,
            cancel: tool.cancel,
            admission: None,
            attempts: 0,
            started: None,
        };
        (call, tool.function)
    }

    /// One attempt, from the question to the breaker to the moment when the next may begin. `start` makes its
    /// future; it is told whether another attempt may follow.
    #[inline]
    pub fn attempt<S, T>(self: Pin<&mut Self>, start: S) -> Attempt<'_, 'b, C, H, K, N, S, T>
    where
        S: FnOnce(bool) -> T,
        T: Future,
    {
        Attempt::new(self, start)
    }

    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    /// Resolves when the call has been cancelled.
    #[inline]
    pub(crate) fn poll_cancelled(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>
    where
        K: Future<Output = ()>,
    {
        self.project().cancel.poll(cx)
    }

    /// Asks a closed breaker for the first attempt of a call that nothing surrounds, and leaves it to the caller that it is
    /// [begun](Self::begin).
    #[inline]
    pub(crate) fn admit_if_closed(self: Pin<&mut Self>) -> Option<Admission> {
        if scope::entered() {
            return None;
        }
        let admission = self.breaker.request_if_closed()?;
        self.set_out();
        Some(admission)
    }

    /// Asks the breaker for the first attempt. Further ones have been asked for when their delay was over.
    pub(crate) fn admit<R>(mut self: Pin<&mut Self>) -> Result<(), H::Returned>
    where
        H: Handler<R>,
    {
        self.as_mut().set_out();
        if scope::entered() && self.as_mut().is_out_of_budget() {
            return Err(self.fail(FailureKind::Deadline, None));
        }
        match self.breaker.request(self.policy().timeout) {
            Ok(admission) => {
                self.begin(admission);
                Ok(())
            }
            Err(refusal) => Err(self.refuse(refusal)),
        }
    }

    #[inline]
    fn set_out(self: Pin<&mut Self>) {
        if self.policy().deadline.is_some() {
            *self.project().started = Some(Moment::of(Instant::now()));
        }
    }

    /// Looks up when the run ends that the call is a part of, and whether it has.
    #[cold]
    fn is_out_of_budget(self: Pin<&mut Self>) -> bool {
        let Some(ends) = budget::ends() else {
            return false;
        };
        let now = Instant::now();
        *self.project().started = Some(Moment::of(now));
        ends <= now
    }

    /// Asks the breaker for a further attempt; `last` is what the call ends with if it refuses.
    pub(crate) fn admit_again<R>(mut self: Pin<&mut Self>, last: Last<R>) -> Result<(), H::Returned>
    where
        H: Handler<R>,
    {
        // A timer may wake late, and what would be cut at its first wait had better not be begun.
        if self.time_left() == Some(Duration::ZERO) {
            return Err(self.conclude_instead(last, None));
        }
        match self.breaker.request(self.policy().timeout) {
            Ok(admission) => {
                // Before what the user wrote to display an error: should that panic, the probe's place is released.
                self.as_mut().begin(admission);
                if let Last::Answered(answer) = &last {
                    self.project().handler.pass_over(answer);
                }
                Ok(())
            }
            Err(refusal) => Err(self.conclude_instead(last, Some(refusal))),
        }
    }

    /// Begins the attempt that has been admitted.
    #[inline]
    pub(crate) fn begin(self: Pin<&mut Self>, admission: Admission) {
        let this = self.project();
        *this.admission = Some(admission);
        // Cannot overflow: there are at most `max_attempts`.
        *this.attempts += 1;
    }

    /// Ends the call with a success of the attempt under way.
    #[inline]
    pub(crate) fn succeed<R>(mut self: Pin<&mut Self>, answer: R) -> H::Returned
    where
        H: Handler<R>,
    {
        self.as_mut().resolve(Verdict::Success);
        if scope::entered() {
            budget::earn();
        }
        self.conclude(Ok(answer), None)
    }

    /// Ends the call with a success of the first attempt, which was not written down as [begun](Self::begin).
    #[inline]
    pub(crate) fn succeed_at_once<R>(self: Pin<&mut Self>, admission: Admission, answer: R) -> H::Returned
    where
        H: Handler<R>,
    {
        let this = self.project();
        this.breaker.resolve(admission, Verdict::Success);
        this.handler.conclude(End {
            last: Ok(answer),
            attempts: 1,
            refusal: None,
        })
    }

    fn conclude<R>(self: Pin<&mut Self>, mut last: Result<R, Failure>, refusal: Option<Refusal>) -> H::Returned
    where
        H: Handler<R>,
    {
        let this = self.project();
        let attempts = *this.attempts;
        if let Err(failure) = &mut last
            && failure.last_error.is_none()
        {
            // What the failure already tells is the last attempt's own: the message of a panic.
            failure.last_error = this.handler.last_error();
        }
        if scope::entered() {
            report::note(attempts, refusal, last.as_ref().err());
        }
        this.handler.conclude(End {
            last,
            attempts,
            refusal,
        })
    }

    pub(crate) fn conclude_with<R>(self: Pin<&mut Self>, last: Last<R>, refusal: Option<Refusal>) -> H::Returned
    where
        H: Handler<R>,
    {
        let last = match last {
            Last::Answered(answer) => Ok(answer),
            Last::TimedOut => Err(self.failure(FailureKind::Timeout)),
        };
        self.conclude(last, refusal)
    }

    /// Ends the call instead of the retry that was decided on.
    #[cold]
    pub(crate) fn conclude_instead<R>(self: Pin<&mut Self>, last: Last<R>, refusal: Option<Refusal>) -> H::Returned
    where
        H: Handler<R>,
    {
        if scope::entered() {
            budget::give_back_retry();
        }
        self.conclude_with(last, refusal)
    }

    /// Ends the call with a failure of the engine's own telling.
    #[cold]
    pub(crate) fn fail<R>(self: Pin<&mut Self>, kind: FailureKind, last_error: Option<String>) -> H::Returned
    where
        H: Handler<R>,
    {
        let failure = Failure {
            last_error,
            ..self.failure(kind)
        };
        self.conclude(Err(failure), None)
    }

    /// Whether another attempt may follow the one under way.
    #[inline]
    pub(crate) fn more_may_follow(&self) -> bool {
        self.more_may_follow_the(self.attempts)
    }

    /// Whether another attempt may follow the one of this number.
    #[inline]
    pub(crate) fn more_may_follow_the(&self, attempt: u32) -> bool {
        attempt < max_attempts(&self.policy())
    }

    /// What follows an attempt that did not succeed.
    pub(crate) fn after<R>(&self, last: &Last<R>, verdict: Verdict) -> Next {
        let policy = self.policy();
        let stop = Next::Stop { refusal: None };
        let left = self.time_left();
        let Verdict::Retry { after: hint } = verdict else {
            return stop;
        };
        if let Last::TimedOut = last {
            if left == Some(Duration::ZERO) {
                return Next::OutOfTime;
            }
            if !policy.idempotent {
                return stop;
            }
        }
        if !self.more_may_follow() {
            return stop;
        }
        // Asked before the delay as well: after it an open breaker could only refuse.
        if let Some(refusal) = self.breaker.refusal() {
            return Next::Stop { refusal: Some(refusal) };
        }
        let delay = hint.unwrap_or_else(|| policy.delay_before(self.attempts, policy.random_for(self.attempts)));
        let too_long = policy.backoff_max.is_some_and(|longest| delay > longest);
        if too_long || left.is_some_and(|left| delay >= left) {
            return stop;
        }
        if scope::entered() && !budget::spend_retry() {
            return stop;
        }
        Next::Retry { delay }
    }

    /// When the attempt that begins to wait now will have run into its limit or the call's deadline.
    pub(crate) fn limit(mut self: Pin<&mut Self>) -> Instant {
        let now = Instant::now();
        self.as_mut().project().started.get_or_insert_with(|| Moment::of(now));
        let limit = after(now, self.policy().timeout);
        match self.time_left() {
            Some(left) => limit.min(after(now, left)),
            None => limit,
        }
    }

    /// What is left until the deadline; `None` without one.
    fn time_left(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_sub(self.elapsed()))
    }

    /// The longest that the call may take, by its own policy and by the budget of its run.
    fn deadline(&self) -> Option<Duration> {
        let own = self.policy().deadline;
        let of_run = scope::entered().then(budget::ends).flatten();
        let of_run = of_run.and_then(|ends| Some(self.started?.until(ends)));
        own.into_iter().chain(of_run).min()
    }

    fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, Moment::elapsed)
    }

    fn policy(&self) -> Policy {
        self.config.into()
    }

    fn refuse<R>(self: Pin<&mut Self>, refusal: Refusal) -> H::Returned
    where
        H: Handler<R>,
    {
        let kind = FailureKind::CircuitOpen {
            consecutive_failures: refusal.failures,
            threshold: refusal.threshold,
        };
        let failure = || Failure {
            retry_after_ms: refusal.retry_after_ms,
            ..self.failure(kind)
        };
        if scope::entered() {
            let failure = failure();
            report::note(self.attempts, Some(refusal), Some(&failure));
            return self.handler.refuse(refusal.into(), || failure);
        }
        self.handler.refuse(refusal.into(), failure)
    }

    #[cold]
    fn failure(&self, kind: FailureKind) -> Failure {
        let policy = self.policy();
        Failure {
            kind,
            tool: self.name.text(),
            attempts: self.attempts,
            max_attempts: max_attempts(&policy),
            elapsed_ms: millis(self.elapsed()),
            timeout_ms: millis(policy.timeout),
            deadline_ms: self.deadline().map(millis),
            retry_after_ms: None,
            may_have_executed: self.attempts > 0,
            idempotent: policy.idempotent,
            last_error: None,
        }
    }
}

/// The first attempt and its retries, as far as they can be counted.
fn max_attempts(policy: &Policy) -> u32 {
    policy.max_retries.saturating_add(1)
}
