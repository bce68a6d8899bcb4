//! [`Map`]: of a map of breakers, the keys that take part, by their texts.

#[cfg(feature = "keyed")]
use std::fmt::Display;
use std::panic::{RefUnwindSafe, UnwindSafe};
#[cfg(feature = "keyed")]
use std::str::FromStr;
use std::sync::Arc;

use sandbox_runtime::CircuitBreaker;
#[cfg(feature = "keyed")]
use sandbox_runtime::{KeyOf, KeyedBreakers, fleet};

use crate::store::StoreError;

/// The most bytes that the text of a key may have which takes part.
#[cfg(feature = "keyed")]
const LONGEST_KEY: usize = 256;

/// A map whose keys take part, whatever they are.
pub(crate) trait Map: Send + Sync + UnwindSafe + RefUnwindSafe {
    fn name(&self) -> &'static str;

    /// How many keys take part at most.
    fn most(&self) -> u32;

    /// The keys whose breakers are open here. This looks at every key.
    fn open(&self) -> Box<dyn Iterator<Item = String> + '_>;

    /// The breaker of a key; `None` if the text is not that of one, or there is no place for it.
    fn breaker(&self, key: &str) -> Option<Arc<CircuitBreaker>>;
}

/// By what replicas know the breaker of a key.
pub(crate) fn path_of_key(map: &str, key: &str) -> String {
    format!("{map}[{key}]")
}

/// The key of a map that a path is that of.
pub(crate) fn key_of<'a>(map: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(map)?.strip_prefix('[')?.strip_suffix(']')
}

/// Tells what is wrong with the maps of a replica.
pub(crate) fn check(maps: &[Box<dyn Map>]) -> Result<(), StoreError> {
    for (place, map) in maps.iter().enumerate() {
        let name = map.name();
        if maps[..place].iter().any(|other| other.name() == name) {
            let message = format!("two maps of breakers are called `{name}`; give each a name of its own with `named`");
            return Err(StoreError(message));
        }
        if name.contains(['[', ']']) {
            let message =
                format!("`{name}` cannot be the name of a map in the fleet; give it one without brackets with `named`");
            return Err(StoreError(message));
        }
        if map.most() == 0 {
            let message = format!("no key of `{name}` may take part; write how many may, or leave the map out");
            return Err(StoreError(message));
        }
    }
    Ok(())
}

#[cfg(feature = "keyed")]
pub(crate) struct Keyed<K: 'static> {
    pub(crate) map: &'static KeyedBreakers<K>,
    pub(crate) most: u32,
}

/// A key whose code panics does so before anything in the map is changed.
#[cfg(feature = "keyed")]
impl<K> UnwindSafe for Keyed<K> {}
#[cfg(feature = "keyed")]
impl<K> RefUnwindSafe for Keyed<K> {}

#[cfg(feature = "keyed")]
impl<K: KeyOf<K> + Display + FromStr + Clone + Send + Sync + 'static> Map for Keyed<K> {
    fn name(&self) -> &'static str {
        fleet::map_name(self.map)
    }

    fn most(&self) -> u32 {
        self.most
    }

    fn open(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let texts = fleet::open_keys(self.map).map(|(key, _)| key.to_string());
        Box::new(texts.filter(|text| text.len() <= LONGEST_KEY))
    }

    fn breaker(&self, key: &str) -> Option<Arc<CircuitBreaker>> {
        let parsed: K = key.parse().ok()?;
        // Of several texts of one key, one takes part.
        let is_its_text = parsed.to_string() == key;
        is_its_text.then(|| fleet::breaker_of_key(self.map, &parsed))?
    }
}
