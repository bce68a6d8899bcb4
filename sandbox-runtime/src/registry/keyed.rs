//! [`keyed_breakers`]: the maps of breakers of the program, and how each is now.

use std::fmt;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;

use crate::breaker::{BreakerState, CircuitBreaker};

/// The maps that have been used and still exist, and some that are gone.
static MAPS: Mutex<Vec<Weak<dyn ListedMap>>> = Mutex::new(Vec::new());

/// A map of breakers, whatever its keys are.
pub(crate) trait ListedMap: Send + Sync {
    /// How it is now. Looks at every key.
    fn status(&self) -> KeyedStatus;
}

/// Lists a map until it is dropped.
pub(crate) fn list_map(map: Weak<dyn ListedMap>) {
    let mut maps = maps();
    maps.retain(|map| map.strong_count() > 0);
    maps.push(map);
}

fn maps() -> MutexGuard<'static, Vec<Weak<dyn ListedMap>>> {
    // Nothing panics while it is locked.
    MAPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every [`KeyedBreakers`](crate::KeyedBreakers) of the program that has been used and not been dropped, in the order of
/// their names and places.
///
/// [`tools`](crate::tools) lists the tools; [`ToolStatus::breaker_map`](crate::ToolStatus::breaker_map) says of which map a
/// tool had its breaker. This looks at every key.
///
/// ```
/// # use sandbox_runtime::{CircuitBreaker, KeyedBreakers, keyed_breakers};
/// static HOSTS: KeyedBreakers<String> = KeyedBreakers::new(10_000, CircuitBreaker::new(5)).named("hosts");
///
/// HOSTS.of("down.example.org").force_open();
/// for map in keyed_breakers() {
///     println!("{map}");
/// }
/// assert_eq!(keyed_breakers()[0].forced_open, 1);
/// ```
#[must_use]
pub fn keyed_breakers() -> Vec<KeyedStatus> {
    // A map that is dropped meanwhile is dropped here: its keys are the user's.
    let maps: Vec<_> = maps().iter().filter_map(Weak::upgrade).collect();
    let mut all: Vec<_> = maps.iter().map(|map| map.status()).collect();
    all.sort_by_key(|map| (map.name, map.file, map.line));
    all
}

/// How a map of breakers is at a moment. Of the keys, there is their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyedStatus {
    /// What it is called.
    pub name: &'static str,
    /// The file in which it is made.
    pub file: &'static str,
    /// The line in which it is made.
    pub line: u32,
    /// How many keys are kept.
    pub kept: usize,
    /// How many keys can be kept.
    pub capacity: usize,
    /// How many of them are closed, but have counted failures.
    pub failing: usize,
    /// How many of them are open.
    pub open: usize,
    /// How many of them are half-open.
    pub half_open: usize,
    /// How many of them are forced open.
    pub forced_open: usize,
    /// How many of them, in whatever state, are left alone because their dependency has asked for that.
    pub held: usize,
    /// How many calls got a breaker that nobody keeps, since the map was first used: it was full of keys that are in use, are not
    /// closed, or have counted failures.
    pub unkept: u64,
}

impl KeyedStatus {
    pub(crate) const fn unused(
        name: &'static str,
        location: &'static Location<'static>,
        capacity: usize,
    ) -> KeyedStatus {
        KeyedStatus {
            name,
            file: location.file(),
            line: location.line(),
            kept: 0,
            capacity,
            failing: 0,
            open: 0,
            half_open: 0,
            forced_open: 0,
            held: 0,
            unkept: 0,
        }
    }

    /// Adds a key.
    pub(crate) fn add(&mut self, breaker: &CircuitBreaker) {
        self.kept += 1;
        self.held += usize::from(breaker.held_for().is_some());
        match breaker.state() {
            BreakerState::Closed if breaker.failure_count() == 0 => {}
            BreakerState::Closed => self.failing += 1,
            BreakerState::Open { .. } => self.open += 1,
            BreakerState::HalfOpen => self.half_open += 1,
            BreakerState::ForcedOpen => self.forced_open += 1,
        }
    }
}

/// A line for a terminal.
impl fmt::Display for KeyedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyedStatus {
            name,
            file,
            line,
            kept,
            capacity,
            failing,
            open,
            half_open,
            forced_open,
            held,
            unkept,
        } = self;
        write!(
            f,
            "{name}  {kept} of {capacity} keys  failing {failing}, open {open}, half-open {half_open}, "
        )?;
        write!(
            f,
            "forced open {forced_open}, held {held}, unkept calls {unkept}  {file}:{line}"
        )
    }
}
