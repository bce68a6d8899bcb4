//! [`KeyedBreakers`]: a breaker for each host, tenant or argument.

mod kept;
mod key;

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

#[cfg(feature = "fleet")]
use super::BreakerState;
use super::CircuitBreaker;
use crate::clock::Tick;
use crate::registry::{KeyedStatus, ListedMap, list_map};
use kept::Kept;

pub use key::KeyOf;

/// A circuit breaker for each key: for each host, tenant or argument that a tool is called with.
///
/// Where one tool talks to many hosts, a breaker for all of them would be opened by the one that is down. Name the breaker
/// of the key in the attribute, or hand `&HOSTS.of(&host)` to [`execute_with_controls`](crate::execute_with_controls):
///
/// ```
/// use sandbox_runtime::{CircuitBreaker, KeyedBreakers, sandboxed};
/// use std::time::Duration;
///
/// static HOSTS: KeyedBreakers<String> =
///     KeyedBreakers::new(10_000, CircuitBreaker::new(5).cooldown(Duration::from_secs(10))).named("hosts");
///
/// #[sandboxed(timeout_ms = 2_000, breaker = HOSTS.of(&host))]
/// async fn fetch(host: String, path: String) -> Result<String, String> {
///     // ..
///     # Ok(host + &path)
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # fetch("example.org".into(), "/".into()).await.unwrap();
/// # assert_eq!(HOSTS.len(), 1);
/// # }
/// ```
///
/// It can be a `static` or a field. The breakers are made when they are first asked for, with the settings of the one that
/// is given to [`new`](Self::new). What the map is called and when it forgets is set before its first use.
///
/// # What is kept
///
/// There are never more than [`capacity`](Self::capacity) keys. A breaker stays in the map
///
/// - while somebody holds it: the calls of its key do;
/// - while it is not closed: open, half-open, forced open;
/// - while failures are counted in it: in a row, or in its window;
/// - while its dependency has asked to be left alone, and while it counts attempts for a [`rate`](crate::Policy::rate), as it
///   does for tools made by hand.
///
/// Any other is as good as a new one, and the next key that comes to a full map takes its place. So nothing that was learned
/// of a key is lost, except the successes in the window of a [`windowed`](CircuitBreaker::windowed) breaker.
///
/// No call is refused because a map is full. If there is no place for a new key, its call gets a new breaker that nobody
/// keeps: time limit and retries are those of any other call, and its failures are forgotten. A call looks at 64 of the kept
/// keys at most to find a place, so that this does not take long; keys that nothing is found for may be kept at their next
/// call. [`KeyedStatus::unkept`] counts such calls.
///
/// A key that fails once and is never asked for again keeps its place for ever. Where keys come from outside, such as the
/// hosts that a model has thought of, those fill the map in the end: let it [`forget`](Self::forget_after) them.
///
/// # Costs
///
/// To get the breaker of a key that is kept allocates nothing and takes a read lock on a part of the map; there are up to 64
/// parts. A map takes no memory before its first use, and grows with its keys: up to 176 bytes for each, twice the size of
/// `K`, and what a key has on the heap. A million keys are filled in and counted by
/// `cargo test -p sandbox-tests --test a_million_keys_fit`. The breaker of a call that had a limit such as a rate, or that was
/// made while any dependency had asked to be left alone, takes some 250 bytes more.
///
/// # Who sees it
///
/// [`keyed_breakers`](crate::keyed_breakers) lists the maps of the program. Observers learn of a breaker's changes under the
/// [`name`](Self::named) of the map. Keys, which may be secrets, are told to nobody: neither to observers nor by `Debug`.
pub struct KeyedBreakers<K> {
    capacity: usize,
    pattern: CircuitBreaker,
    forget_after: Option<Tick>,
    name: &'static str,
    location: &'static Location<'static>,
    kept: OnceLock<Arc<Kept<K>>>,
}

impl<K> KeyedBreakers<K> {
    /// Creates a map of at most `capacity` keys, whose breakers have the settings of `pattern`.
    ///
    /// With a `capacity` of 0 nothing is kept.
    #[must_use]
    #[track_caller]
    pub const fn new(capacity: usize, pattern: CircuitBreaker) -> Self {
        KeyedBreakers {
            capacity,
            pattern,
            forget_after: None,
            name: "breakers",
            location: Location::caller(),
            kept: OnceLock::new(),
        }
    }

    /// Sets what the map is called in [`keyed_breakers`](crate::keyed_breakers) and by observers. Default: `"breakers"`.
    ///
    /// Observers learn the first 255 names of a program.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Lets a key be forgotten that nobody has asked for this long, although its breaker is not closed or has counted
    /// failures. Default: never.
    ///
    /// That happens only when a new key needs its place, and not sooner. It may be later: the time begins when the key is
    /// first found while a place is looked for.
    #[must_use]
    pub const fn forget_after(mut self, unused: Duration) -> Self {
        self.forget_after = Some(Tick::rounded_up(unused));
        self
    }

    /// Returns how many keys are kept at most.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns how many keys are kept: at no moment more than [`capacity`](Self::capacity).
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.get().map_or(0, |kept| kept.len())
    }

    /// Returns whether no key is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The methods run [`KeyOf::is`], and [`iter`](KeyedBreakers::iter) clones keys, while a part of the map is locked: code of
/// a key that uses the same map there would wait for itself.
impl<K: Send + Sync + 'static> KeyedBreakers<K> {
    /// Returns the breaker of `key`, which may be a borrowed form of it: a `&str` for a `String`.
    ///
    /// The first call for a key makes its breaker, and only this one clones the key. The breaker stays in the map for as
    /// long as it is held, even while it is closed and without failures: all calls of a key at a time share one. In a full
    /// map it may be one that nobody keeps: see [above](Self#what-is-kept).
    #[must_use = "the breaker does nothing until a call has it"]
    pub fn of<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Arc<CircuitBreaker> {
        let kept = self.kept();
        let hash = kept.hash(key);
        let found = kept.get(hash, |other| key.is(other));
        found.unwrap_or_else(|| kept.begin(hash, key.to_key(), |other| key.is(other)))
    }

    /// Returns the breaker of `key` if it is kept, and makes none.
    #[must_use]
    pub fn get<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Option<Arc<CircuitBreaker>> {
        let kept = self.kept.get()?;
        kept.get(kept.hash(key), |other| key.is(other))
    }

    /// Closes the breaker of `key` and clears its counts: see [`CircuitBreaker::reset`]. Returns whether it is kept.
    pub fn reset<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> bool {
        let breaker = self.get(key);
        breaker.inspect(|breaker| breaker.reset()).is_some()
    }

    /// Forgets `key`, whatever its breaker has counted. Returns whether it was kept.
    ///
    /// Calls under way stay with the breaker that they have; later ones get a new one.
    pub fn remove<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> bool {
        let kept = self.kept.get();
        kept.is_some_and(|kept| kept.remove(kept.hash(key), |other| key.is(other)))
    }

    /// Returns all keys that are kept, with their breakers, in no order.
    ///
    /// Keys that come or go meanwhile may be there or not. While it is held, a breaker keeps its place.
    ///
    /// ```
    /// # use sandbox_runtime::{BreakerState, CircuitBreaker, KeyedBreakers};
    /// # let hosts: KeyedBreakers<String> = KeyedBreakers::new(100, CircuitBreaker::new(5));
    /// # hosts.of("down.example.org").force_open();
    /// for (host, breaker) in hosts.iter().filter(|(_, breaker)| breaker.is_open()) {
    ///     println!("{host} is {}", breaker.state());
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (K, Arc<CircuitBreaker>)>
    where
        K: Clone,
    {
        self.kept.get().into_iter().flat_map(|kept| kept.iter(|_| true))
    }

    /// Returns how the map is now. This looks at every key.
    #[must_use]
    pub fn status(&self) -> KeyedStatus {
        self.kept().status()
    }

    /// Returns the breaker of `key`, as [`of`](Self::of) does, if there is a place for it.
    #[cfg(feature = "fleet")]
    pub(crate) fn of_kept(&self, key: &K) -> Option<Arc<CircuitBreaker>>
    where
        K: KeyOf<K>,
    {
        let kept = self.kept();
        let hash = kept.hash(key);
        let found = kept.get(hash, |other| key.is(other));
        found.or_else(|| kept.keep(hash, key.to_key(), |other| key.is(other)).ok())
    }

    /// Returns the keys whose breakers are open, with these.
    #[cfg(feature = "fleet")]
    pub(crate) fn open(&self) -> impl Iterator<Item = (K, Arc<CircuitBreaker>)>
    where
        K: Clone,
    {
        let is_open = |breaker: &CircuitBreaker| matches!(breaker.state(), BreakerState::Open { .. });
        self.kept.get().into_iter().flat_map(move |kept| kept.iter(is_open))
    }

    #[cfg(feature = "fleet")]
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    fn kept(&self) -> &Arc<Kept<K>> {
        self.kept.get_or_init(|| {
            let kept = Arc::new(Kept::new(self));
            let weak: Weak<Kept<K>> = Arc::downgrade(&kept);
            list_map(weak);
            kept
        })
    }
}

/// Of the keys, only how many there are.
impl<K> fmt::Debug for KeyedBreakers<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBreakers")
            .field("name", &self.name)
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
