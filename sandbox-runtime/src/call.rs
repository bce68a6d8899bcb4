//! [`Call`]: what one sandboxed call knows of itself, and the decisions it takes between attempts. No waiting here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::breaker::{CircuitBreaker, Permit, Refusal};
use crate::error::{Failure, FailureKind, millis};
use crate::outcome::{End, Handler};
use crate::policy::Policy;

pin_project! {
    #[derive(Debug)]
    pub(crate) struct Call<'b, C, H, K> {
        config: C,
        breaker: &'b CircuitBreaker,
        name: &'static str,
        handler: H,
        #[pin]
        cancel: K,
        // Attempts begun.
        attempts: u32,
        // When the call began, if it has a deadline; otherwise when it first had to wait. A call without a deadline whose
        // tool is ready at once reads no clock.
        started: Option<Instant>,
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
    Retry { delay: Duration },
    Stop { refusal: Option<Refusal> },
}

impl<'b, C, H, K> Call<'b, C, H, K>
where
    C: Into<Policy> + Copy,
{
    #[inline]
    pub(crate) fn new(config: C, breaker: &'b CircuitBreaker, name: &'static str, handler: H, cancel: K) -> Self {
        let policy: Policy = config.into();
        Call {
            config,
            breaker,
            name,
            handler,
            cancel,
            attempts: 0,
            started: policy.deadline.map(|_| Instant::now()),
        }
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

    /// Asks the breaker for the first attempt.
    #[inline]
    pub(crate) fn admit<R>(self: Pin<&mut Self>) -> Result<Permit<'b>, H::Returned>
    where
        H: Handler<R>,
    {
        match self.breaker.request() {
            Ok(permit) => Ok(self.begin(permit)),
            Err(refusal) => Err(self.conclude(Err(self.refused(refusal)), None)),
        }
    }

    /// Asks the breaker for a further attempt; `last` is what the call ends with if it refuses.
    pub(crate) fn admit_again<R>(self: Pin<&mut Self>, last: Last<R>) -> Result<Permit<'b>, H::Returned>
    where
        H: Handler<R>,
    {
        match self.breaker.request() {
            Ok(permit) => Ok(self.begin(permit)),
            Err(refusal) => Err(self.conclude_with(last, Some(refusal))),
        }
    }

    fn begin(self: Pin<&mut Self>, permit: Permit<'b>) -> Permit<'b> {
        // Cannot overflow: there are at most `max_attempts`.
        *self.project().attempts += 1;
        permit
    }

    /// One attempt, from its first poll to the moment when the next may begin.
    #[inline]
    pub(crate) fn attempt<T: Future>(self: Pin<&mut Self>, permit: Permit<'b>, tool: T) -> Attempt<'_, 'b, C, H, K, T> {
        Attempt::new(self, permit, tool)
    }

    #[inline]
    pub(crate) fn conclude<R>(&self, last: Result<R, Failure>, refusal: Option<Refusal>) -> H::Returned
    where
        H: Handler<R>,
    {
        self.handler.conclude(End {
            last,
            attempts: self.attempts,
            refusal,
        })
    }

    pub(crate) fn conclude_with<R>(&self, last: Last<R>, refusal: Option<Refusal>) -> H::Returned
    where
        H: Handler<R>,
    {
        let last = match last {
            Last::Answered(answer) => Ok(answer),
            Last::TimedOut => Err(self.failure(FailureKind::Timeout)),
        };
        self.conclude(last, refusal)
    }

    /// Ends the call with a failure of the engine's own telling.
    #[cold]
    pub(crate) fn fail<R>(&self, kind: FailureKind, last_error: Option<String>) -> H::Returned
    where
        H: Handler<R>,
    {
        let failure = Failure {
            last_error,
            ..self.failure(kind)
        };
        self.conclude(Err(failure), None)
    }

    /// Whether an attempt whose end is not known may be made again.
    pub(crate) fn may_repeat_unknown(&self) -> bool {
        self.policy().idempotent
    }

    /// What follows an attempt that failed and may be made again; `hint` is the dependency's word on when.
    pub(crate) fn after_failure(&self, hint: Option<Duration>) -> Next {
        let policy = self.policy();
        if self.attempts >= max_attempts(&policy) {
            return Next::Stop { refusal: None };
        }
        // Asked before the delay as well: after it an open breaker could only refuse.
        if let Some(refusal) = self.breaker.refusal() {
            return Next::Stop { refusal: Some(refusal) };
        }
        let delay = hint.unwrap_or_else(|| policy.delay_before(self.attempts, policy.random_for(self.attempts)));
        let too_long = policy.backoff_max.is_some_and(|longest| delay > longest);
        if too_long || self.time_left().is_some_and(|left| delay >= left) {
            return Next::Stop { refusal: None };
        }
        Next::Retry { delay }
    }

    /// When the attempt that begins to wait now will have run into its limit or the call's deadline.
    pub(crate) fn limit(self: Pin<&mut Self>) -> Instant {
        let now = Instant::now();
        let policy = self.policy();
        let started = *self.project().started.get_or_insert(now);
        let limit = after(now, policy.timeout);
        match policy.deadline {
            Some(deadline) => limit.min(after(started, deadline)),
            None => limit,
        }
    }

    /// What is left until the deadline; `None` without one.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let deadline = self.policy().deadline?;
        Some(deadline.saturating_sub(self.elapsed()))
    }

    fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    fn policy(&self) -> Policy {
        self.config.into()
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> Failure {
        let kind = FailureKind::CircuitOpen {
            consecutive_failures: refusal.failures,
            threshold: refusal.threshold,
        };
        Failure {
            retry_after_ms: refusal.retry_after.map(millis),
            ..self.failure(kind)
        }
    }

    #[cold]
    fn failure(&self, kind: FailureKind) -> Failure {
        let policy = self.policy();
        Failure {
            kind,
            tool: self.name,
            attempts: self.attempts,
            max_attempts: max_attempts(&policy),
            elapsed_ms: millis(self.elapsed()),
            timeout_ms: millis(policy.timeout),
            deadline_ms: policy.deadline.map(millis),
            retry_after_ms: None,
            may_have_executed: self.attempts > 0,
            last_error: None,
        }
    }
}

/// The first attempt and its retries, as far as they can be counted.
fn max_attempts(policy: &Policy) -> u32 {
    policy.max_retries.saturating_add(1)
}

/// `delay` after `now`; beyond the range of the clock, a time that never comes.
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    now + delay.min(NEVER)
}
