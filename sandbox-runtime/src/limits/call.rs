//! [`CallLimits`]: what holds one call back, and the place that it has.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::hold::Hold;
use super::nesting::{self, Nesting};
use super::places::Place;
use super::{Held, Limits, Terms};
use crate::clock::saturating_add;
use crate::failure::{Failure, FailureKind, millis};

/// When to come back where every place is taken: when one is free is unknown, and to ask once more costs nothing.
const SHORTLY: Duration = Duration::from_secs(1);

/// One call among the limits.
pub(crate) struct CallLimits {
    limits: Kept,
    /// Those of the breaker, whose dependency may have asked to wait, if it is one that tools share.
    of_breaker: Option<Arc<Limits>>,
    has_place: bool,
    nesting: Nesting,
    waiting: Option<Box<Waiting>>,
    /// Set once the call is refused.
    refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    held: Held,
    max_concurrent: Option<u32>,
}

/// Limits as a call keeps them: those of an annotated function are there for as long as the program runs.
pub(crate) enum Kept {
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
    pub(crate) fn new(limits: Kept, of_breaker: Option<Arc<Limits>>) -> CallLimits {
        CallLimits {
            limits,
            of_breaker,
            has_place: false,
            nesting: Nesting::default(),
            waiting: None,
            refused: None,
        }
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
                Err(held) if terms.longest <= held.left() => {
                    return (waited, Poll::Ready(Err(self.refused(held, terms))));
                }
                Err(_) => self.waiting = Some(Box::new(self.wait(terms))),
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
        self.refused = Some(Refused { held, max_concurrent });
        held
    }

    /// Leaves the queue, if the call is in it, and tells how long it was.
    pub(crate) fn leave_queue(&mut self) -> Option<Duration> {
        let waiting = self.waiting.take()?;
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

    fn needs_place(&self, terms: Terms) -> Option<u32> {
        let number = terms.max_concurrent?;
        let has_one = self.has_place || nesting::is_within(&self.limits);
        (!has_one).then_some(number)
    }

    /// Takes what the attempt needs, if nobody has to be waited for.
    fn try_now(&mut self, terms: Terms) -> Result<(), Held> {
        if let Some(number) = self.needs_place(terms) {
            self.limits.places.resize(number);
            if !self.limits.places.try_take() {
                return Err(Held::Others);
            }
            self.take_place();
        }
        self.limits.try_pass_first(terms.rate, self.hold())
    }

    /// Notes that the call has a place, also for what its tool calls in the poll under way.
    fn take_place(&mut self) {
        self.has_place = true;
        self.nesting.enter(&self.limits);
    }

    fn hold(&self) -> &Hold {
        &self.of_breaker.as_ref().unwrap_or(&self.limits).hold
    }

    /// Waits for what the attempt needs.
    fn wait(&self, terms: Terms) -> Waiting {
        let (limits, of_breaker) = (Arc::clone(&self.limits), self.of_breaker.clone());
        let (rate, needs_place) = (terms.rate, self.needs_place(terms).is_some());
        let began = Instant::now();
        let until = saturating_add(began, terms.longest);
        let admitted = async move {
            let hold = &of_breaker.as_ref().unwrap_or(&limits).hold;
            let place = match needs_place {
                true => Some(place_in(&limits, until).await?),
                false => None,
            };
            limits.pass(rate, hold, until).await?;
            if let Some(place) = place {
                place.keep();
            }
            Ok(needs_place)
        };
        Waiting {
            began,
            admitted: Box::pin(admitted),
        }
    }

    pub(crate) fn poll_began(&mut self) {
        if self.has_place {
            self.nesting.enter(&self.limits);
        }
    }

    pub(crate) fn poll_ended(&mut self) {
        self.nesting.leave();
    }
}

async fn place_in(limits: &Limits, until: Instant) -> Result<Place<'_>, Held> {
    let place = timeout_at(until, limits.places.take()).await;
    place.map_err(|_| Held::Others)
}

impl Drop for CallLimits {
    fn drop(&mut self) {
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
