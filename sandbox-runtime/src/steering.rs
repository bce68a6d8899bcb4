//! [`Steering`]: what an operator has set for a tool while the program runs: that it is off, other settings, that its breaker only
//! looks on.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::time::Instant;

use crate::clock::saturating_add;
use crate::failure::{Detail, Failure, millis};
use crate::gate::STEERED_TOOLS;
use crate::overrides::Override;
use crate::policy::Policy;
use crate::site::SiteRef;
use crate::sync::{Flags, Lock};

/// What is set for one tool. It is part of the tool's static.
#[derive(Debug)]
pub(crate) struct Steering<F = AtomicU32, L = Mutex<Settings>> {
    /// Which of it is set, for a look without the lock.
    set: F,
    settings: L,
    /// The other settings of its calls. Every call reads them, which takes no lock; they change under that of what is set.
    policy: ArcSwapOption<Override>,
}

/// The other settings of a tool as a call finds them, if some are set.
pub(crate) type Found = Guard<Option<Arc<Override>>>;

#[derive(Debug)]
pub(crate) struct Settings {
    off: Option<Arc<Off>>,
    has_policy: bool,
    is_shadow: bool,
}

/// Why a tool is off, and until when.
#[derive(Debug)]
pub(crate) struct Off {
    pub(crate) reason: Box<str>,
    until: Option<Instant>,
}

const OFF: u32 = 1;
const POLICY: u32 = 2;
const SHADOW: u32 = 4;

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
            has_policy: false,
            is_shadow: false,
        }
    }

    /// Why the tool is off, if it still is.
    fn off_now(&mut self) -> Option<Arc<Off>> {
        if self.off.as_ref().is_some_and(|off| off.is_over()) {
            self.off = None;
        }
        self.off.clone()
    }

    /// A bit for each thing that is set.
    fn set(&self) -> u32 {
        let bit = |bit, is_set| if is_set { bit } else { 0 };
        bit(OFF, self.off.is_some()) | bit(POLICY, self.has_policy) | bit(SHADOW, self.is_shadow)
    }
}

impl Steering {
    pub(crate) const fn new() -> Steering {
        Steering {
            set: AtomicU32::new(0),
            settings: Mutex::new(Settings::none()),
            policy: ArcSwapOption::const_empty(),
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
    pub(crate) fn set_policy(&self, policy: Option<Override>) -> bool {
        let policy = policy.map(Arc::new);
        self.change(|settings| {
            settings.has_policy = policy.is_some();
            let is_changed = *self.policy.load() != policy;
            self.policy.store(policy);
            is_changed
        })
    }

    /// Lets the breaker refuse nothing, or refuse again. Tells whether that changes anything.
    pub(crate) fn set_shadow(&self, is_shadow: bool) -> bool {
        self.change(|settings| std::mem::replace(&mut settings.is_shadow, is_shadow)) != is_shadow
    }

    /// Takes back everything that is set.
    pub(crate) fn forget(&self) {
        self.change(|settings| {
            *settings = Settings::none();
            self.policy.store(None);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        self.change_counted(Change::count, change)
    }

    /// Why the tool is off, if it is.
    #[inline]
    pub(crate) fn off(&self) -> Option<Arc<Off>> {
        self.has(OFF).then(|| self.change(Settings::off_now))?
    }

    /// The other settings, if some are set.
    #[inline]
    pub(crate) fn policy(&self) -> Found {
        match self.has(POLICY) {
            true => self.policy.load(),
            false => Guard::from_inner(None),
        }
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.has(SHADOW)
    }
}

/// Whether a change is the first thing that is set for a tool, or takes back the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    First,
    Last,
    Other,
}

impl Change {
    fn count(self) {
        match self {
            Change::First => STEERED_TOOLS.add(),
            Change::Last => STEERED_TOOLS.subtract(),
            Change::Other => {}
        }
    }
}

impl<F: Flags, L: Lock<Settings>> Steering<F, L> {
    /// Changes what is set. The gate is open once this has returned, if `count` sees to it.
    fn change_counted<T>(&self, count: impl FnOnce(Change), change: impl FnOnce(&mut Settings) -> T) -> T {
        self.settings.change(|settings| {
            let before = settings.set();
            let result = change(settings);
            let after = settings.set();
            count(match (before, after) {
                (0, 1..) => Change::First,
                (1.., 0) => Change::Last,
                _ => Change::Other,
            });
            // A thread that learns that this has returned learns it by what orders the two.
            self.set.put(after);
            result
        })
    }

    /// Tells whether anything may be set: the time of it may be over.
    #[inline]
    pub(crate) fn may_be_set(&self) -> bool {
        self.set.all() != 0
    }

    /// Tells whether there are other settings.
    pub(crate) fn has_policy(&self) -> bool {
        self.has(POLICY)
    }

    #[inline]
    fn has(&self, bit: u32) -> bool {
        self.set.all() & bit != 0
    }
}

/// Tells whether a call of this function is not to be made.
// One function for all tools, as the next ones.
#[cold]
pub(crate) fn is_off(site: Option<SiteRef>) -> bool {
    site.is_some_and(|site| site.0.steering.off().is_some())
}

/// The settings of a call of this function, if an operator has set some of them; `given` are those that it has by itself.
#[inline]
pub(crate) fn policy_for(site: Option<SiteRef>, given: impl FnOnce() -> Policy) -> Found {
    let Some(site) = site else {
        return Guard::from_inner(None);
    };
    let found = site.0.steering.policy();
    match site.0.info.is_policy_given {
        true => on_top_of(given(), &found),
        false => found,
    }
}

#[cold]
fn on_top_of(given: Policy, found: &Found) -> Found {
    let set = found.as_ref().map(|set| Arc::new(set.on_top_of(given)));
    Guard::from_inner(set)
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

#[cfg(test)]
mod tests {
    use loom::sync::Mutex;
    use loom::sync::atomic::AtomicU32;
    use loom::thread;

    use super::*;
    use crate::gate::{Number, STEERED};

    /// A gate and two tools, as a model checker has them.
    struct Tools {
        gate: AtomicU32,
        steered: Number<Mutex<usize>>,
        tools: [Steering<AtomicU32, Mutex<Settings>>; 2],
    }

    impl Tools {
        fn new() -> loom::sync::Arc<Tools> {
            let tool = || Steering {
                set: AtomicU32::new(0),
                settings: Mutex::new(Settings::none()),
                policy: ArcSwapOption::const_empty(),
            };
            loom::sync::Arc::new(Tools {
                gate: AtomicU32::new(0),
                steered: Number::of(STEERED, Mutex::new(0)),
                tools: [tool(), tool()],
            })
        }

        fn change(&self, tool: usize, change: impl FnOnce(&mut Settings)) {
            let count = |change| match change {
                Change::First => self.steered.change_at(&self.gate, |number| number + 1),
                Change::Last => self.steered.change_at(&self.gate, |number| number - 1),
                Change::Other => {}
            };
            self.tools[tool].change_counted(count, change);
        }

        fn switch_off(&self, tool: usize) {
            let reason = "the model says so".into();
            self.change(tool, |settings| {
                settings.off = Some(Arc::new(Off { reason, until: None }))
            });
        }

        fn switch_on(&self, tool: usize) {
            self.change(tool, |settings| settings.off = None);
        }

        /// What a call looks at before an attempt, in the order in which it does.
        fn admits(&self, tool: usize) -> bool {
            self.gate.all() & STEERED == 0 || !self.tools[tool].has(OFF)
        }
    }

    /// Whatever operators do to other tools, no attempt is admitted from when a tool has been switched off until it is switched on:
    /// in the thread that has switched it off, and in one that has learnt of that.
    #[test]
    fn what_is_off_admits_nothing() {
        loom::model(|| {
            let (tools, is_off) = (Tools::new(), loom::sync::Arc::new(AtomicU32::new(0)));
            let other = {
                let tools = tools.clone();
                thread::spawn(move || {
                    tools.switch_off(1);
                    assert!(!tools.admits(1), "the other tool is off");
                    tools.switch_on(1);
                })
            };
            let caller = {
                let (tools, is_off) = (tools.clone(), is_off.clone());
                thread::spawn(move || {
                    let is_off = is_off.load(std::sync::atomic::Ordering::Acquire) == 1;
                    assert!(
                        !(is_off && tools.admits(0)),
                        "an attempt of a tool that is off was admitted"
                    );
                })
            };
            tools.switch_off(0);
            assert!(!tools.admits(0), "it is off for the thread that has switched it off");
            is_off.store(1, std::sync::atomic::Ordering::Release);
            caller.join().unwrap();
            other.join().unwrap();
            assert!(!tools.admits(0), "it is off whatever happened to the other");
            assert!(tools.admits(1), "the other one is on again");
            tools.switch_on(0);
            assert!(tools.admits(0), "it is on again");
            assert_eq!(tools.gate.all(), 0, "the gate is closed once nothing is set");
        });
    }
}
