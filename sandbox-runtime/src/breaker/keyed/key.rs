//! [`KeyOf`]: what a breaker can be asked for with.

use std::hash::Hash;
use std::sync::Arc;

/// A key of a map of breakers, or a borrowed form of one, in which it is looked for without an allocation.
///
/// Any key that is `Hash`, `Eq` and `Clone` is one, `str` is one of `String`, `Box<str>` and `Arc<str>`, and so are
/// references to these. For a key of several parts, a borrowed form is a type of the program's own, with the `Hash` of the
/// key:
///
/// ```
/// use sandbox_runtime::{CircuitBreaker, KeyOf, KeyedBreakers};
///
/// static PORTS: KeyedBreakers<(String, u16)> = KeyedBreakers::new(1_000, CircuitBreaker::new(5));
///
/// #[derive(Hash)]
/// struct Port<'a>(&'a str, u16);
///
/// impl KeyOf<(String, u16)> for Port<'_> {
///     fn is(&self, (host, port): &(String, u16)) -> bool {
///         self.0 == host && self.1 == *port
///     }
///
///     fn to_key(&self) -> (String, u16) {
///         (self.0.to_owned(), self.1)
///     }
/// }
///
/// let breaker = PORTS.of(&Port("example.org", 443));
/// assert!(PORTS.get(&("example.org".to_owned(), 443)).is_some());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of a `KeyedBreakers<{K}>`",
    label = "expected a `&{K}`, or a borrowed form of it"
)]
pub trait KeyOf<K>: Hash {
    /// Returns whether it stands for this key.
    fn is(&self, key: &K) -> bool;

    /// Returns the key, for the map to keep.
    fn to_key(&self) -> K;
}

impl<K: Hash + Eq + Clone> KeyOf<K> for K {
    #[inline]
    fn is(&self, key: &K) -> bool {
        self == key
    }

    fn to_key(&self) -> K {
        self.clone()
    }
}

/// An argument that is a reference is named as one that is a value: `&host`.
impl<K: Hash + Eq + Clone> KeyOf<K> for &K {
    #[inline]
    fn is(&self, key: &K) -> bool {
        *self == key
    }

    fn to_key(&self) -> K {
        (*self).clone()
    }
}

macro_rules! texts {
    ($($text:ty),*) => {$(
        impl KeyOf<$text> for str {
            #[inline]
            fn is(&self, key: &$text) -> bool {
                *self == **key
            }

            fn to_key(&self) -> $text {
                self.into()
            }
        }

        impl KeyOf<$text> for &str {
            #[inline]
            fn is(&self, key: &$text) -> bool {
                **self == **key
            }

            fn to_key(&self) -> $text {
                (*self).into()
            }
        }
    )*};
}

texts!(String, Box<str>, Arc<str>);
