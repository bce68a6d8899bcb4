//! [`CallLimits`]: what holds one call back, and the place that it has.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::hold::Hold;
use super::{Held, Limits, Terms, nesting};
use crate::breaker::CircuitBreaker;
use crate::clock::saturating_add;
use crate::failure::{Failure, FailureKind, millis};
use crate::site::SiteRef;

/// When to come back where every place is taken: when one is free is unknown, and to ask once more costs nothing.
const SHORTLY: Duration = Duration::from_secs(1);

/// One call among the limits.
pub(crate) struct CallLimits {
    limits: Kept,
    /// Those of the breaker, whose dependency may have asked to wait, if it is one that tools share.
    of_breaker: Option<Arc<Limits>>,
    has_place: bool,
    /// Set while a poll of the call with its place is under way.
    is_nested: bool,
    waiting: Option<Box<Waiting>>,
    /// Set once the call has waited.
    has_waited: bool,
    /// Set once the call is refused.
    refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    held: Held,
    max_concurrent: Option<u32>,
}

/// Limits as a call keeps them: those of an annotated function are there for as long as the program runs.
enum Kept {
    Static(&'static Arc<Limits>),
    Shared(Arc<Limits>),
}

impl Deref for Kept {
    type Target = Arc<Limits>;

    fn deref(&self) -> &Arc<Limits> {
        match self {
            Kept::Static(limits) => limits,
            Kept::Shared(limits) => limits,
        }
    }
}

struct Waiting {
    began: Instant,
    /// Resolves when the call has to be looked at although nothing has let it pass.
    woken: Pin<Box<OwnedNotified>>,
    admitted: Pin<Box<dyn Future<Output = Result<bool, Held>> + Send + Sync>>,
}

/// How the wait for an attempt has gone on in a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waited {
    /// Set if the wait begins.
    pub(crate) begins: bool,
    /// Set if it ends: how long it took.
    pub(crate) ended: Option<Duration>,
}

impl CallLimits {
    /// The limits of a call of an annotated function, or otherwise with this breaker.
    #[cold]
    pub(crate) fn of(site: Option<SiteRef>, breaker: &CircuitBreaker) -> CallLimits {
        let own = super::own(site, breaker);
        let is_shared = !Arc::ptr_eq(own, breaker.limits());
        CallLimits {
            limits: match site {
                Some(site) => Kept::Static(site.0.breaker.limits()),
                None => Kept::Shared(Arc::clone(own)),
            },
            of_breaker: is_shared.then(|| Arc::clone(breaker.limits())),
            has_place: false,
            is_nested: false,
            waiting: None,
            has_waited: false,
            refused: None,
        }
    }

    /// The same of a call that has taken its place, and [left the poll](super::leave_poll) in which it did.
    #[cold]
    pub(crate) fn with_place(site: Option<SiteRef>, breaker: &CircuitBreaker) -> CallLimits {
        let mut limits = CallLimits::of(site, breaker);
        limits.has_place = true;
        limits
    }

    /// Resolves when an attempt may begin, or is held back for longer than the call waits or has time left.
    pub(crate) fn poll(&mut self, terms: Terms, cx: &mut Context<'_>) -> (Waited, Poll<Result<(), Held>>) {
        let mut waited = Waited {
            begins: false,
            ended: None,
        };
        if self.waiting.is_none() {
            match self.try_now(terms) {
                Ok(()) => return (waited, Poll::Ready(Ok(()))),
                Err(held) if terms.refuse_at_once(held) => {
                    return (waited, Poll::Ready(Err(self.refused(held, terms))));
                }
                Err(held) => {
                    self.limits.want_more(terms.rate, held);
                    self.waiting = Some(Box::new(self.wait(terms)));
                }
            }
            waited.begins = true;
        }
        let poll = self.poll_wait(terms, cx);
        if poll.is_ready() {
            waited.ended = self.leave_queue();
        }
        (waited, poll)
    }

    fn poll_wait(&mut self, terms: Terms, cx: &mut Context<'_>) -> Poll<Result<(), Held>> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(Ok(()));
        };
        // Whoever polls this has looked at the call already, so that it has to be woken for the next time only.
        while waiting.woken.as_mut().poll(cx).is_ready() {
            waiting.woken.set(self.limits.woken());
        }
        match ready!(waiting.admitted.as_mut().poll(cx)) {
            Ok(takes_place) => {
                if takes_place {
                    self.take_place();
                }
                Poll::Ready(Ok(()))
            }
            Err(held) => Poll::Ready(Err(self.refused(held, terms))),
        }
    }

    fn refused(&mut self, held: Held, terms: Terms) -> Held {
        let max_concurrent = terms.max_concurrent;
        self.limits.miss(terms.rate, held);
        self.refused = Some(Refused { held, max_concurrent });
        held
    }

    /// Tells whether it has been in the queue.
    pub(crate) const fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Leaves the queue, if the call is in it, and tells how long it was.
    pub(crate) fn leave_queue(&mut self) -> Option<Duration> {
        let waiting = self.waiting.take()?;
        self.has_waited = true;
        Some(Instant::now().saturating_duration_since(waiting.began))
    }

    /// Adds to the failure of the call why it was not made, and when to come back.
    pub(crate) fn tell_what_holds_back(&self, failure: &mut Failure) {
        let Some(Refused { held, max_concurrent }) = self.refused else {
            return;
        };
        let (kind, left) = match held {
            Held::Others => {
                let max_concurrent = max_concurrent.unwrap_or_default();
                (FailureKind::Overloaded { max_concurrent }, SHORTLY)
            }
            Held::Rate(left) => (FailureKind::RateLimited { by_dependency: false }, left),
            Held::Dependency(left) => (FailureKind::RateLimited { by_dependency: true }, left),
        };
        failure.kind = kind;
        // Rounded up: who comes back after it is not held back by what is left of a millisecond.
        failure.retry_after_ms = Some(millis(left.saturating_add(Duration::from_nanos(999_999))));
    }

    /// Takes what the attempt needs, if nobody has to be waited for.
    fn try_now(&mut self, terms: Terms) -> Result<(), Held> {
        let terms = self.terms_of_next(terms);
        if self.limits.begin(terms, self.hold())? {
            self.take_place();
        }
        Ok(())
    }

    /// The terms of the next attempt: a call that has a place needs no other.
    fn terms_of_next(&self, terms: Terms) -> Terms {
        Terms {
            max_concurrent: terms.max_concurrent.filter(|_| !self.has_place),
            ..terms
        }
    }

    /// Notes that the call has a place, also for what its tool calls in the poll under way.
    fn take_place(&mut self) {
        self.has_place = true;
        self.poll_began();
    }

    fn hold(&self) -> &Hold {
        &self.of_breaker.as_ref().unwrap_or(&self.limits).hold
    }

    /// Waits for what the attempt needs.
    fn wait(&self, terms: Terms) -> Waiting {
        let (limits, of_breaker) = (Arc::clone(&self.limits), self.of_breaker.clone());
        let (rate, needs_place) = (terms.rate, self.limits.needs_place(self.terms_of_next(terms)));
        let began = Instant::now();
        let until = saturating_add(began, terms.longest);
        let admitted = async move {
            let hold = &of_breaker.as_ref().unwrap_or(&limits).hold;
            limits.wait(rate, needs_place, hold, until).await?;
            Ok(needs_place)
        };
        Waiting {
            began,
            woken: Box::pin(self.limits.woken()),
            admitted: Box::pin(admitted),
        }
    }

    pub(crate) fn poll_began(&mut self) {
        if self.has_place && !self.is_nested {
            self.is_nested = true;
            nesting::enter(&self.limits);
        }
    }

    pub(crate) fn poll_ended(&mut self) {
        if std::mem::take(&mut self.is_nested) {
            nesting::leave(&self.limits);
        }
    }
}

impl Drop for CallLimits {
    fn drop(&mut self) {
        // The poll may have ended in a panic.
        self.poll_ended();
        if self.has_place {
            self.limits.places.leave();
        }
    }
}

impl fmt::Debug for CallLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLimits")
            .field("has_place", &self.has_place)
            .field("is_waiting", &self.waiting.is_some())
            .finish_non_exhaustive()
    }
}
