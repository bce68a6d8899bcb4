//! Who observes, and what each wants to know: the observers of the process, and how they are told.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Enclosure, Event, ObservedTool, Observer, ServedRequest};
use crate::call::current::CallId;
use crate::call::nested;
use crate::gate;
use crate::site::SiteRef;
use crate::surroundings::{self, Attachment};

static OBSERVERS: RwLock<Vec<Arc<dyn Observer>>> = RwLock::new(Vec::new());

/// Changes whenever the observers do: the bits that [`Interest`] leaves.
static GENERATION: AtomicU32 = AtomicU32::new(Interest::GENERATION);

/// What the observers of the process want to know of one function, as of one generation of them.
#[derive(Debug)]
pub(crate) struct Interest(AtomicU32);

impl Interest {
    /// Of one that encloses calls, which may sleep.
    const OF_ENCLOSER: u32 = 1;
    const OF_ANOTHER: u32 = 2;
    const GENERATION: u32 = 4;

    pub(crate) const fn unknown() -> Self {
        Interest(AtomicU32::new(0))
    }
}

/// Tells whether it is known that no observer of the process wants to know of a call of this function: by one comparison, for which
/// the kinds of those who do stand beside the generation.
#[inline]
pub(crate) fn is_of_no_interest(site: Option<SiteRef>) -> bool {
    // Relaxed: whoever attaches an observer and hands a call to this thread orders the two. Of a tool made by hand, nobody
    // remembers.
    site.is_some_and(|site| site.0.interest.0.load(Ordering::Relaxed) == GENERATION.load(Ordering::Relaxed))
}

/// Tells whether an observer of the process may want to know of a call; asks them, unless they have been asked.
pub(crate) fn interests(site: Option<SiteRef>) -> bool {
    let Some(site) = site else {
        return true;
    };
    let interest = site.0.interest.0.load(Ordering::Relaxed);
    let is_current = interest & !(Interest::GENERATION - 1) == GENERATION.load(Ordering::Relaxed);
    let interest = if is_current { interest } else { ask_for_interest(site) };
    interest & Interest::OF_ANOTHER != 0 || interest & Interest::OF_ENCLOSER != 0 && is_encloser_awake()
}

#[cold]
fn ask_for_interest(site: SiteRef) -> u32 {
    // Before the observers: if one is attached meanwhile, the answer is outdated, and it is known to be.
    let generation = GENERATION.load(Ordering::Relaxed);
    let interest = generation | ask(site);
    site.0.interest.0.store(interest, Ordering::Relaxed);
    interest
}

#[cfg(feature = "tracing")]
use super::tracing::is_awake as is_encloser_awake;

/// Only spans enclose calls.
#[cfg(not(feature = "tracing"))]
fn is_encloser_awake() -> bool {
    false
}

#[cold]
fn ask(site: SiteRef) -> u32 {
    let tool = ObservedTool::new(site.0.info.name, Some(site.into()));
    let interested = of_process().into_iter().filter(|observer| wants(observer, &tool));
    let kinds = interested.map(|observer| match observer.encloser() {
        Some(_) => Interest::OF_ENCLOSER,
        None => Interest::OF_ANOTHER,
    });
    kinds.fold(0, |interest, kind| interest | kind)
}

fn of_process() -> Vec<Arc<dyn Observer>> {
    OBSERVERS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn wants(observer: &Arc<dyn Observer>, tool: &ObservedTool) -> bool {
    within_observer(|| observer.wants(tool)).unwrap_or_default()
}

thread_local! {
    /// Whether this thread is within an observer.
    static NOTIFYING: Cell<bool> = const { Cell::new(false) };
}

/// Attaches an observer to all calls of the process that begin from now on, until the guard is dropped.
pub fn observe(observer: impl Observer) -> Observing {
    let observer: Arc<dyn Observer> = Arc::new(observer);
    let mut observers = OBSERVERS.write().unwrap_or_else(PoisonError::into_inner);
    observers.push(Arc::clone(&observer));
    GENERATION.fetch_add(Interest::GENERATION, Ordering::Relaxed);
    gate::open(gate::OBSERVERS);
    Observing(observer)
}

/// Attaches an observer to the calls in `future`, beside those for the whole process. Calls in spawned tasks are outside, unless
/// [`Budget::inherit`](crate::Budget::inherit) takes them along.
pub fn observe_in<F: Future>(observer: impl Observer, future: F) -> impl Future<Output = F::Output> {
    surroundings::attach(Arc::new(AroundCalls(Arc::new(observer))), future)
}

/// Detaches its observer when it is dropped. Calls that are under way keep it until they end.
#[must_use = "the observer is detached when this is dropped"]
pub struct Observing(Arc<dyn Observer>);

impl Observing {
    /// Leaves the observer attached for the rest of the program.
    pub fn forever(self) {
        std::mem::forget(self);
    }
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observing").finish_non_exhaustive()
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        let mut observers = OBSERVERS.write().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|other| !Arc::ptr_eq(other, &self.0));
        GENERATION.fetch_add(Interest::GENERATION, Ordering::Relaxed);
        if observers.is_empty() {
            // Under the lock, as it is opened: the gate is open while there is an observer.
            gate::close(gate::OBSERVERS);
        }
    }
}

/// An observer of the calls in a future.
struct AroundCalls(Arc<dyn Observer>);

impl fmt::Debug for AroundCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AroundCalls").finish_non_exhaustive()
    }
}

impl Attachment for AroundCalls {
    fn observer(&self) -> Option<&Arc<dyn Observer>> {
        Some(&self.0)
    }
}

/// The observers around a call and of the process that want to know of it. None within an observer.
pub(crate) fn observers_of(
    tool: &ObservedTool,
    around: impl Iterator<Item = Arc<dyn Observer>>,
) -> Vec<Arc<dyn Observer>> {
    if NOTIFYING.get() {
        return Vec::new();
    }
    let mut is_enclosed = false;
    let mut is_told = |observer: &Arc<dyn Observer>| match observer.encloser() {
        Some(encloser) => encloser.is_awake() && !std::mem::replace(&mut is_enclosed, true),
        None => true,
    };
    let interested = around.chain(of_process()).filter(|observer| wants(observer, tool));
    interested.filter(|observer| is_told(observer)).collect()
}

/// Notifies observers, one after the other.
pub(crate) fn notify(observers: &[Arc<dyn Observer>], event: &Event<'_>) {
    for observer in observers {
        let _ = within_observer(|| observer.on_event(event));
    }
}

/// Notifies what encloses a call.
pub(crate) fn notify_enclosure(enclosure: &dyn Enclosure, tell: impl FnOnce(&dyn Enclosure)) {
    let _ = within_observer(|| tell(enclosure));
}

/// What one of the observers has around a call.
pub(crate) fn enclosure_of(
    observers: &[Arc<dyn Observer>],
    tool: &ObservedTool,
    call_id: CallId,
    request: impl FnOnce() -> Option<ServedRequest>,
) -> Option<Box<dyn Enclosure>> {
    let encloser = observers.iter().find_map(|observer| observer.encloser())?;
    within_observer(|| encloser.enclose(tool, call_id, request().as_ref()))
}

/// Tells whether the caller is within an observer: what it calls belongs to nothing that surrounds the call that it is told of.
pub(crate) fn is_notifying() -> bool {
    NOTIFYING.get()
}

/// Runs code of an observer: it learns nothing of what it does itself, a panic in it is its own, and so are the ends of the tools
/// that it calls.
fn within_observer<T>(code: impl FnOnce() -> T) -> Option<T> {
    let was_notifying = NOTIFYING.replace(true);
    let mark = nested::mark();
    let result = catch_unwind(AssertUnwindSafe(code));
    NOTIFYING.set(was_notifying);
    mark.restore();
    // The destructor of a payload may panic as well.
    result.map_err(std::mem::forget).ok()
}
