//! [`Overrides`]: settings that an operator gives to the tools of a running program.

mod check;
mod conflict;
mod document;
mod error;
mod names;
mod read;
mod schema;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::observe::{Action, operator_acted, overrides_refused};
use crate::policy::Policy;
use crate::registry::{ToolHandle, tools_in_order};
use crate::rules::PolicyKey;
use crate::surroundings::isolation_around;

pub use document::Overrides;
pub use error::{Mistake, OverridesError};

/// The settings that one tool has from an operator.
#[derive(PartialEq)]
pub(crate) struct Override {
    settings: Vec<(PolicyKey, Value)>,
    /// Those of the attribute, or of the call, with these on top.
    pub(crate) policy: Policy,
}

impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.settings.iter().map(|(key, value)| (key, value)))
            .finish()
    }
}

impl Override {
    /// These settings on top of a policy.
    fn new(settings: Vec<(PolicyKey, Value)>, mut policy: Policy) -> Override {
        for (key, value) in &settings {
            // The value has been checked to be one that the key takes.
            let _ = policy.set(*key, value);
        }
        Override { settings, policy }
    }

    fn sets(&self, key: PolicyKey) -> bool {
        self.settings.iter().any(|(set, _)| *set == key)
    }

    /// The same settings on top of another policy.
    pub(crate) fn on_top_of(&self, policy: Policy) -> Override {
        Override::new(self.settings.clone(), policy)
    }
}

/// Those in force in one place. Held while they change, so that two changes do not mix.
#[derive(Debug)]
pub(crate) struct InForce(Mutex<Option<Overrides>>);

impl InForce {
    pub(crate) const fn nothing() -> InForce {
        InForce(Mutex::new(None))
    }

    fn locked(&self) -> MutexGuard<'_, Option<Overrides>> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something to those that are in force for the caller: in an isolated scope, these are its own.
fn with_current<T>(act: impl FnOnce(&mut Option<Overrides>) -> T) -> T {
    static OF_PROCESS: InForce = InForce::nothing();
    let isolation = isolation_around();
    let in_force = isolation
        .as_deref()
        .map_or(&OF_PROCESS, |isolation| isolation.overrides());
    act(&mut in_force.locked())
}

impl Overrides {
    /// Puts these settings in force, in place of all that were applied before: for the calls that begin from now on, in this
    /// process. Calls under way keep the settings that they began with, and breakers their state and counts.
    ///
    /// # Errors
    ///
    /// Every mistake at once: an unknown tool, module or key, a value that a key does not take, one that breaks a rule of
    /// [`Policy::validate`], also beside what the attribute or another table says, a timeout within which no success would be slow
    /// for the attribute's breaker, and retries for a tool that cannot be run again. Nothing has changed then, for any tool.
    pub fn apply(&self) -> Result<(), OverridesError> {
        match self.check() {
            Ok(settings) => {
                report(with_current(|current| {
                    *current = Some(self.clone());
                    put_in_force(settings)
                }));
                Ok(())
            }
            Err(error) => {
                overrides_refused(&error);
                Err(error)
            }
        }
    }

    /// Gives every tool the settings of its attribute again.
    pub fn clear() {
        let tools = tools_in_order().into_iter().map(|tool| (tool, None)).collect();
        report(with_current(|current| {
            *current = None;
            put_in_force(tools)
        }));
    }

    /// Those that were applied last; empty ones if there are none.
    #[must_use]
    pub fn current() -> Overrides {
        with_current(|current| current.clone()).unwrap_or_default()
    }
}

/// Returns the tools of which it changes anything.
fn put_in_force(settings: Vec<(ToolHandle, Option<Override>)>) -> Vec<(ToolHandle, Action)> {
    let changed = settings.into_iter().filter_map(|(tool, set)| {
        let action = if set.is_some() {
            Action::Overridden
        } else {
            Action::Restored
        };
        tool.set_policy(set).then_some((tool, action))
    });
    changed.collect()
}

fn report(changed: Vec<(ToolHandle, Action)>) {
    for (tool, action) in changed {
        operator_acted(tool, action, None);
    }
}
