//! The check of overrides: which tools they are for, and whether what results makes sense for each.

use std::collections::HashSet;

use serde_json::Value;

use super::conflict::{Conflict, conflicts};
use super::document::Table;
use super::names::{check_module, tool_named};
use super::{Mistake, Override, Overrides, OverridesError};
use crate::policy::{Policy, mistyped, unknown_setting};
use crate::registry::{self, ToolHandle};
use crate::rules::{OTHER_KEY_TEXTS, PolicyKey, PolicyKeySpec};
use crate::text::shown;

/// A table, with those of its settings that make sense by themselves.
struct Layer {
    /// As TOML spells it.
    table: String,
    scope: Scope,
    settings: Vec<(&'static PolicyKeySpec, Value)>,
}

/// The tools that a table is for.
enum Scope {
    All,
    Within(String),
    One(ToolHandle),
    /// A name that no tool has.
    Unknown,
}

impl Scope {
    fn has(&self, tool: &ToolHandle) -> bool {
        match self {
            Scope::All => true,
            Scope::Within(module) => tool.is_within(module),
            Scope::One(one) => one == tool,
            Scope::Unknown => false,
        }
    }
}

impl Overrides {
    /// What every tool of the program gets by these.
    pub(super) fn check(&self) -> Result<Vec<(ToolHandle, Option<Override>)>, OverridesError> {
        let mut mistakes = Vec::new();
        let layers = self.layers(&mut mistakes);
        let settings = registry::tools_in_order()
            .into_iter()
            .map(|tool| (tool, override_of(tool, &layers, &mut mistakes)))
            .collect();
        match mistakes.is_empty() {
            true => Ok(settings),
            false => {
                // In the order of the tables, and within one as they were found.
                mistakes.sort_by_key(|mistake| layers.iter().position(|layer| layer.table == mistake.table));
                // Of two tools with one path, a table for both has the same to say.
                let mut told = HashSet::new();
                mistakes.retain(|mistake| told.insert(mistake.to_string()));
                Err(OverridesError::new(mistakes))
            }
        }
    }

    /// From the most general to the most specific.
    fn layers(&self, mistakes: &mut Vec<Mistake>) -> Vec<Layer> {
        let mut layers = vec![layer("[defaults]".to_owned(), Scope::All, &self.defaults, mistakes)];
        let mut groups: Vec<_> = self.group.iter().collect();
        // A path is longer than those that it lies within.
        groups.sort_by_key(|(module, _)| module.len());
        for (module, table) in groups {
            let name = table_name("group", module);
            if let Err(message) = check_module(module) {
                mistakes.push(Mistake::in_table(&name, message));
            }
            layers.push(layer(name, Scope::Within(module.clone()), table, mistakes));
        }
        for (tool, table) in &self.tool {
            let name = table_name("tool", tool);
            let scope = scope_of_tool(&name, tool, &layers, mistakes);
            layers.push(layer(name, scope, table, mistakes));
        }
        layers
    }
}

fn table_name(kind: &str, name: &str) -> String {
    format!("[{kind}.\"{}\"]", shown(name))
}

fn scope_of_tool(table: &str, name: &str, layers: &[Layer], mistakes: &mut Vec<Mistake>) -> Scope {
    let message = match tool_named(name) {
        Ok(tool) => match table_of(tool, layers) {
            None => return Scope::One(tool),
            Some(other) => format!("this is the tool of {}; keep one of the tables", other.table),
        },
        Err(message) => message,
    };
    mistakes.push(Mistake::in_table(table, message));
    Scope::Unknown
}

/// The table that is for this tool alone.
fn table_of(tool: ToolHandle, layers: &[Layer]) -> Option<&Layer> {
    let is_for_it = |layer: &&Layer| matches!(layer.scope, Scope::One(one) if one == tool);
    layers.iter().find(is_for_it)
}

/// Checks each setting of a table by itself.
fn layer(table: String, scope: Scope, settings: &Table, mistakes: &mut Vec<Mistake>) -> Layer {
    let mut good = Vec::new();
    for (key, value) in settings {
        match check_setting(key, value) {
            Ok(spec) => good.push((spec, value.clone())),
            Err(message) => mistakes.push(Mistake::at(&table, key, message)),
        }
    }
    Layer {
        table,
        scope,
        settings: good,
    }
}

fn check_setting(key: &str, value: &Value) -> Result<&'static PolicyKeySpec, String> {
    let Some(spec) = PolicyKeySpec::find(key) else {
        return Err(match OTHER_KEY_TEXTS.contains(&key) {
            true => format!("`{key}` is compiled in: only the attribute sets it"),
            false => unknown_setting(&shown(key)),
        });
    };
    // Without limits that it could be compared with.
    let mut alone = Policy::new()
        .timeout(Policy::NO_TIMEOUT)
        .backoff_base(std::time::Duration::ZERO);
    if alone.set(spec.key, value).is_none() {
        return Err(mistyped(spec, value));
    }
    match alone.validate() {
        Ok(()) => Ok(spec),
        Err(error) => Err(error.to_string()),
    }
}

/// What a tool gets by these tables; nothing if none of them sets anything for it.
fn override_of(tool: ToolHandle, layers: &[Layer], mistakes: &mut Vec<Mistake>) -> Option<Override> {
    let merged = merged(tool, layers);
    let (first, ..) = merged.first()?;
    let settings = merged
        .iter()
        .map(|(_, key, value)| (*key, Value::clone(value)))
        .collect();
    let set = Override::new(settings, tool.policy());
    let layer_of = |key| {
        merged
            .iter()
            .find(|(_, set, _)| *set == key)
            .map_or(*first, |(layer, ..)| *layer)
    };
    for Conflict { at_fault, key, message } in conflicts(tool, &set) {
        mistakes.push(mistake_for(tool, layer_of(at_fault), key, message));
    }
    if !tool.is_policy_given() && tool.policy().max_retries == 0 && set.policy.max_retries > 0 {
        let layer = layer_of(PolicyKey::MaxRetries);
        let message = raised_retries(tool, layer, table_of(tool, layers));
        mistakes.push(mistake_for(tool, layer, "max_retries", message));
    }
    Some(set)
}

/// The settings for a tool, each from the most specific table that has it.
fn merged(tool: ToolHandle, layers: &[Layer]) -> Vec<(&Layer, PolicyKey, &Value)> {
    let mut merged: Vec<(&Layer, PolicyKey, &Value)> = Vec::new();
    for layer in layers.iter().filter(|layer| layer.scope.has(&tool)) {
        for (spec, value) in &layer.settings {
            merged.retain(|(_, key, _)| *key != spec.key);
            merged.push((layer, spec.key, value));
        }
    }
    merged
}

fn mistake_for(tool: ToolHandle, layer: &Layer, key: &str, message: String) -> Mistake {
    let is_for_one = matches!(layer.scope, Scope::One(_));
    Mistake {
        tool: (!is_for_one).then(|| tool.path()),
        ..Mistake::at(&layer.table, key, message)
    }
}

/// The message about retries for a tool that has none; `own` is the table for it alone.
fn raised_retries(tool: ToolHandle, layer: &Layer, own: Option<&Layer>) -> String {
    let remedy = match layer.scope {
        Scope::One(_) => "write 0 here, or set at least 1 there".to_owned(),
        // What stands here is also for tools that can be run again.
        _ => {
            let own = own.map_or_else(|| table_name("tool", &tool.path()), |own| own.table.clone());
            format!("add `max_retries = 0` under `{own}`, or set at least 1 in the attribute")
        }
    };
    format!(
        "`max_retries` cannot be raised: `{}` hands its arguments to its only attempt, because its attribute has \
         `max_retries = 0`; {remedy}",
        tool.name()
    )
}
