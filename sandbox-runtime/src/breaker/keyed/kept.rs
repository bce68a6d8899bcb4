//! [`Kept`]: the keys of a map with their breakers, and which of them make room.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use indexmap::map::RawEntryApiV1;
use indexmap::map::raw_entry_v1::RawEntryMut;

use super::KeyedBreakers;
use crate::breaker::CircuitBreaker;
use crate::breaker::machine::Machine;
use crate::breaker::origin::Origin;
use crate::clock::{self, Tick};
use crate::registry::{KeyedStatus, ListedMap};

/// How many keys one call looks at, to find a place for its own.
const LOOKS: usize = 64;

/// How many shards there are at most. In a map of so many keys as one call looks at, there is one: a place that is there is found.
const SHARDS: usize = 64;

/// The keys that are kept, by their hashes in shards. No thread holds the locks of two.
pub(super) struct Kept<K> {
    shards: Box<[Shard<K>]>,
    hasher: RandomState,
    /// How many keys there are: counted before a key comes and after it has gone, so that there never are more.
    ///
    /// This and all other numbers are `Relaxed`: they guard no memory, and the limit is kept by single operations.
    len: AtomicUsize,
    /// The shard in which the next place is looked for.
    hand: AtomicUsize,
    unkept: AtomicU64,
    status: KeyedStatus,
    pattern: CircuitBreaker,
    forget_after: Option<Tick>,
}

impl<K> Kept<K> {
    pub(super) fn new(map: &KeyedBreakers<K>) -> Kept<K> {
        let shards = map.capacity.div_ceil(LOOKS).next_power_of_two().min(SHARDS);
        Kept {
            shards: std::iter::repeat_with(Shard::default).take(shards).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            unkept: AtomicU64::new(0),
            status: KeyedStatus::unused(map.name, map.location, map.capacity),
            pattern: map.pattern.fresh_of(Origin::named(map.name)),
            forget_after: map.forget_after,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, hash: u64) -> &Shard<K> {
        // Of a number that the table of a shard does not use: that takes the highest bits and the lowest.
        let shard = (hash >> 32) % self.shards.len() as u64;
        &self.shards[shard as usize]
    }

    /// The breaker of the key that is meant.
    pub(super) fn get(&self, hash: u64, is_meant: impl Fn(&K) -> bool) -> Option<Arc<CircuitBreaker>> {
        let entries = self.shard(hash).read();
        let (_, slot) = entries.keys.raw_entry_v1().from_hash(hash, is_meant)?;
        slot.note_use();
        Some(Arc::clone(&slot.breaker))
    }

    /// Makes a breaker for a key that has none, and keeps it if there is a place.
    #[cold]
    pub(super) fn begin(&self, hash: u64, key: K, is_meant: impl Fn(&K) -> bool) -> Arc<CircuitBreaker> {
        self.keep(hash, key, is_meant).unwrap_or_else(|unkept| {
            self.unkept.fetch_add(1, Ordering::Relaxed);
            unkept
        })
    }

    /// Makes a breaker for a key that has none. The error is one for which there is no place.
    pub(super) fn keep(
        &self,
        hash: u64,
        key: K,
        is_meant: impl Fn(&K) -> bool,
    ) -> Result<Arc<CircuitBreaker>, Arc<CircuitBreaker>> {
        let breaker = Arc::new(self.pattern.fresh());
        let (mut looks, mut is_full) = (LOOKS, false);
        loop {
            let mut entries = self.shard(hash).write();
            match entries.keys.raw_entry_mut_v1().from_hash(hash, &is_meant) {
                // Another call was quicker.
                RawEntryMut::Occupied(entry) => return Ok(Arc::clone(&entry.get().breaker)),
                RawEntryMut::Vacant(place) if self.takes_place() => {
                    place.insert_hashed_nocheck(hash, key, Slot::of(Arc::clone(&breaker)));
                    return Ok(breaker);
                }
                RawEntryMut::Vacant(_) => {}
            }
            drop(entries);
            if is_full {
                return Err(breaker);
            }
            // Another call may take the place that is made, and who finds none may have come after one that has made it for the
            // same key. So both look once more.
            is_full = !self.makes_room(&mut looks);
        }
    }

    fn takes_place(&self) -> bool {
        let one_more = |len: usize| (len < self.status.capacity).then_some(len + 1);
        let taken = self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok()
    }

    /// Drops the first key that can go, of at most `looks`: a new breaker would be the same, or it has been forgotten.
    fn makes_room(&self, looks: &mut usize) -> bool {
        let forgets = self.forget_after.map(|unused| Forgets {
            unused,
            now: clock::now().tick,
        });
        for _ in 0..self.shards.len() {
            let next = self.hand.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            if self.drops_one(&self.shards[next], |entries| entries.take_dispensable(looks, forgets)) {
                return true;
            }
            if *looks == 0 {
                break;
            }
        }
        false
    }

    pub(super) fn remove(&self, hash: u64, is_meant: impl Fn(&K) -> bool) -> bool {
        self.drops_one(self.shard(hash), |entries| {
            match entries.keys.raw_entry_mut_v1().from_hash(hash, is_meant) {
                RawEntryMut::Occupied(entry) => Some(entry.swap_remove_entry()),
                RawEntryMut::Vacant(_) => None,
            }
        })
    }

    /// Drops what is taken out of a shard, if something is.
    fn drops_one(&self, shard: &Shard<K>, take: impl FnOnce(&mut Entries<K>) -> Option<(K, Slot)>) -> bool {
        let mut entries = shard.write();
        let gone = take(&mut entries);
        if gone.is_some() {
            // Within the lock: whoever does not find the key finds its place.
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        drop(entries);
        // Only now: the destructor of a key is code of the user.
        gone.is_some()
    }

    /// The keys whose breakers are wanted, one shard after the other.
    pub(super) fn iter(
        &self,
        is_wanted: impl Fn(&CircuitBreaker) -> bool,
    ) -> impl Iterator<Item = (K, Arc<CircuitBreaker>)>
    where
        K: Clone,
    {
        self.shards.iter().flat_map(move |shard| {
            let entries = shard.read();
            let wanted = entries.keys.iter().filter(|(_, slot)| is_wanted(&slot.breaker));
            let shared = |(key, slot): (&K, &Slot)| (key.clone(), Arc::clone(&slot.breaker));
            wanted.map(shared).collect::<Vec<_>>()
        })
    }
}

impl<K: Send + Sync> ListedMap for Kept<K> {
    fn status(&self) -> KeyedStatus {
        let mut status = KeyedStatus {
            unkept: self.unkept.load(Ordering::Relaxed),
            ..self.status.clone()
        };
        for shard in &self.shards {
            for slot in shard.read().keys.values() {
                status.add(&slot.breaker);
            }
        }
        status
    }
}

/// On lines of its own: no shard is slower because others are used.
#[repr(align(128))]
struct Shard<K>(RwLock<Entries<K>>);

impl<K> Default for Shard<K> {
    fn default() -> Self {
        Shard(RwLock::new(Entries {
            keys: IndexMap::with_hasher(()),
            hand: 0,
        }))
    }
}

impl<K> Shard<K> {
    // A key whose `Eq` panics does so before anything is changed.
    fn read(&self) -> RwLockReadGuard<'_, Entries<K>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries<K>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entries<K> {
    /// The map hashes once, for the shard as well.
    keys: IndexMap<K, Slot, ()>,
    /// The entry that is looked at next, when a place is needed.
    hand: usize,
}

impl<K> Entries<K> {
    fn take_dispensable(&mut self, looks: &mut usize, forgets: Option<Forgets>) -> Option<(K, Slot)> {
        for _ in 0..Ord::min(*looks, self.keys.len()) {
            *looks -= 1;
            if self.hand >= self.keys.len() {
                self.hand = 0;
            }
            let (_, slot) = self.keys.get_index_mut(self.hand)?;
            if slot.is_dispensable(forgets) {
                // The last entry takes its place, and is looked at next.
                return self.keys.swap_remove_index(self.hand);
            }
            self.hand += 1;
        }
        None
    }
}

/// The breaker of a key.
struct Slot {
    breaker: Arc<CircuitBreaker>,
    /// When the breaker was first found unused, in ticks; 0 if it has been used since. Only written by a hit that finds it set.
    unused_since: AtomicU64,
}

impl Slot {
    fn of(breaker: Arc<CircuitBreaker>) -> Slot {
        Slot {
            breaker,
            unused_since: AtomicU64::new(0),
        }
    }

    fn note_use(&self) {
        if self.unused_since.load(Ordering::Relaxed) != 0 {
            self.unused_since.store(0, Ordering::Relaxed);
        }
    }

    /// Tells whether nothing would be lost with it.
    fn is_dispensable(&mut self, forgets: Option<Forgets>) -> bool {
        // Whoever holds it may be about to count in it. Nobody can get it meanwhile, because the shard is locked for writing, and
        // whatever those have counted who have dropped it is seen.
        let Some(breaker) = Arc::get_mut(&mut self.breaker) else {
            return false;
        };
        breaker.is_as_new() || forgets.is_some_and(|forgets| forgets.forget(self.unused_since.get_mut()))
    }
}

/// That keys are forgotten, and what time it is.
#[derive(Clone, Copy)]
struct Forgets {
    unused: Tick,
    now: Tick,
}

impl Forgets {
    fn forget(self, unused_since: &mut u64) -> bool {
        let since = Tick::from_bits(*unused_since);
        if since == Tick::ZERO || since > self.now {
            // Another runtime's paused clock may have been ahead.
            *unused_since = self.now.bits();
            return false;
        }
        self.now.millis_since(since) >= self.unused.bits()
    }
}

// What a map needs to know of its breakers.
impl CircuitBreaker {
    /// Returns a closed breaker with the same settings.
    const fn fresh(&self) -> CircuitBreaker {
        CircuitBreaker {
            machine: Machine::new(self.machine.settings()),
            limits: OnceLock::new(),
        }
    }

    /// The same as [`fresh`](Self::fresh), for the breakers of a map.
    const fn fresh_of(&self, origin: Origin) -> CircuitBreaker {
        self.fresh().made_by(origin)
    }

    /// Tells whether a new one with the same settings would do the same from now on, but for the successes in its window.
    fn is_as_new(&self) -> bool {
        let hold_nothing_back = self.limits.get().is_none_or(|limits| limits.are_idle());
        self.machine.is_initial() && self.failure_count() == 0 && hold_nothing_back
    }
}
