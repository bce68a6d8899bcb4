//! Maps in data of which no key is given twice: serde takes the last one, and a reader would not know which holds.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The error about a key that is given a second time.
pub(crate) fn given_twice<E: Error>(key: &str) -> E {
    E::custom(format_args!("`{key}` is given twice; keep one of them"))
}

/// A map of which no key is given twice.
pub(crate) struct Unique<T>(pub(crate) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for UniqueVisitor<T> {
    type Value = Unique<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unique<T>, A::Error> {
        let mut unique = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, T>()? {
            if unique.contains_key(&key) {
                return Err(given_twice(&key));
            }
            unique.insert(key, value);
        }
        Ok(Unique(unique))
    }
}

/// Any value, with no key given twice in it, however deep.
pub(crate) struct UniqueValue(pub(crate) Value);

impl<'de> Deserialize<'de> for UniqueValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueValueVisitor)
    }
}

struct UniqueValueVisitor;

/// Any value but a map is read as `serde_json` reads it.
macro_rules! visit_scalars {
    ($($visit:ident: $scalar:ty,)*) => {
        $(fn $visit<E: Error>(self, value: $scalar) -> Result<UniqueValue, E> {
            Value::deserialize(value.into_deserializer()).map(UniqueValue)
        })*
    };
}

impl<'de> Visitor<'de> for UniqueValueVisitor {
    type Value = UniqueValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    visit_scalars! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_str: &str,
        visit_string: String,
    }

    fn visit_none<E: Error>(self) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::Null))
    }

    fn visit_unit<E: Error>(self) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<UniqueValue, D::Error> {
        UniqueValue::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<UniqueValue, A::Error> {
        let mut list = Vec::new();
        while let Some(UniqueValue(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(UniqueValue(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<UniqueValue, A::Error> {
        let Unique(entries) = UniqueVisitor::<UniqueValue>(PhantomData).visit_map(entries)?;
        let map = entries
            .into_iter()
            .map(|(key, UniqueValue(value))| (key, value))
            .collect();
        // With the feature `arbitrary_precision` of `serde_json`, which other crates may switch on, a number comes as a map.
        let value = Value::deserialize(Value::Object(map)).map_err(A::Error::custom)?;
        Ok(UniqueValue(value))
    }
}
