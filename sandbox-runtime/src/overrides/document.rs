//! [`Overrides`] as data.

use std::collections::BTreeMap;

use serde::Serialize;
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
/// Schema](Overrides::json_schema), which a document may name under `$schema`, for editors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overrides {
    version: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) defaults: Table,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) group: BTreeMap<String, Table>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tool: BTreeMap<String, Table>,
}

/// Settings by their keys, as they were written.
pub(super) type Table = BTreeMap<String, Value>;

impl Overrides {
    /// The version of the format.
    pub(super) const VERSION: u64 = 1;
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
