//! [`Steering`]: what an operator has set for a tool while the program runs: that it is off, other settings, that its breaker only
//! looks on.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::saturating_add;
use crate::failure::{Detail, Failure, millis};
use crate::gate;
use crate::overrides::Override;
use crate::policy::Policy;
use crate::site::SiteRef;

/// What is set for one tool. It is part of the tool's static.
#[derive(Debug)]
pub(crate) struct Steering {
    /// Which of it is set, for a look without the lock.
    set: AtomicU8,
    settings: Mutex<Settings>,
}

#[derive(Debug)]
struct Settings {
    off: Option<Arc<Off>>,
    policy: Option<Arc<Override>>,
    is_shadow: bool,
}

/// Why a tool is off, and until when.
#[derive(Debug)]
pub(crate) struct Off {
    pub(crate) reason: Box<str>,
    until: Option<Instant>,
}

const OFF: u8 = 1;
const POLICY: u8 = 2;
const SHADOW: u8 = 4;

impl Off {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// How long it stays off; `None` until somebody switches it on.
    pub(crate) fn left_ms(&self) -> Option<u64> {
        let left = self.until?.saturating_duration_since(Instant::now());
        // Rounded up: who comes back after it finds the tool switched on.
        Some(millis(left + Duration::from_nanos(999_999)))
    }
}

impl Settings {
    const fn none() -> Settings {
        Settings {
            off: None,
            policy: None,
            is_shadow: false,
        }
    }

    fn set(&self) -> u8 {
        let bit = |bit, is_set| if is_set { bit } else { 0 };
        bit(OFF, self.off.is_some()) | bit(POLICY, self.policy.is_some()) | bit(SHADOW, self.is_shadow)
    }
}

impl Steering {
    pub(crate) const fn new() -> Steering {
        Steering {
            set: AtomicU8::new(0),
            settings: Mutex::new(Settings::none()),
        }
    }

    /// Switches the tool off, or gives another reason. No attempt is admitted after this has returned.
    pub(crate) fn switch_off(&self, reason: &str, lasts: Option<Duration>) {
        let off = Off {
            reason: reason.into(),
            until: lasts.map(|lasts| saturating_add(Instant::now(), lasts)),
        };
        self.change(|settings| settings.off = Some(Arc::new(off)));
    }

    /// Switches the tool on; `false` if it was.
    pub(crate) fn switch_on(&self) -> bool {
        self.change(|settings| settings.off.take())
            .is_some_and(|off| !off.is_over())
    }

    /// Gives the calls that begin from now on other settings, or those of the tool again. Tells whether that changes anything.
    pub(crate) fn set_policy(&self, policy: Option<Arc<Override>>) -> bool {
        let before = self.change(|settings| std::mem::replace(&mut settings.policy, policy.clone()));
        before.as_deref() != policy.as_deref()
    }

    /// Lets the breaker refuse nothing, or refuse again. Tells whether that changes anything.
    pub(crate) fn set_shadow(&self, is_shadow: bool) -> bool {
        self.change(|settings| std::mem::replace(&mut settings.is_shadow, is_shadow)) != is_shadow
    }

    /// Takes back everything that is set.
    pub(crate) fn forget(&self) {
        self.change(|settings| *settings = Settings::none());
    }

    fn change<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        self.change_in(&mut self.locked(), change)
    }

    fn change_in<T>(&self, settings: &mut Settings, change: impl FnOnce(&mut Settings) -> T) -> T {
        let before = settings.set();
        let result = change(settings);
        let after = settings.set();
        match (before, after) {
            (0, 1..) => gate::count(gate::STEERED, |tools| tools + 1),
            (1.., 0) => gate::count(gate::STEERED, |tools| tools - 1),
            _ => {}
        }
        // Relaxed: a thread that learns that this has returned learns it by what orders the two.
        self.set.store(after, Ordering::Relaxed);
        result
    }

    /// Tells whether anything may be set: the time of it may be over.
    #[inline]
    pub(crate) fn may_be_set(&self) -> bool {
        self.set.load(Ordering::Relaxed) != 0
    }

    fn has(&self, bit: u8) -> bool {
        self.set.load(Ordering::Relaxed) & bit != 0
    }

    /// Why the tool is off, if it is.
    pub(crate) fn off(&self) -> Option<Arc<Off>> {
        if !self.has(OFF) {
            return None;
        }
        let mut settings = self.locked();
        if settings.off.as_ref().is_some_and(|off| off.is_over()) {
            self.change_in(&mut settings, |settings| settings.off = None);
        }
        settings.off.clone()
    }

    /// The other settings, if there are some.
    pub(crate) fn policy(&self) -> Option<Arc<Override>> {
        self.has(POLICY).then(|| self.locked().policy.clone())?
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.has(SHADOW)
    }

    fn locked(&self) -> MutexGuard<'_, Settings> {
        // Nothing panics while it is locked.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a call of this function is not to be made.
// One function for all tools, as the next ones.
#[cold]
pub(crate) fn is_off(site: Option<SiteRef>) -> bool {
    site.is_some_and(|site| site.0.steering.off().is_some())
}

/// The settings of a call of this function, if an operator has set some of them; `given` are those that it has by itself.
#[cold]
pub(crate) fn policy_for(site: Option<SiteRef>, given: impl FnOnce() -> Policy) -> Option<Arc<Override>> {
    let site = site?;
    let set = site.0.steering.policy()?;
    Some(match site.0.info.is_policy_given {
        true => Arc::new(set.on_top_of(given())),
        false => set,
    })
}

/// Tells whether the breaker of this function refuses nothing.
#[cold]
pub(crate) fn is_shadow(site: Option<SiteRef>) -> bool {
    site.is_some_and(|site| site.0.steering.is_shadow())
}

/// Adds to the failure of a call that was not made why, and for how long.
#[cold]
pub(crate) fn tell_why(site: Option<SiteRef>, failure: &mut Failure) {
    let off = site.and_then(|site| site.0.steering.off());
    let (reason, left_ms) = match &off {
        Some(off) => (&*off.reason, off.left_ms()),
        None => ("it has just been switched on again", Some(0)),
    };
    failure.retry_after_ms = left_ms;
    failure.detail = Some(Box::new(Detail::Reason(reason.into())));
}
