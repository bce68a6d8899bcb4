//! [`Overrides`] as data.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Settings for the tools of a running program, as an operator writes them: the attribute's arguments are the defaults, and the same
/// keys, under the same rules, change them.
///
/// ```toml
/// version = 1
///
/// [defaults]                 # every tool
/// timeout_ms = 10_000
///
/// [group."shop::index"]      # the tools of a module and of those in it
/// max_retries = 1
///
/// [tool."search"]            # one tool, by its name or, where several have that name, by its path
/// timeout_ms = 2_500
/// max_concurrent = 4
/// rate = { calls = 10, per_ms = 1_000 }
/// ```
///
/// The most specific table that sets a key wins: that of the tool, then that of the longest path, then the defaults, then the
/// attribute. The keys are those of a [`Policy`](crate::Policy#in-data). In JSON:
///
/// ```
/// # use sandbox_runtime::{Overrides, sandboxed, tool};
/// #[sandboxed(timeout_ms = 30_000)]
/// async fn find_books(query: &str) -> Result<String, String> {
///     Ok(format!("pages about {query}"))
/// }
///
/// # fn main() {
/// let overrides: Overrides = serde_json::from_str(r#"{
///     "version": 1,
///     "tool": { "find_books": { "timeout_ms": 2500, "max_concurrent": 4 } }
/// }"#).unwrap();
/// overrides.apply().unwrap();
/// assert!(tool("find_books").unwrap().status().to_string().contains("2500 ms"));
///
/// let misspelt: Overrides = serde_json::from_str(r#"{ "version": 1, "tool": { "find_boks": { "timeout": 5 } } }"#).unwrap();
/// assert_eq!(
///     misspelt.apply().unwrap_err().to_string(),
///     "overrides were not applied: [tool.\"find_boks\"]: there is no tool `find_boks`; did you mean `find_books`?\n\
///      [tool.\"find_boks\"]: unknown setting `timeout`; did you mean `timeout_ms`? (there are `timeout_ms`, `max_retries`, \
///      `backoff_base_ms`, `backoff_max_ms`, `deadline_ms`, `jitter`, `idempotent`, `max_concurrent`, `queue_ms`, `rate`, \
///      `jitter_seed`)",
/// );
///
/// Overrides::clear();
/// # }
/// ```
///
/// Deserializing refuses what is not of this shape; keys, values and names are checked when it is [applied](Overrides::apply), all of
/// them. The tools are those of the attribute; a breaker's own settings are compiled in. The format has a [JSON
/// Schema](Overrides::json_schema).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    #[serde(deserialize_with = "version")]
    version: u32,
    #[serde(default, deserialize_with = "unique", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) defaults: Table,
    #[serde(
        default,
        deserialize_with = "unique_tables",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(super) group: BTreeMap<String, Table>,
    #[serde(
        default,
        deserialize_with = "unique_tables",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(super) tool: BTreeMap<String, Table>,
}

/// Settings by their keys, as they were written.
pub(super) type Table = BTreeMap<String, Value>;

impl Overrides {
    /// The version of the format.
    pub(super) const VERSION: u32 = 1;
}

/// None.
impl Default for Overrides {
    fn default() -> Self {
        Overrides {
            version: Overrides::VERSION,
            defaults: Table::new(),
            group: BTreeMap::new(),
            tool: BTreeMap::new(),
        }
    }
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        Overrides::VERSION => Ok(Overrides::VERSION),
        other => Err(D::Error::custom(format_args!(
            "`version` is {other}, and this program reads version {}",
            Overrides::VERSION
        ))),
    }
}

fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Table, D::Error> {
    Ok(Unique::deserialize(deserializer)?.0)
}

fn unique_tables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Table>, D::Error> {
    let tables: Unique<Unique<Value>> = Unique::deserialize(deserializer)?;
    Ok(tables.0.into_iter().map(|(name, table)| (name, table.0)).collect())
}

/// A map of which no key is given twice: serde takes the last one, and an operator would not know which holds.
struct Unique<T>(BTreeMap<String, T>);

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
                return Err(A::Error::custom(format_args!(
                    "`{key}` is given twice; keep one of them"
                )));
            }
            unique.insert(key, value);
        }
        Ok(Unique(unique))
    }
}
