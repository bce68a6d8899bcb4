//! [`Scope`]: what is attached around a future, and what is attached around that.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::Attachment;
use crate::gate;

tokio::task_local! {
    // The one task-local of the crate: a call looks here once.
    static CURRENT: Arc<Scope>;
}

/// An attachment, and the scope that it was made in.
#[derive(Debug)]
pub(crate) struct Scope {
    attachment: Arc<dyn Attachment>,
    /// The earliest end of this and the scopes around it.
    ends: Option<Instant>,
    parent: Option<Arc<Scope>>,
}

impl Scope {
    pub(super) fn new(attachment: Arc<dyn Attachment>, parent: Option<Arc<Scope>>) -> Scope {
        let parents_end = parent.as_ref().and_then(|parent| parent.ends);
        Scope {
            ends: attachment.ends().into_iter().chain(parents_end).min(),
            attachment,
            parent,
        }
    }

    pub(super) fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// From the closest to the outermost.
    pub(super) fn attachments(&self) -> impl Iterator<Item = &dyn Attachment> {
        let scopes = std::iter::successors(Some(self), |scope| scope.parent.as_deref());
        scopes.map(|scope| &*scope.attachment)
    }

    /// Runs `future` in this scope, whatever scope it is polled in.
    pub(crate) async fn around<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

/// Runs `future` with `attachment` around all calls in it.
pub(crate) async fn attach<F: Future>(attachment: Arc<dyn Attachment>, future: F) -> F::Output {
    gate::open(gate::SCOPES);
    let scope = Arc::new(Scope::new(attachment, current()));
    scope.around(future).await
}

/// The scope that the caller runs in.
pub(crate) fn current() -> Option<Arc<Scope>> {
    CURRENT.try_with(Arc::clone).ok()
}
