//! [`Scope`]: what is attached around a future, and to which task the future belongs.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::task;
use tokio::task::futures::TaskLocalFuture;
use tokio::time::Instant;

use super::Attachment;
use crate::failure::UsedUp;
use crate::gate;
use crate::observe::{self, Observer};
use crate::testing::Isolation;

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
    /// From the closest to the outermost; set when the scope is entered.
    attachments: OnceLock<Box<[Arc<dyn Attachment>]>>,
}

impl Scope {
    /// Enters it with these attachments, and around them those of `outer` that are not among them already.
    fn enter(&self, own: Vec<Arc<dyn Attachment>>, outer: Option<Arc<Scope>>) {
        let mut all = own;
        for attachment in outer.iter().flat_map(|outer| outer.all()) {
            if !all.iter().any(|own| Arc::ptr_eq(own, attachment)) {
                all.push(Arc::clone(attachment));
            }
        }
        // It is entered once.
        let _ = self.attachments.set(all.into());
    }

    fn all(&self) -> &[Arc<dyn Attachment>] {
        self.attachments.get().map_or(&[], |attachments| &**attachments)
    }

    /// The earliest end of them.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.attachments().filter_map(Attachment::ends).min()
    }

    /// The closest of them.
    pub(super) fn isolation(&self) -> Option<&Arc<Isolation>> {
        self.attachments().find_map(Attachment::isolation)
    }

    /// From the closest to the outermost.
    pub(super) fn attachments(&self) -> impl DoubleEndedIterator<Item = &dyn Attachment> {
        self.all().iter().map(|attachment| &**attachment)
    }
}

pin_project! {
    /// A future in a scope, and in the one that it is polled in first.
    // By hand, because each `async` function that a future is given to keeps it twice: as it was given it, and where it awaits
    // it. Scopes are put into each other.
    pub(crate) struct InScope<M, F> {
        scope: Arc<Scope>,
        // Makes what is attached; taken at the first poll.
        make: Option<M>,
        #[pin]
        future: TaskLocalFuture<Entered, OfTask<F>>,
    }
}

impl<M, F> InScope<M, F>
where
    M: FnOnce() -> Vec<Arc<dyn Attachment>>,
    F: Future,
{
    /// Runs `future` with what `make` makes when it is first polled.
    pub(crate) fn new(make: M, future: F) -> Self {
        let scope = Arc::new(Scope {
            attachments: OnceLock::new(),
        });
        let entered = Entered {
            scope: Arc::clone(&scope),
            task: Cell::new(None),
        };
        InScope {
            scope,
            make: Some(make),
            future: CURRENT.scope(entered, OfTask { future }),
        }
    }
}

impl<M, F> Future for InScope<M, F>
where
    M: FnOnce() -> Vec<Arc<dyn Attachment>>,
    F: Future,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(make) = this.make.take() {
            gate::open(gate::SCOPES);
            this.scope.enter(make(), current());
        }
        this.future.poll(cx)
    }
}

thread_local! {
    /// How many futures in scopes this thread polls now, within each other: a word without a destructor, which takes a fraction of
    /// what the task-local does.
    static POLLED: Cell<u32> = const { Cell::new(0) };
}

/// Lasts as long as a future in a scope is polled.
struct Polled;

impl Polled {
    fn enter() -> Polled {
        POLLED.set(POLLED.get() + 1);
        Polled
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        POLLED.set(POLLED.get() - 1);
    }
}

/// Tells whether this thread polls a future in a scope: maybe the caller, or one that it is a stranger to.
#[inline]
pub(super) fn is_one_polled() -> bool {
    POLLED.get() > 0
}

pin_project! {
    /// The future in a scope, which notes the task that polls it.
    struct OfTask<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for OfTask<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // At every poll: a future may be handed from one task to another.
        CURRENT.with(|entered| entered.task.set(task::try_id()));
        let _polled = Polled::enter();
        self.project().future.poll(cx)
    }
}

/// Runs `future` with `attachment` around all calls in it.
pub(crate) fn attach<F: Future>(
    attachment: Arc<dyn Attachment>,
    future: F,
) -> InScope<impl FnOnce() -> Vec<Arc<dyn Attachment>>, F> {
    InScope::new(|| vec![attachment], future)
}

pin_project! {
    /// A future in the scope that it was made in, or in none.
    #[project = InheritedProjection]
    pub(crate) enum Inherited<M, F> {
        Within {
            #[pin]
            future: InScope<M, F>,
        },
        Outside {
            #[pin]
            future: F,
        },
    }
}

/// Keeps `future` in the scope that this is called in.
pub(crate) fn inherit<F: Future>(future: F) -> Inherited<impl FnOnce() -> Vec<Arc<dyn Attachment>>, F> {
    match current() {
        Some(scope) => Inherited::Within {
            future: InScope::new(move || scope.all().to_vec(), future),
        },
        None => Inherited::Outside { future },
    }
}

impl<M, F> Future for Inherited<M, F>
where
    M: FnOnce() -> Vec<Arc<dyn Attachment>>,
    F: Future,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            InheritedProjection::Within { future } => future.poll(cx),
            InheritedProjection::Outside { future } => future.poll(cx),
        }
    }
}

/// The scope that the caller runs in.
pub(crate) fn current() -> Option<Arc<Scope>> {
    if observe::is_notifying() {
        return None;
    }
    CURRENT
        .try_with(|entered| entered.is_own().then(|| Arc::clone(&entered.scope)))
        .ok()?
}

/// The observers of the scope that the caller runs in.
pub(crate) fn observers_around() -> Vec<Arc<dyn Observer>> {
    let scope = current();
    let observers = scope.iter().flat_map(|scope| scope.attachments());
    observers.filter_map(Attachment::observer).cloned().collect()
}

/// What isolates the caller from other tests.
pub(crate) fn isolation_around() -> Option<Arc<Isolation>> {
    if !gate::is_open_for(gate::SCOPES) {
        return None;
    }
    current()?.isolation().cloned()
}

/// What the run around the caller has used up, if its model has not been told.
pub(crate) fn tell_used_up_around() -> Option<UsedUp> {
    current()?
        .attachments()
        .find_map(|attachment| attachment.tell_used_up(None))?
}

/// Takes back that a failure has told what the run around the caller has used up.
pub(crate) fn untell_used_up_around(used_up: UsedUp) {
    if let Some(scope) = current() {
        // The outermost, as it is the one that a failure speaks of.
        let mut outermost_first = scope.attachments().rev();
        outermost_first.any(|attachment| attachment.untell_used_up(used_up));
    }
}

/// Tells whether the caller runs in a scope.
#[inline]
pub(super) fn is_within_one() -> bool {
    !observe::is_notifying() && CURRENT.try_with(Entered::is_own).unwrap_or(false)
}
