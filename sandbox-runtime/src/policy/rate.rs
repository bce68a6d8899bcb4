//! A [`Rate`] in data.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::data::{described, millis};
use super::{Rate, nearest};
use crate::rules::{CALLS, PER_MS};
use crate::text::sanitized;

/// A rate, as it is written.
#[derive(Serialize)]
pub(super) struct RateInData {
    calls: u32,
    per_ms: u64,
}

impl From<Rate> for RateInData {
    fn from(rate: Rate) -> Self {
        RateInData {
            calls: rate.calls,
            per_ms: millis(rate.per),
        }
    }
}

/// A number of a rate.
struct Part {
    key: &'static str,
    /// What to write where there is none.
    example: &'static str,
    takes: &'static str,
    maximum: u64,
}

const PARTS: [Part; 2] = [
    Part {
        key: CALLS.key,
        example: "10",
        takes: "a whole number of attempts, from 1 to 4294967295",
        maximum: u32::MAX as u64,
    },
    Part {
        key: PER_MS.key,
        example: "1_000",
        takes: "a whole number of milliseconds, at least 1",
        maximum: u64::MAX,
    },
];

impl Part {
    /// The number, or the message about what is there in place of it.
    fn read(&self, table: &Map<String, Value>) -> Result<u64, String> {
        let Part {
            key, example, takes, ..
        } = self;
        let value = table
            .get(*key)
            .ok_or_else(|| format!("`rate` has no `{key}`; add `{key} = {example}`"))?;
        let number = value.as_u64().filter(|number| *number <= self.maximum);
        number.ok_or_else(|| format!("`{key}` of `rate` is {}; it takes {takes}", described(value)))
    }
}

impl Rate {
    /// Reads a rate; `None` if `value` is none.
    pub(super) fn read(value: &Value) -> Option<Rate> {
        let table = value.as_object()?;
        let [calls, per_ms] = PARTS.map(|part| part.read(table).ok());
        let rate = Rate {
            calls: calls?.try_into().ok()?,
            per: Duration::from_millis(per_ms?),
        };
        (table.len() == PARTS.len()).then_some(rate)
    }
}

/// What is wrong with a table that stands where a rate should.
pub(super) fn mistyped_rate(table: &Map<String, Value>) -> String {
    let mut mistakes: Vec<_> = table.keys().filter_map(|key| unknown_key(key)).collect();
    let has_unknown = !mistakes.is_empty();
    for part in PARTS {
        // A number under a wrong key is probably the one that is missing.
        if !has_unknown || table.contains_key(part.key) {
            mistakes.extend(part.read(table).err());
        }
    }
    mistakes.join(". ")
}

fn unknown_key(key: &str) -> Option<String> {
    let known = PARTS.map(|part| part.key);
    if known.contains(&key) {
        return None;
    }
    let remedy = match nearest(key, known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("it takes `{}`", known.join("` and `")),
    };
    Some(format!("`rate` has no key `{}`; {remedy}", sanitized(key)))
}
