//! A [`Policy`] in data: how its settings are spelt in files.

use std::fmt;
use std::time::Duration;

use serde::de::value::{self, StrDeserializer};
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::nearest::{nearest, unknown};
use super::rate::{RateInData, mistyped_rate};
use super::unique::{UniqueValue, given_twice};
use super::{Jitter, Policy, Rate};
use crate::rules::{OTHER_KEY_TEXTS, POLICY_KEY_TEXTS, POLICY_KEYS, PolicyKey, PolicyKeySpec};

/// Stands for a timeout that never ends an attempt.
const OFF: &str = "off";

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unset = [
            self.backoff_max.is_none(),
            self.deadline.is_none(),
            self.jitter_seed.is_none(),
            self.max_concurrent.is_none(),
            self.queue.is_none(),
            self.rate.is_none(),
        ];
        let fields = POLICY_KEYS.len() - unset.into_iter().filter(|is_unset| *is_unset).count();
        let mut state = serializer.serialize_struct("Policy", fields)?;
        for &PolicyKeySpec { key, text, .. } in POLICY_KEYS {
            match key {
                PolicyKey::TimeoutMs if self.timeout == Policy::NO_TIMEOUT => state.serialize_field(text, OFF),
                PolicyKey::TimeoutMs => state.serialize_field(text, &millis(self.timeout)),
                PolicyKey::MaxRetries => state.serialize_field(text, &self.max_retries),
                PolicyKey::BackoffBaseMs => state.serialize_field(text, &millis(self.backoff_base)),
                PolicyKey::BackoffMaxMs => serialize_set(&mut state, text, self.backoff_max.map(millis)),
                PolicyKey::DeadlineMs => serialize_set(&mut state, text, self.deadline.map(millis)),
                PolicyKey::Jitter => state.serialize_field(text, &self.jitter),
                PolicyKey::Idempotent => state.serialize_field(text, &self.idempotent),
                PolicyKey::MaxConcurrent => serialize_set(&mut state, text, self.max_concurrent),
                PolicyKey::QueueMs => serialize_set(&mut state, text, self.queue.map(millis)),
                PolicyKey::Rate => serialize_set(&mut state, text, self.rate.map(RateInData::from)),
                PolicyKey::JitterSeed => serialize_set(&mut state, text, self.jitter_seed),
            }?;
        }
        state.end()
    }
}

/// Writes a setting that may be unset. TOML has nothing to write in place of a value.
fn serialize_set<S, T>(state: &mut S, text: &'static str, value: Option<T>) -> Result<(), S::Error>
where
    S: SerializeStruct,
    T: Serialize,
{
    match value {
        Some(value) => state.serialize_field(text, &value),
        None => state.skip_field(text),
    }
}

/// The milliseconds of a length of time, rounded up as tokio's timers round: no time that is set becomes zero. Half a billion
/// years and more are written as the largest number.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Policy", POLICY_KEY_TEXTS, PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = Policy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a policy")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut settings: A) -> Result<Policy, A::Error> {
        let mut policy = Policy::new();
        let mut given = Vec::new();
        while let Some(spec) = settings.next_key::<&'static PolicyKeySpec>()? {
            if given.contains(&spec.key) {
                return Err(given_twice(spec.text));
            }
            given.push(spec.key);
            let policy = &mut policy;
            settings.next_value_seed(Setting { policy, spec })?;
        }
        let broken: Vec<_> = policy
            .broken_rules()
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        match broken.is_empty() {
            true => Ok(policy),
            false => Err(A::Error::custom(broken.join(". "))),
        }
    }
}

/// Formats that know the place of a key report it with the error.
impl<'de> Deserialize<'de> for &'static PolicyKeySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        PolicyKeySpec::find(&text).ok_or_else(|| D::Error::custom(unknown_setting(&text)))
    }
}

impl PolicyKeySpec {
    pub(crate) fn find(text: &str) -> Option<&'static PolicyKeySpec> {
        POLICY_KEYS.iter().find(|spec| spec.text == text)
    }
}

/// The message about a key that no policy has.
pub(crate) fn unknown_setting(text: &str) -> String {
    // Whoever writes another argument of the attribute has not misspelt a setting.
    let misspelt = Some(text).filter(|text| !OTHER_KEY_TEXTS.contains(text));
    let nearest = misspelt.and_then(|text| nearest(text, POLICY_KEY_TEXTS.iter().copied()));
    unknown("setting", text, nearest, POLICY_KEY_TEXTS)
}

/// The place in a policy for the value that comes next.
struct Setting<'a> {
    policy: &'a mut Policy,
    spec: &'static PolicyKeySpec,
}

impl<'de> DeserializeSeed<'de> for Setting<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let UniqueValue(value) = UniqueValue::deserialize(deserializer)?;
        let is_taken = self.policy.set(self.spec.key, &value).is_some();
        is_taken
            .then_some(())
            .ok_or_else(|| D::Error::custom(mistyped(self.spec, &value)))
    }
}

impl Policy {
    /// Sets one setting; `None` if its key does not take such a value.
    pub(crate) fn set(&mut self, key: PolicyKey, value: &Value) -> Option<()> {
        let millis = || value.as_u64().map(Duration::from_millis);
        match key {
            PolicyKey::TimeoutMs if value == OFF => self.timeout = Policy::NO_TIMEOUT,
            PolicyKey::TimeoutMs => self.timeout = millis()?,
            PolicyKey::MaxRetries => self.max_retries = value.as_u64()?.try_into().ok()?,
            PolicyKey::BackoffBaseMs => self.backoff_base = millis()?,
            PolicyKey::BackoffMaxMs => self.backoff_max = Some(millis()?),
            PolicyKey::DeadlineMs => self.deadline = Some(millis()?),
            PolicyKey::Jitter => self.jitter = jitter(value.as_str()?)?,
            PolicyKey::Idempotent => self.idempotent = value.as_bool()?,
            PolicyKey::MaxConcurrent => self.max_concurrent = Some(value.as_u64()?.try_into().ok()?),
            PolicyKey::QueueMs => self.queue = Some(millis()?),
            PolicyKey::Rate => self.rate = Some(Rate::read(value, self.rate)?),
            PolicyKey::JitterSeed => self.jitter_seed = Some(value.as_u64()?),
        }
        Some(())
    }
}

fn jitter(word: &str) -> Option<Jitter> {
    let word: StrDeserializer<'_, value::Error> = word.into_deserializer();
    Jitter::deserialize(word).ok()
}

/// The message about a value that a key does not take.
pub(crate) fn mistyped(spec: &PolicyKeySpec, value: &Value) -> String {
    let &PolicyKeySpec { key, text, takes } = spec;
    let is = described(value);
    match (key, value) {
        (PolicyKey::Rate, Value::Object(table)) => mistyped_rate(table),
        (PolicyKey::Rate, _) => format!("`{text}` is {is}; it takes a table with {takes}"),
        (PolicyKey::TimeoutMs, _) => format!("`{text}` is {is}; it takes {takes}, or \"{OFF}\""),
        _ => format!("`{text}` is {is}; it takes {takes}"),
    }
}

/// A value, for a message that says what it is.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_keys() {
        let texts: Vec<_> = POLICY_KEYS.iter().map(|spec| spec.text).collect();
        assert_eq!(texts, POLICY_KEY_TEXTS);
    }

    #[test]
    fn the_words_of_the_attribute_are_the_kinds_of_jitter() {
        let spec = POLICY_KEYS.iter().find(|spec| spec.key == PolicyKey::Jitter).unwrap();
        let words: Vec<_> = spec.takes.split('`').skip(1).step_by(2).collect();
        let kinds: Vec<_> = words.into_iter().map(jitter).collect();
        assert_eq!(
            kinds,
            [Jitter::None, Jitter::Full, Jitter::Equal].map(Some),
            "it takes {}",
            spec.takes
        );
    }
}
