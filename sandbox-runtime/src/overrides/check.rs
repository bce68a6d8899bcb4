//! The check of overrides: which tools they are for, and whether what results makes sense for each.

use serde_json::Value;

use super::document::Table;
use super::{Mistake, Override, Overrides, OverridesError};
use crate::policy::{Policy, PolicyError, mistyped, nearest, unknown_setting};
use crate::registry::{self, Named, ToolHandle};
use crate::rules::{OTHER_KEY_TEXTS, PolicyKey, PolicyKeySpec};
use crate::text::sanitized;

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
    /// A name that is no tool's.
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
            check_module(&name, module, mistakes);
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
    format!("[{kind}.\"{}\"]", sanitized(name))
}

fn check_module(table: &str, module: &str, mistakes: &mut Vec<Mistake>) {
    if registry::all_tools().any(|tool| tool.is_within(module)) {
        return;
    }
    let fact = format!("there is no tool in `{}`", sanitized(module));
    let known = registry::all_tools().map(|tool| tool.module());
    mistakes.push(Mistake::in_table(table, with_nearest(&fact, module, known)));
}

fn scope_of_tool(table: &str, name: &str, layers: &[Layer], mistakes: &mut Vec<Mistake>) -> Scope {
    let message = match registry::named(name) {
        Named::One(tool) => match layers
            .iter()
            .find(|layer| matches!(&layer.scope, Scope::One(one) if *one == tool))
        {
            None => return Scope::One(tool),
            Some(other) => format!("this is the tool of {}; keep one of the tables", other.table),
        },
        Named::Several(tools) => {
            let mut paths: Vec<_> = tools.iter().map(|tool| format!("`{}`", tool.path())).collect();
            paths.sort();
            format!(
                "several tools have this name; write the path of one: {}",
                paths.join(" or ")
            )
        }
        Named::Nobody => {
            let fact = format!("there is no tool `{}`", sanitized(name));
            let names = registry::all_tools().map(|tool| tool.name());
            match name.rsplit_once("::") {
                None => with_nearest(&fact, name, names),
                Some((_, last)) => with_nearest(&fact, last, names),
            }
        }
    };
    mistakes.push(Mistake::in_table(table, message));
    Scope::Unknown
}

fn with_nearest(fact: &str, text: &str, known: impl Iterator<Item = &'static str>) -> String {
    match nearest(text, known) {
        Some(nearest) => format!("{fact}; did you mean `{nearest}`?"),
        None => format!("{fact}; `tools()` lists those of the program"),
    }
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
            false => unknown_setting(&sanitized(key)),
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
    let mut merged: Vec<(&Layer, PolicyKey, &Value)> = Vec::new();
    for layer in layers.iter().filter(|layer| layer.scope.has(&tool)) {
        for (spec, value) in &layer.settings {
            merged.retain(|(_, key, _)| *key != spec.key);
            merged.push((layer, spec.key, value));
        }
    }
    if merged.is_empty() {
        return None;
    }
    let settings = merged
        .iter()
        .map(|(_, key, value)| (*key, Value::clone(value)))
        .collect();
    let set = Override::new(settings, tool.policy());
    for (key, text, message) in broken(tool, &set) {
        let layer = merged.iter().find(|(_, set, _)| *set == key).or(merged.first());
        let (table, is_for_one) = layer.map_or(("", false), |(layer, ..)| {
            (layer.table.as_str(), matches!(layer.scope, Scope::One(_)))
        });
        mistakes.push(Mistake {
            tool: (!is_for_one).then(|| tool.path()),
            ..Mistake::at(table, text, message)
        });
    }
    Some(set)
}

/// The rules that a tool's settings break together.
fn broken(tool: ToolHandle, set: &Override) -> Vec<(PolicyKey, &'static str, String)> {
    let mut broken = Vec::new();
    // Of a policy that each call brings with it, the other half of a pair is not known.
    if !tool.is_policy_given() {
        for error in set.policy.broken_rules().into_iter().flatten() {
            broken.push((key_at_fault(&error, set), error.key(), error.to_string()));
        }
        if tool.policy().max_retries == 0 && set.policy.max_retries > 0 {
            let message = format!(
                "`max_retries` cannot be raised: `{}` hands its arguments to its only attempt, because its attribute has \
                 `max_retries = 0`; write 0 here, or set at least 1 there",
                tool.name()
            );
            broken.push((PolicyKey::MaxRetries, "max_retries", message));
        }
    }
    broken
}

/// The key of an override that breaks a rule: of a pair, the one that is set here.
fn key_at_fault(error: &PolicyError, set: &Override) -> PolicyKey {
    let keys: [PolicyKey; 2] = match error {
        PolicyError::DeadlineWithinTimeout { .. } => [PolicyKey::DeadlineMs, PolicyKey::TimeoutMs],
        PolicyError::BackoffBaseOverMax { .. } => [PolicyKey::BackoffMaxMs, PolicyKey::BackoffBaseMs],
        PolicyError::ZeroTimeout => [PolicyKey::TimeoutMs; 2],
        PolicyError::ZeroDeadline => [PolicyKey::DeadlineMs; 2],
        PolicyError::ZeroConcurrency => [PolicyKey::MaxConcurrent; 2],
        PolicyError::ZeroCalls | PolicyError::ZeroPeriod => [PolicyKey::Rate; 2],
    };
    let is_set = |key: &PolicyKey| set.settings.iter().any(|(other, _)| other == key);
    keys.into_iter().find(is_set).unwrap_or(keys[0])
}
