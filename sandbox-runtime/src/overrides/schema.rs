//! The JSON Schema of [`Overrides`].

use serde_json::{Map, Value, json};

use super::Overrides;
use crate::rules::{POLICY_KEYS, PolicyKey};

impl Overrides {
    /// The JSON Schema (draft 2020-12) of the format: for editors, and for whoever writes overrides by program.
    ///
    /// What it accepts may still break a rule about two settings, or name a tool that the program does not have.
    #[must_use]
    pub fn json_schema() -> Value {
        let tables = json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/settings" } });
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Overrides of sandboxed tools",
            "type": "object",
            "properties": {
                "$schema": { "type": "string" },
                "version": { "const": Overrides::VERSION },
                "defaults": { "$ref": "#/$defs/settings" },
                "group": tables,
                "tool": tables,
            },
            "required": ["version"],
            "additionalProperties": false,
            "$defs": {
                "settings": { "type": "object", "properties": settings(), "additionalProperties": false },
            },
        })
    }
}

fn settings() -> Map<String, Value> {
    let settings = POLICY_KEYS.iter().map(|spec| (spec.text.to_owned(), setting(spec.key)));
    settings.collect()
}

fn setting(key: PolicyKey) -> Value {
    let number = |minimum: u64, maximum: u64| json!({ "type": "integer", "minimum": minimum, "maximum": maximum });
    match key {
        PolicyKey::TimeoutMs => json!({ "anyOf": [number(1, u64::MAX), { "const": "off" }] }),
        PolicyKey::MaxRetries => number(0, u32::MAX.into()),
        PolicyKey::DeadlineMs => number(1, u64::MAX),
        PolicyKey::BackoffBaseMs | PolicyKey::BackoffMaxMs | PolicyKey::QueueMs | PolicyKey::JitterSeed => {
            number(0, u64::MAX)
        }
        PolicyKey::Jitter => json!({ "enum": ["none", "full", "equal"] }),
        PolicyKey::Idempotent => json!({ "type": "boolean" }),
        PolicyKey::MaxConcurrent => number(1, u32::MAX.into()),
        PolicyKey::Rate => json!({
            "type": "object",
            "properties": {
                "calls": number(1, u32::MAX.into()),
                "per_ms": number(1, u64::MAX),
                "scope": { "enum": ["process", "fleet"] },
            },
            "required": ["calls", "per_ms"],
            "additionalProperties": false,
        }),
    }
}
