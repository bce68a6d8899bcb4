//! [`Scope`]: what is attached around a future, and to which task the future belongs.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use tokio::task;
use tokio::time::Instant;

use super::Attachment;
use crate::gate;

tokio::task_local! {
    // The one task-local of the crate: a call looks here once.
    static CURRENT: Entered;
}

/// A scope, as the future that runs in it has entered it.
struct Entered {
    scope: Arc<Scope>,
    /// The task that polls that future now, `None` for one that is not spawned. A local set polls its tasks within whatever
    /// future runs it: these are strangers to the scope around that future.
    task: Cell<Option<task::Id>>,
}

impl Entered {
    /// Tells whether the caller belongs to the future that has entered the scope.
    #[inline]
    fn is_own(&self) -> bool {
        self.task.get() == task::try_id()
    }
}

/// Attachments that surround the same calls.
#[derive(Debug)]
pub(crate) struct Scope {
    /// From the closest to the outermost.
    attachments: Box<[Arc<dyn Attachment>]>,
}

impl Scope {
    fn new(attachments: Box<[Arc<dyn Attachment>]>) -> Arc<Scope> {
        Arc::new(Scope { attachments })
    }

    /// These attachments, and around them those of `outer` that are not among them already.
    fn within(self: Arc<Scope>, outer: Option<Arc<Scope>>) -> Arc<Scope> {
        let Some(outer) = outer else { return self };
        let is_here = |other: &Arc<dyn Attachment>| self.attachments.iter().any(|own| Arc::ptr_eq(own, other));
        if outer.attachments.iter().all(is_here) {
            return self;
        }
        let others = outer.attachments.iter().filter(|other| !is_here(other));
        Scope::new(self.attachments.iter().chain(others).cloned().collect())
    }

    /// The earliest end of them.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.attachments().filter_map(Attachment::ends).min()
    }

    /// From the closest to the outermost.
    pub(super) fn attachments(&self) -> impl Iterator<Item = &dyn Attachment> {
        self.attachments.iter().map(|attachment| &**attachment)
    }

    /// Runs `future` in this scope, and in the one that it is polled in first.
    pub(crate) async fn around<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        let entered = Entered {
            scope: self.within(current()),
            task: Cell::new(None),
        };
        CURRENT
            .scope(entered, async {
                let mut future = pin!(future);
                poll_fn(|cx| {
                    // At every poll: a future may be handed from one task to another.
                    CURRENT.with(|entered| entered.task.set(task::try_id()));
                    future.as_mut().poll(cx)
                })
                .await
            })
            .await
    }
}

/// Runs `future` with `attachment` around all calls in it.
pub(crate) async fn attach<F: Future>(attachment: Arc<dyn Attachment>, future: F) -> F::Output {
    gate::open(gate::SCOPES);
    Scope::new(Box::new([attachment])).around(future).await
}

/// The scope that the caller runs in.
pub(crate) fn current() -> Option<Arc<Scope>> {
    CURRENT
        .try_with(|entered| entered.is_own().then(|| Arc::clone(&entered.scope)))
        .ok()?
}

/// Tells whether the caller runs in a scope.
#[inline]
pub(super) fn is_within_one() -> bool {
    CURRENT.try_with(Entered::is_own).unwrap_or(false)
}
