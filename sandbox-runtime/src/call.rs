//! [`Call`]: what one sandboxed call knows of itself, and the decisions it takes between attempts. No waiting here.

use std::time::Duration;

use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::breaker::{CircuitBreaker, Permit, Refusal};
use crate::error::{Failure, FailureKind, millis};
use crate::outcome::{End, Handler};
use crate::policy::Policy;

#[derive(Debug)]
pub(crate) struct Call<'b, C, H> {
    config: C,
    breaker: &'b CircuitBreaker,
    name: &'static str,
    pub(crate) handler: H,
    /// Attempts begun.
    attempts: u32,
    /// The first moment that the call had to wait; a call that never waits reads no clock.
    started: Option<Instant>,
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

impl<'b, C, H> Call<'b, C, H>
where
    C: Into<Policy> + Copy,
{
    #[inline]
    pub(crate) fn new(config: C, breaker: &'b CircuitBreaker, name: &'static str, handler: H) -> Self {
        Call {
            config,
            breaker,
            name,
            handler,
            attempts: 0,
            started: None,
        }
    }

    /// Asks the breaker for the first attempt.
    #[inline]
    pub(crate) fn admit<R>(&mut self) -> Result<Permit<'b>, H::Returned>
    where
        H: Handler<R>,
    {
        self.breaker
            .request()
            .map_err(|refusal| self.conclude(Err(self.refused(refusal)), None))
    }

    /// Asks the breaker for a further attempt; `last` is what the call ends with if it refuses.
    pub(crate) fn admit_again<R>(&mut self, last: Last<R>) -> Result<Permit<'b>, H::Returned>
    where
        H: Handler<R>,
    {
        self.breaker
            .request()
            .map_err(|refusal| self.conclude_with(last, Some(refusal)))
    }

    /// One attempt, from its first poll to the moment when the next may begin.
    #[inline]
    pub(crate) fn attempt<T: Future>(&mut self, permit: Permit<'b>, tool: T) -> Attempt<'_, 'b, C, H, T>
    where
        H: Handler<T::Output>,
    {
        self.attempts += 1;
        Attempt::new(self, permit, tool)
    }

    /// Ends the call with a panic.
    #[cold]
    pub(crate) fn panicked<R>(&mut self, permit: Permit<'_>, message: String) -> H::Returned
    where
        H: Handler<R>,
    {
        permit.failure();
        let failure = Failure {
            last_error: Some(message),
            ..self.failure(FailureKind::Panic)
        };
        self.conclude(Err(failure), None)
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

    /// What follows an attempt that failed and may be repeated.
    pub(crate) fn after_failure(&self) -> Next {
        let policy = self.policy();
        if self.attempts > policy.max_retries {
            return Next::Stop { refusal: None };
        }
        // Asked before the delay as well: after it an open breaker could only refuse.
        if let Some(refusal) = self.breaker.refusal() {
            return Next::Stop { refusal: Some(refusal) };
        }
        Next::Retry {
            delay: policy.delay_before(self.attempts),
        }
    }

    /// When the attempt that waits since now will have run into its limit.
    pub(crate) fn limit(&mut self) -> Instant {
        let now = Instant::now();
        self.started.get_or_insert(now);
        after(now, self.policy().timeout)
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
            max_attempts: policy.max_retries.saturating_add(1),
            elapsed_ms: self.started.map_or(0, |started| millis(started.elapsed())),
            timeout_ms: millis(policy.timeout),
            retry_after_ms: None,
            may_have_executed: self.attempts > 0,
            last_error: None,
        }
    }
}

/// `delay` after `now`; beyond the range of the clock, a time that never comes.
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    now + delay.min(NEVER)
}
