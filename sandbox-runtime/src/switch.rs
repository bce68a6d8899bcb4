//! [`Switch`]: a tool that its operator has switched off: why, and until when.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::saturating_add;
use crate::failure::{Detail, Failure, millis};
use crate::gate;
use crate::site::SiteRef;

/// The switch of one tool. It is part of the tool's static.
#[derive(Debug)]
pub(crate) struct Switch {
    is_off: AtomicBool,
    off: Mutex<Option<Arc<Off>>>,
}

/// Why a tool is off, and until when.
#[derive(Debug)]
pub(crate) struct Off {
    pub(crate) reason: Box<str>,
    until: Option<Instant>,
}

impl Off {
    /// How long it stays off; `None` until somebody switches it on.
    pub(crate) fn left_ms(&self) -> Option<u64> {
        let left = self.until?.saturating_duration_since(Instant::now());
        // Rounded up: who comes back after it finds the tool switched on.
        Some(millis(left + Duration::from_nanos(999_999)))
    }
}

impl Switch {
    pub(crate) const fn new() -> Switch {
        Switch {
            is_off: AtomicBool::new(false),
            off: Mutex::new(None),
        }
    }

    /// Switches the tool off, or gives another reason. No attempt is admitted after this has returned.
    pub(crate) fn off(&self, reason: &str, lasts: Option<Duration>) {
        let off = Off {
            reason: reason.into(),
            until: lasts.map(|lasts| saturating_add(Instant::now(), lasts)),
        };
        let mut place = self.locked();
        if place.replace(Arc::new(off)).is_none() {
            gate::count(gate::SWITCHES, |off| off + 1);
        }
        // Relaxed: a thread that learns that this has returned learns it by what orders the two.
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// Switches the tool on; `false` if it was.
    pub(crate) fn on(&self) -> bool {
        self.switch_on(&mut self.locked())
    }

    fn switch_on(&self, place: &mut Option<Arc<Off>>) -> bool {
        let was_off = place.take().is_some();
        if was_off {
            self.is_off.store(false, Ordering::Relaxed);
            gate::count(gate::SWITCHES, |off| off - 1);
        }
        was_off
    }

    /// Tells whether the tool may be off: its time may be over.
    #[inline]
    pub(crate) fn may_be_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    /// Why the tool is off, if it is.
    pub(crate) fn current(&self) -> Option<Arc<Off>> {
        if !self.may_be_off() {
            return None;
        }
        let mut place = self.locked();
        let is_over = place
            .as_ref()
            .is_some_and(|off| off.until.is_some_and(|until| until <= Instant::now()));
        if is_over {
            self.switch_on(&mut place);
        }
        place.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Option<Arc<Off>>> {
        // Nothing panics while it is locked.
        self.off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a call of this function is not to be made.
// One function for all tools.
#[cold]
pub(crate) fn is_off(site: Option<SiteRef>) -> bool {
    site.is_some_and(|site| site.0.switch.current().is_some())
}

/// Adds to the failure of a call that was not made why, and for how long.
#[cold]
pub(crate) fn tell_why(site: Option<SiteRef>, failure: &mut Failure) {
    let off = site.and_then(|site| site.0.switch.current());
    let (reason, left_ms) = match &off {
        Some(off) => (&*off.reason, off.left_ms()),
        None => ("it has just been switched on again", Some(0)),
    };
    failure.retry_after_ms = left_ms;
    failure.detail = Some(Box::new(Detail::Reason(reason.into())));
}
