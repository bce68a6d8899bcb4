//! How [`Overrides`] are read.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Overrides;
use super::document::Table;
use crate::policy::{Unique, UniqueValue, described, given_twice, nearest, unknown};
use crate::text::shown;

const KEYS: &[&str] = &["version", "defaults", "group", "tool", "$schema"];

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Overrides", KEYS, DocumentVisitor)
    }
}

/// One of [`KEYS`]. Formats that know the place of a key report it with the error.
struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = KEYS.iter().find(|key| **key == text);
        found.map(|key| Key(key)).ok_or_else(|| {
            let nearest = nearest(&text, KEYS.iter().copied());
            D::Error::custom(unknown("key", &shown(&text), nearest, KEYS))
        })
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Overrides;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `version` and the tables `defaults`, `group` and `tool`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Overrides, A::Error> {
        let mut overrides = Overrides::default();
        let mut given = Vec::new();
        while let Some(Key(key)) = entries.next_key()? {
            if given.contains(&key) {
                return Err(given_twice(key));
            }
            given.push(key);
            match key {
                "version" => entries.next_value::<Version>().map(drop)?,
                "defaults" => overrides.defaults = table(entries.next_value()?),
                "group" => overrides.group = tables(entries.next_value()?),
                "tool" => overrides.tool = tables(entries.next_value()?),
                _ => entries.next_value::<Schema>().map(drop)?,
            }
        }
        match given.contains(&"version") {
            true => Ok(overrides),
            false => Err(A::Error::custom(format_args!(
                "missing field `version`; write `version = {}` at the top",
                Overrides::VERSION
            ))),
        }
    }
}

/// That of [`Overrides::VERSION`].
struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let UniqueValue(value) = UniqueValue::deserialize(deserializer)?;
        let known = Overrides::VERSION;
        Err(D::Error::custom(match value.as_u64() {
            Some(version) if version == known => return Ok(Version),
            Some(version) => format!("`version` is {version}, and this program reads version {known}"),
            None => format!(
                "`version` is {}; it takes a whole number: write `version = {known}`",
                described(&value)
            ),
        }))
    }
}

/// What an editor finds the schema by.
struct Schema;

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match UniqueValue::deserialize(deserializer)?.0 {
            Value::String(_) => Ok(Schema),
            other => Err(D::Error::custom(format_args!(
                "`$schema` is {}; it takes a text, the address of the schema",
                described(&other)
            ))),
        }
    }
}

fn table(Unique(settings): Unique<UniqueValue>) -> Table {
    let settings = settings.into_iter();
    settings.map(|(key, UniqueValue(value))| (key, value)).collect()
}

fn tables(Unique(tables): Unique<Unique<UniqueValue>>) -> BTreeMap<String, Table> {
    tables
        .into_iter()
        .map(|(name, settings)| (name, table(settings)))
        .collect()
}
