//! [`Settings`]: what operators have set for the whole service.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox_runtime::{Overrides, OverridesError, ToolHandle, fleet};
use serde::{Deserialize, Serialize};

use crate::store::{StoreError, Versioned};
use crate::watched::Millis;

/// The name that means every tool.
pub const ALL: &str = "*";

/// What operators have set, by the names of tools and modules.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) switches: BTreeMap<String, Switches>,
    /// How often breakers have been reset.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) resets: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overrides: Option<Overrides>,
}

/// What is switched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Switches {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disabled: Option<Disabled>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) forced_open: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) shadow: bool,
}

/// Why a tool is off, and until when by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disabled {
    pub(crate) reason: String,
    pub(crate) until: Option<Millis>,
}

/// What a replica says of its settings in each heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Says {
    /// The version that it has seen.
    pub(crate) settings: u64,
    /// Why it is not in force there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// The names in it that mean nothing there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown: Vec<String>,
}

impl Says {
    pub(crate) fn written(&self) -> String {
        // Neither numbers nor texts can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Nothing is known of one that says it in other words: another version of this crate.
    pub(crate) fn read(text: &str) -> Says {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Settings {
    pub(crate) fn read(versioned: &Versioned) -> Result<Settings, StoreError> {
        if versioned.version == 0 && versioned.text.is_empty() {
            return Ok(Settings::default());
        }
        serde_json::from_str(&versioned.text)
            .map_err(|error| StoreError(format!("the settings of the service cannot be read: {error}")))
    }

    pub(crate) fn written(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError(format!("the settings cannot be written: {error}")))
    }

    /// Changes what is switched for a name.
    pub(crate) fn switch(&mut self, name: &str, change: impl FnOnce(&mut Switches)) {
        let switches = self.switches.entry(name.to_owned()).or_default();
        change(switches);
        if *switches == Switches::default() {
            self.switches.remove(name);
        }
    }

    pub(crate) fn reset(&mut self, name: &str) {
        *self.resets.entry(name.to_owned()).or_default() += 1;
        for (switched, switches) in &mut self.switches {
            let is_within = switched.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
            if switched == name || name == ALL || is_within {
                switches.forced_open = false;
            }
        }
        self.switches.retain(|_, switches| *switches != Switches::default());
    }

    /// The names that mean no tool of this process.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let tools = fleet::tools();
        let names = self.switches.keys().chain(self.resets.keys());
        let unknown = names.filter(|name| !tools.iter().any(|tool| is_meant(*tool, name)));
        unknown.cloned().collect()
    }

    /// What is switched for a tool, by every name that means it.
    fn of(&self, tool: ToolHandle) -> Switches {
        let mut all = Switches::default();
        for (_, switches) in self.switches.iter().filter(|(name, _)| is_meant(tool, name)) {
            all.forced_open |= switches.forced_open;
            all.shadow |= switches.shadow;
            if let Some(disabled) = &switches.disabled {
                // The one that lasts longest.
                let lasts_longer = |other: &Disabled| match (disabled.until, other.until) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(until), Some(other)) => until > other,
                };
                if all.disabled.as_ref().is_none_or(lasts_longer) {
                    all.disabled = Some(disabled.clone());
                }
            }
        }
        all
    }

    /// Puts these settings in force in this process, in place of others: what has not changed between them is left as it is here.
    pub(crate) fn apply_after(&self, before: &Settings, now: Millis) -> Result<(), OverridesError> {
        for tool in fleet::tools() {
            let switches = self.of(tool);
            switch_tool(tool, &switches, &before.of(tool), now);
            let is_reset = |(name, number): (&String, &u64)| {
                is_meant(tool, name) && before.resets.get(name).copied().unwrap_or_default() < *number
            };
            // Opened by another name it stays so: a replica that starts later could not know better.
            if !switches.forced_open && self.resets.iter().any(is_reset) {
                tool.reset();
            }
        }
        match (&self.overrides, &before.overrides) {
            (new, old) if new == old => Ok(()),
            (Some(new), _) => new.apply(),
            (None, _) => {
                Overrides::clear();
                Ok(())
            }
        }
    }
}

fn switch_tool(tool: ToolHandle, switches: &Switches, before: &Switches, now: Millis) {
    if switches.disabled != before.disabled {
        match &switches.disabled {
            Some(Disabled { reason, until: None }) => tool.disable(reason, None),
            Some(Disabled {
                reason,
                until: Some(until),
            }) if *until > now => tool.disable(reason, Some(Duration::from_millis(until - now))),
            // Also if it was over before this replica has learnt of it.
            _ => drop(tool.enable()),
        }
    }
    if switches.forced_open != before.forced_open {
        if switches.forced_open {
            tool.force_open();
        } else {
            tool.reset();
        }
    }
    if switches.shadow != before.shadow {
        tool.shadow(switches.shadow);
    }
}

fn is_meant(tool: ToolHandle, name: &str) -> bool {
    name == ALL || fleet::is_meant(tool, name)
}
