//! [`Origin`]: which map has made a breaker, in one byte.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use super::CircuitBreaker;

/// The map that has made a breaker, by its name. The name stands in a table: the settings of a breaker have a byte left, and no
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin(u8);

/// The name of origin n + 1 at place n.
static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

impl Origin {
    /// No map.
    pub(crate) const NONE: Origin = Origin(0);

    /// The maps of this name. Only so many names fit into a byte: the 256th, and later ones, are not told.
    #[cfg(feature = "keyed")]
    pub(super) fn named(name: &'static str) -> Origin {
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().position(|known| *known == name);
        let place = known.unwrap_or(names.len());
        let Some(origin) = u8::try_from(place).ok().and_then(|place| place.checked_add(1)) else {
            return Origin::NONE;
        };
        if known.is_none() {
            names.push(name);
        }
        Origin(origin)
    }

    pub(crate) fn name(self) -> Option<&'static str> {
        let place = self.0.checked_sub(1)?;
        // Nothing panics while it is locked.
        let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(place)).copied()
    }
}

impl CircuitBreaker {
    /// The map that has made it, if one has.
    #[inline]
    pub(crate) const fn origin(&self) -> Origin {
        self.machine.settings().origin
    }
}

/// The map of the breaker that a tool had in its last call.
#[derive(Debug)]
pub(crate) struct LastOrigin(AtomicU8);

impl LastOrigin {
    pub(crate) const fn none() -> LastOrigin {
        LastOrigin(AtomicU8::new(Origin::NONE.0))
    }

    #[cfg(feature = "keyed")]
    #[inline]
    pub(crate) fn note(&self, origin: Origin) {
        // Mostly the same: then nothing is written that other threads read.
        if self.0.load(Ordering::Relaxed) != origin.0 {
            self.0.store(origin.0, Ordering::Relaxed);
        }
    }

    pub(crate) fn forget(&self) {
        self.0.store(Origin::NONE.0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Origin {
        Origin(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, feature = "keyed"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_until_the_table_is_full() {
        assert_eq!(Origin::NONE.name(), None);
        let name = |number: usize| -> &'static str { Box::leak(format!("map {number}").into_boxed_str()) };
        // Other tests may have named maps as well.
        let origins: Vec<_> = (0..300).map(|number| Origin::named(name(number))).collect();
        let told = origins.iter().take_while(|origin| **origin != Origin::NONE).count();
        assert!((200..=255).contains(&told), "{told} names");
        for (number, origin) in origins.iter().enumerate() {
            let expected = (number < told).then(|| name(number));
            assert_eq!(origin.name(), expected, "of map {number}");
            assert_eq!(Origin::named(name(number)), *origin, "named once more");
        }
    }
}
