//! [`MemoryStore`]: a store within the process, for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::rates::{Claimed, grant};
use super::{
    Beat, Claim, Found, Granted, LIVE, Lease, Pulse, Replica, Shared, Store, StoreError, Trip, UNUSED, Versioned,
    map_of, millis,
};

/// A store within the process: what is cloned from it is the same store. By tokio's clock, so that tests may pause it, and with the
/// faults that stores have.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    subscribers: Mutex<Vec<mpsc::Sender<()>>>,
    began: Instant,
    steps: AtomicU64,
    changes_of_settings: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// Each with its last heartbeat.
    replicas: BTreeMap<String, (u64, String)>,
    /// Until when the reports of each tool's replicas count.
    trips: HashMap<String, HashMap<String, u64>>,
    breakers: BTreeMap<String, Shared>,
    /// By the names of maps, and by path: from when on it gives its place away.
    keys: HashMap<String, BTreeMap<String, u64>>,
    /// Of each map, the greatest epoch of those that have given their places away.
    forgotten: HashMap<String, u64>,
    /// Who has it, of which epoch, until when.
    leases: HashMap<String, (String, u64, u64)>,
    /// By the paths of tools, and by replica.
    claims: HashMap<String, BTreeMap<String, Claimed>>,
    settings: Versioned,
    settings_stamp: u64,
}

#[derive(Debug, Default)]
struct Faults {
    is_gone: bool,
    loses_messages: bool,
    delay: Duration,
}

/// What a [`MemoryStore`] has known at a moment.
#[derive(Debug, Clone)]
pub struct Copy(State);

impl Default for Inner {
    fn default() -> Self {
        Inner {
            state: Mutex::default(),
            faults: Mutex::default(),
            subscribers: Mutex::default(),
            began: Instant::now(),
            steps: AtomicU64::new(0),
            changes_of_settings: AtomicU64::new(0),
        }
    }
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many steps it has been asked for.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Lets it answer nothing but errors, and ends its subscriptions; or lets it answer again.
    pub fn be_gone(&self, is_gone: bool) {
        locked(&self.0.faults).is_gone = is_gone;
        if is_gone {
            locked(&self.0.subscribers).clear();
        }
    }

    /// Lets it send no messages, or send them again.
    pub fn lose_messages(&self, loses: bool) {
        locked(&self.0.faults).loses_messages = loses;
    }

    /// Lets each step take so long.
    pub fn take(&self, delay: Duration) {
        locked(&self.0.faults).delay = delay;
    }

    /// What it knows now, to be [restored](Self::restore) later.
    #[must_use]
    pub fn copy(&self) -> Copy {
        Copy(locked(&self.0.state).clone())
    }

    /// Lets it know what it has known then, and nothing else.
    pub fn restore(&self, copy: &Copy) {
        *locked(&self.0.state) = copy.0.clone();
    }

    /// Lets it know nothing any more.
    pub fn forget(&self) {
        *locked(&self.0.state) = State::default();
    }

    async fn step<T>(&self, act: impl FnOnce(&mut State, u64) -> (T, bool) + Send) -> Result<T, StoreError> {
        self.0.steps.fetch_add(1, Ordering::Relaxed);
        let delay = locked(&self.0.faults).delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if locked(&self.0.faults).is_gone {
            return Err(StoreError("the store is gone".to_owned()));
        }
        let (result, is_changed) = act(&mut locked(&self.0.state), self.now());
        if is_changed && !locked(&self.0.faults).loses_messages {
            // A subscriber that has not read the last message yet learns no more by another one.
            locked(&self.0.subscribers)
                .retain(|subscriber| !matches!(subscriber.try_send(()), Err(mpsc::error::TrySendError::Closed(()))));
        }
        Ok(result)
    }

    fn now(&self) -> u64 {
        // Not from zero: a moment of the store is not the age of the process.
        1_000_000 + millis(self.0.began.elapsed())
    }
}

impl State {
    fn live(&self, now: u64) -> u32 {
        let live = self.replicas.values().filter(|(beat, _)| is_live(*beat, now));
        u32::try_from(live.count()).unwrap_or(u32::MAX)
    }

    fn shared(&self, tool: &str) -> Shared {
        self.breakers.get(tool).copied().unwrap_or_default()
    }

    /// How many live replicas have reported a trip that counts.
    fn tripped(&self, tool: &str, now: u64) -> u32 {
        let counts = |(replica, until): &(&String, &u64)| {
            let is_live = self.replicas.get(*replica).is_some_and(|(beat, _)| is_live(*beat, now));
            is_live && now <= **until
        };
        let trips = self.trips.get(tool).into_iter().flatten().filter(counts);
        u32::try_from(trips.count()).unwrap_or(u32::MAX)
    }

    /// Gives a key a place of its map, if there is one: where there are as many as may be, that of the one that gives it away first.
    fn takes_place(&mut self, tool: &str, most: u32, now: u64) -> bool {
        let map = map_of(tool);
        let keys = self.keys.entry(map.to_owned()).or_default();
        if !keys.contains_key(tool) && keys.len() >= most as usize {
            let over = keys.iter().filter(|(_, until)| **until < now);
            let Some(path) = over.min_by_key(|(_, until)| **until).map(|(path, _)| path.clone()) else {
                return false;
            };
            keys.remove(&path);
            self.trips.remove(&path);
            let epoch = self.breakers.remove(&path).unwrap_or_default().epoch;
            let greatest = self.forgotten.entry(map.to_owned()).or_default();
            *greatest = epoch.max(*greatest);
        }
        keys.entry(tool.to_owned()).or_default();
        true
    }

    /// Lets a key keep its place until then, or at least until then.
    fn keeps_place(&mut self, tool: &str, until: impl FnOnce(u64) -> u64) {
        if let Some(kept) = self.keys.get_mut(map_of(tool)).and_then(|keys| keys.get_mut(tool)) {
            *kept = until(*kept);
        }
    }

    fn begin_epoch(&mut self, tool: &str, open_until: Option<u64>, least: u64) -> Shared {
        let epoch = self.shared(tool).epoch.max(least) + 1;
        let shared = Shared { epoch, open_until };
        self.breakers.insert(tool.to_owned(), shared);
        self.leases.remove(tool);
        shared
    }
}

impl Store for MemoryStore {
    async fn pulse(&self, beat: &Beat) -> Result<Pulse, StoreError> {
        self.step(|state, now| {
            state.replicas.insert(beat.replica.clone(), (now, beat.says.clone()));
            let pulse = Pulse {
                now,
                live: state.live(now),
                settings: state.settings.version,
                settings_stamp: state.settings_stamp,
                breakers: state
                    .breakers
                    .iter()
                    .map(|(tool, shared)| (tool.clone(), *shared))
                    .collect(),
            };
            (pulse, false)
        })
        .await
    }

    async fn time(&self) -> Result<u64, StoreError> {
        self.step(|_, now| (now, false)).await
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.step(|state, _| {
            state.replicas.remove(replica);
            for trips in state.trips.values_mut() {
                trips.remove(replica);
            }
            state.leases.retain(|_, (holder, ..)| holder != replica);
            ((), false)
        })
        .await
    }

    async fn report_trip(&self, trip: &Trip) -> Result<Shared, StoreError> {
        self.step(|state, now| {
            if trip.most.is_some_and(|most| !state.takes_place(&trip.tool, most, now)) {
                return (Shared::default(), false);
            }
            let trips = state.trips.entry(trip.tool.clone()).or_default();
            trips.insert(trip.replica.clone(), now.saturating_add(millis(trip.window)));
            let shared = state.shared(&trip.tool);
            let needed = trip.quorum.number(state.live(now));
            let is_open = shared.open_until.is_some();
            let opens = !is_open && state.tripped(&trip.tool, now) >= needed;
            let until = now.saturating_add(millis(if is_open || opens { UNUSED } else { trip.window }));
            state.keeps_place(&trip.tool, |kept| kept.max(until));
            if !opens {
                return (shared, false);
            }
            let least = state.forgotten.get(map_of(&trip.tool)).copied().unwrap_or_default();
            let open_until = now.saturating_add(millis(trip.cooldown));
            (state.begin_epoch(&trip.tool, Some(open_until), least), true)
        })
        .await
    }

    async fn withdraw_trip(&self, tool: &str, replica: &str) -> Result<(), StoreError> {
        self.step(|state, _| {
            if let Some(trips) = state.trips.get_mut(tool) {
                trips.remove(replica);
            }
            ((), false)
        })
        .await
    }

    async fn take_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        self.step(|state, now| {
            let shared = state.shared(&lease.tool);
            let is_due = shared.open_until.is_some_and(|until| until <= now) && shared.epoch == lease.epoch;
            let is_taken = state.leases.get(&lease.tool).is_some_and(|(_, _, until)| now < *until);
            if !is_due || is_taken {
                return (false, false);
            }
            let until = now.saturating_add(millis(lease.lasts));
            state
                .leases
                .insert(lease.tool.clone(), (lease.replica.clone(), lease.epoch, until));
            state.keeps_place(&lease.tool, |_| now.saturating_add(millis(UNUSED)));
            (true, false)
        })
        .await
    }

    async fn settle(&self, found: &Found) -> Result<Shared, StoreError> {
        self.step(|state, now| {
            let shared = state.shared(&found.tool);
            let is_holder = state.leases.get(&found.tool).is_some_and(|(holder, epoch, until)| {
                *holder == found.replica && *epoch == found.epoch && now < *until
            });
            if shared.epoch != found.epoch || !is_holder {
                return (shared, false);
            }
            if found.open_for.is_none() {
                state.trips.remove(&found.tool);
            }
            let open_until = found.open_for.map(|lasts| now.saturating_add(millis(lasts)));
            let lasts = if open_until.is_some() { UNUSED } else { Duration::ZERO };
            state.keeps_place(&found.tool, |_| now.saturating_add(millis(lasts)));
            (state.begin_epoch(&found.tool, open_until, 0), true)
        })
        .await
    }

    async fn claim(&self, claim: &Claim) -> Result<Granted, StoreError> {
        self.step(|state, now| {
            let claims = state.claims.entry(claim.tool.clone()).or_default();
            (grant(claims, claim, now), false)
        })
        .await
    }

    async fn settings(&self) -> Result<Versioned, StoreError> {
        self.step(|state, _| (state.settings.clone(), false)).await
    }

    async fn put_settings(&self, expected: u64, new: &Versioned) -> Result<bool, StoreError> {
        self.step(|state, _| {
            let is_expected = state.settings.version == expected;
            if is_expected {
                state.settings = new.clone();
                state.settings_stamp = 1 + self.0.changes_of_settings.fetch_add(1, Ordering::Relaxed);
            }
            (is_expected, is_expected)
        })
        .await
    }

    async fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        self.step(|state, now| {
            let live = state.replicas.iter().filter(|(_, (beat, _))| is_live(*beat, now));
            let live = live.map(|(name, (_, says))| Replica {
                name: name.clone(),
                says: says.clone(),
            });
            (live.collect(), false)
        })
        .await
    }

    async fn subscribe(&self) -> Result<mpsc::Receiver<()>, StoreError> {
        let (sender, receiver) = mpsc::channel(1);
        self.step(|_, _| ((), false)).await?;
        locked(&self.0.subscribers).push(sender);
        Ok(receiver)
    }
}

fn is_live(beat: u64, now: u64) -> bool {
    now - beat <= millis(LIVE)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of them is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
