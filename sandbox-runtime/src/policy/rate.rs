//! [`Rate`]: how many attempts begin in a length of time, and how that is written in data.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::data::{described, millis};
use super::{Policy, nearest};
use crate::rules::{CALLS, PER_MS};
use crate::text::sanitized;

/// So many attempts in any length of time that is as long as this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) calls: u32,
    pub(crate) per: Duration,
    pub(crate) scope: RateScope,
}

/// Whose attempts a [rate](Policy::rate) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RateScope {
    /// Those of this process.
    #[default]
    Process,
    /// Those of all replicas of the service, once this process has joined their fleet with the crate `sandbox-fleet`: each has a share of
    /// the rate, by its demand. Until then, this process has all of it. With the feature `fleet`.
    #[cfg(feature = "fleet")]
    Fleet,
}

impl Policy {
    /// Sets how many attempts, retries included, begin in any length of time that is as long as `per`. Default: no limit.
    ///
    /// Further ones wait in the order in which they came, as with [`max_concurrent`](Policy::max_concurrent), and it is shared as that.
    /// A call that is not made because of it ends with [`SandboxError::RateLimited`](crate::SandboxError::RateLimited). Calls that differ
    /// in it obey each their own, beside all attempts that have begun.
    ///
    /// Of a number above 1,024, attempts that follow each other, a 1,024th of all, count as begun when the last of them does: never do
    /// more begin, and less than one of 1,024 waits for longer than it had to.
    #[must_use]
    pub const fn rate(mut self, calls: u32, per: Duration) -> Self {
        let scope = match self.rate {
            Some(rate) => rate.scope,
            None => RateScope::Process,
        };
        self.rate = Some(Rate { calls, per, scope });
        self
    }

    /// Sets whose attempts the [rate](Self::rate) counts, which is to be set before. Default: those of this process.
    #[must_use]
    pub const fn rate_scope(mut self, scope: RateScope) -> Self {
        if let Some(rate) = &mut self.rate {
            rate.scope = scope;
        }
        self
    }
}

/// A rate, as it is written.
#[derive(Serialize)]
pub(super) struct RateInData {
    calls: u32,
    per_ms: u64,
    #[serde(skip_serializing_if = "is_default")]
    scope: RateScope,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_default(scope: &RateScope) -> bool {
    *scope == RateScope::default()
}

impl From<Rate> for RateInData {
    fn from(rate: Rate) -> Self {
        RateInData {
            calls: rate.calls,
            per_ms: millis(rate.per),
            scope: rate.scope,
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

const SCOPE: &str = "scope";

/// The scope that a rate states, if it states one, or the message about what is there in place of it.
fn read_scope(table: &Map<String, Value>) -> Result<Option<RateScope>, String> {
    let Some(value) = table.get(SCOPE) else { return Ok(None) };
    match value.as_str() {
        Some("process") => Ok(Some(RateScope::Process)),
        #[cfg(feature = "fleet")]
        Some("fleet") => Ok(Some(RateScope::Fleet)),
        #[cfg(not(feature = "fleet"))]
        Some("fleet") => Err(format!(
            "`{SCOPE}` of `rate` is \"fleet\", which this program is built without; it needs the feature `fleet`"
        )),
        _ => Err(format!(
            "`{SCOPE}` of `rate` is {}; it takes \"process\" or \"fleet\"",
            described(value)
        )),
    }
}

impl Rate {
    /// Reads a rate; `None` if `value` is none. A scope that is not stated stays as it was `before`: who makes the rate of a whole
    /// service lower does not mean that each of its processes has it.
    pub(super) fn read(value: &Value, before: Option<Rate>) -> Option<Rate> {
        let table = value.as_object()?;
        let [calls, per_ms] = PARTS.map(|part| part.read(table).ok());
        let before = before.map(|rate| rate.scope).unwrap_or_default();
        let rate = Rate {
            calls: calls?.try_into().ok()?,
            per: Duration::from_millis(per_ms?),
            scope: read_scope(table).ok()?.unwrap_or(before),
        };
        table.keys().all(|key| unknown_key(key).is_none()).then_some(rate)
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
    mistakes.extend(read_scope(table).err());
    mistakes.join(". ")
}

fn unknown_key(key: &str) -> Option<String> {
    let known = [CALLS.key, PER_MS.key, SCOPE];
    if known.contains(&key) {
        return None;
    }
    let remedy = match nearest(key, known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("it takes `{}`", known.join("`, `")),
    };
    Some(format!("`rate` has no key `{}`; {remedy}", sanitized(key)))
}
