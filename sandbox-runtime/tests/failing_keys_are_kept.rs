//! What a map has learned of a key is never lost while the map is full of others, no call is refused because of that, and
//! there are never more keys than it may have: step by step against a plain map without a limit, and on several threads.

#![cfg(feature = "keyed")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestCaseResult};
use sandbox_runtime::{BreakerState, CircuitBreaker, KeyOf, KeyedBreakers};
use tokio::sync::oneshot;

#[derive(Debug, Clone, Copy)]
enum End {
    Success,
    Failure,
    Dropped,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A call of a key begins.
    Begin(u8),
    /// One of the calls under way ends: the index is taken modulo their number.
    End(usize, End),
    /// So many calls of a key, one after the other, that fail.
    Fail(u8, usize),
    Wait(u64),
    Reset(u8),
    Remove(u8),
    ForceOpen(u8),
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(2).cooldown(Duration::from_millis(100))
}

/// An attempt that has begun unless it was refused, and ends when it is told how.
async fn attempt(breaker: Arc<CircuitBreaker>, end: oneshot::Receiver<End>) -> bool {
    let Ok(permit) = breaker.admit() else {
        return false;
    };
    match end.await {
        Ok(End::Success) => permit.success(),
        Ok(End::Failure) => permit.failure(),
        Ok(End::Dropped) | Err(_) => drop(permit),
    }
    true
}

struct Attempt {
    future: Pin<Box<dyn Future<Output = bool>>>,
    end: oneshot::Sender<End>,
}

/// Whether an attempt is under way, and if not, whether it was admitted.
fn begin(breaker: Arc<CircuitBreaker>) -> Option<Attempt> {
    let (end, ended) = oneshot::channel();
    let mut future = Box::pin(attempt(breaker, ended));
    let refused = future.as_mut().now_or_never();
    assert_ne!(refused, Some(true), "ended before it was told to");
    refused.is_none().then_some(Attempt { future, end })
}

impl Attempt {
    fn end(mut self, end: End) {
        self.end.send(end).unwrap();
        assert_eq!(self.future.as_mut().now_or_never(), Some(true));
    }
}

/// A call of a key, once with the breaker from the map and once with the one that is never forgotten.
struct Call {
    key: u8,
    /// Unless it is kept by nobody, or by nobody any more.
    kept: Option<Arc<CircuitBreaker>>,
    attempt: Attempt,
    model: Attempt,
}

/// The map, and beside it one that has no limit.
struct Pair {
    map: KeyedBreakers<u8>,
    model: HashMap<u8, Arc<CircuitBreaker>>,
    calls: Vec<Call>,
}

const KEYS: u8 = 8;

impl Pair {
    fn new(capacity: usize) -> Pair {
        Pair {
            map: KeyedBreakers::new(capacity, breaker()),
            model: HashMap::new(),
            calls: Vec::new(),
        }
    }

    fn in_model(&mut self, key: u8) -> &Arc<CircuitBreaker> {
        self.model.entry(key).or_insert_with(|| Arc::new(breaker()))
    }

    /// The keys that must not be forgotten.
    fn pinned(&self) -> HashSet<u8> {
        let is_as_new =
            |breaker: &CircuitBreaker| breaker.state() == BreakerState::Closed && breaker.failure_count() == 0;
        let learned = self.model.iter().filter(|(_, breaker)| !is_as_new(breaker));
        let in_use = self.calls.iter().filter(|call| call.kept.is_some());
        learned
            .map(|(key, _)| *key)
            .chain(in_use.map(|call| call.key))
            .collect()
    }

    fn begin(&mut self, key: u8) -> Result<Option<Call>, TestCaseError> {
        let (pinned, capacity) = (self.pinned(), self.map.capacity());
        let breaker = self.map.of(&key);
        let kept = self.map.get(&key);
        let has_place = pinned.contains(&key) || pinned.len() < capacity;
        prop_assert_eq!(kept.is_some(), has_place, "whether {} is kept beside {:?}", key, pinned);
        let model = if has_place {
            prop_assert!(
                Arc::ptr_eq(&breaker, kept.as_ref().unwrap()),
                "two breakers for {}",
                key
            );
            Arc::clone(self.in_model(key))
        } else {
            prop_assert_eq!(breaker.state(), BreakerState::Closed, "a call of {} is refused", key);
            Arc::new(self::breaker())
        };
        let attempts = (begin(breaker), begin(model));
        prop_assert_eq!(
            attempts.0.is_some(),
            attempts.1.is_some(),
            "whether {} is admitted",
            key
        );
        let (Some(attempt), Some(model)) = attempts else {
            return Ok(None);
        };
        Ok(Some(Call {
            key,
            kept,
            attempt,
            model,
        }))
    }

    fn end(call: Call, end: End) {
        call.attempt.end(end);
        call.model.end(end);
    }

    fn perform(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Begin(key) => {
                let call = self.begin(key)?;
                self.calls.extend(call);
            }
            Step::End(_, _) if self.calls.is_empty() => {}
            Step::End(position, end) => {
                let position = position % self.calls.len();
                Self::end(self.calls.swap_remove(position), end);
            }
            Step::Fail(key, times) => {
                for _ in 0..times {
                    if let Some(call) = self.begin(key)? {
                        Self::end(call, End::Failure);
                    }
                }
            }
            Step::Wait(_) => {}
            Step::Reset(key) => {
                if self.map.reset(&key) {
                    self.in_model(key).reset();
                }
            }
            Step::Remove(key) => {
                self.map.remove(&key);
                self.model.remove(&key);
                let calls = self.calls.iter_mut().filter(|call| call.key == key);
                calls.for_each(|call| call.kept = None);
            }
            Step::ForceOpen(key) => {
                if let Some(breaker) = self.map.get(&key) {
                    breaker.force_open();
                    self.in_model(key).force_open();
                }
            }
        }
        Ok(())
    }

    fn compare(&self) -> TestCaseResult {
        let seen = |breaker: &CircuitBreaker| (breaker.state(), breaker.failure_count());
        let (len, capacity) = (self.map.len(), self.map.capacity());
        prop_assert!(len <= capacity, "{} keys of {}", len, capacity);
        let kept: HashMap<_, _> = self.map.iter().collect();
        prop_assert_eq!(kept.len(), len);
        for key in self.pinned() {
            prop_assert!(kept.contains_key(&key), "{} is lost", key);
        }
        for (key, breaker) in &kept {
            let expected = self
                .model
                .get(key)
                .map_or((BreakerState::Closed, 0), |breaker| seen(breaker));
            prop_assert_eq!(seen(breaker), expected, "of {}", key);
        }
        for call in &self.calls {
            if let Some(breaker) = &call.kept {
                prop_assert!(Arc::ptr_eq(breaker, &kept[&call.key]), "two breakers for {}", call.key);
            }
        }
        let status = self.map.status();
        let count = |state: fn(BreakerState) -> bool| kept.values().filter(|breaker| state(breaker.state())).count();
        prop_assert_eq!(status.kept, len);
        prop_assert_eq!(status.open, count(|state| matches!(state, BreakerState::Open { .. })));
        prop_assert_eq!(status.half_open, count(|state| state == BreakerState::HalfOpen));
        prop_assert_eq!(status.forced_open, count(|state| state == BreakerState::ForcedOpen));
        Ok(())
    }
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop::sample::select(vec![End::Success, End::Failure, End::Dropped]);
    prop_oneof![
        12 => (0..KEYS).prop_map(Step::Begin),
        12 => (0..8_usize, end).prop_map(|(position, end)| Step::End(position, end)),
        3 => (0..KEYS, 1..=3_usize).prop_map(|(key, times)| Step::Fail(key, times)),
        6 => prop::sample::select(vec![1, 99, 100, 101, 1_000]).prop_map(Step::Wait),
        2 => (0..KEYS).prop_map(Step::Reset),
        1 => (0..KEYS).prop_map(Step::Remove),
        1 => (0..KEYS).prop_map(Step::ForceOpen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("proptest-regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_map_forgets_nothing_that_it_has_learned(
        capacity in 0..=4_usize,
        schedule in prop::collection::vec(step(), 1..=80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new(capacity);
            for (position, step) in schedule.iter().enumerate() {
                if let Step::Wait(millis) = step {
                    tokio::time::advance(Duration::from_millis(*millis)).await;
                }
                pair.perform(*step).and_then(|()| pair.compare()).map_err(|error| {
                    TestCaseError::fail(format!("after {:?}\nstep {position}, {step:?}: {error}", &schedule[..position]))
                })?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

/// Calls of more keys than there are places, on several threads, which watch each other.
struct Watched {
    map: KeyedBreakers<u32>,
    /// The failures in breakers that are kept, by key.
    failures: Vec<AtomicU32>,
    /// The breakers that are kept and in use, by key: their addresses, and by how many calls.
    in_use: Mutex<HashMap<u32, (usize, u32)>>,
}

impl Watched {
    /// A breaker that never opens: failures only count.
    fn new(capacity: usize, keys: u32) -> Watched {
        Watched {
            map: KeyedBreakers::new(capacity, CircuitBreaker::new(u32::MAX)),
            failures: (0..keys).map(|_| AtomicU32::new(0)).collect(),
            in_use: Mutex::default(),
        }
    }

    /// A call, of which the bits of a random number decide all.
    fn call(&self, number: u32) {
        let key = number % u32::try_from(self.failures.len()).unwrap();
        let breaker = self.map.of(&key);
        let (len, capacity) = (self.map.len(), self.map.capacity());
        assert!(len <= capacity, "{len} keys of {capacity}");
        let permit = breaker.admit().expect("no call is refused");
        // That does not change while it is held.
        let kept = self.map.get(&key).filter(|kept| Arc::ptr_eq(kept, &breaker));
        if kept.is_some() {
            self.note_use(key, &breaker);
        }
        if number >> 16 & 3 == 0 {
            std::thread::yield_now();
        }
        let fails = number >> 8 & 0xff == 0;
        if fails {
            permit.failure();
        }
        if kept.is_some() {
            self.failures[key as usize].fetch_add(u32::from(fails), Ordering::Relaxed);
            self.in_use.lock().unwrap().get_mut(&key).unwrap().1 -= 1;
        }
    }

    fn note_use(&self, key: u32, breaker: &Arc<CircuitBreaker>) {
        let address = Arc::as_ptr(breaker).addr();
        let mut in_use = self.in_use.lock().unwrap();
        let (other, calls) = in_use.entry(key).or_insert((address, 0));
        assert!(*calls == 0 || *other == address, "two breakers for {key} at a time");
        (*other, *calls) = (address, *calls + 1);
    }

    /// No failure is lost, and the map is full of failing keys: until then, places were taken and given up all the time.
    fn assert_all_is_kept(&self) {
        let capacity = self.map.capacity();
        for (key, failures) in (0..).zip(&self.failures) {
            let counted = self.map.get(&key).map_or(0, |breaker| breaker.failure_count());
            let failures = failures.load(Ordering::Relaxed);
            assert_eq!(counted, failures, "failures of {key} in a map of {capacity}");
        }
        let (status, keys) = (self.map.status(), self.failures.len());
        assert_eq!(status.kept, self.map.len());
        assert_eq!(status.kept, capacity.min(keys), "all places are taken");
        assert_eq!(status.failing, status.kept, "by keys that have failed");
        assert_eq!(status.unkept > 0, capacity < keys, "{status}");
    }
}

/// The numbers that a thread draws.
fn numbers(seed: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(seed), |number| {
        let number = number ^ (number << 13);
        let number = number ^ (number >> 17);
        Some(number ^ (number << 5))
    })
}

#[test]
fn threads_share_one_breaker_for_a_key_and_lose_no_failure() {
    const THREADS: u32 = 4;
    const CALLS: usize = 20_000;
    for capacity in [8, 20, 100] {
        let watched = Watched::new(capacity, 48);
        let barrier = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for thread in 1..=THREADS {
                let (watched, barrier) = (&watched, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let numbers = numbers(thread * 0x9e37).take(CALLS);
                    numbers.for_each(|number| watched.call(number));
                });
            }
        });
        watched.assert_all_is_kept();
    }
}

/// A key that has been looked for in vain by both threads before one of them keeps it.
struct Meeting<'a>(u32, &'a Barrier);

impl Hash for Meeting<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl KeyOf<u32> for Meeting<'_> {
    fn is(&self, key: &u32) -> bool {
        self.0 == *key
    }

    fn to_key(&self) -> u32 {
        self.1.wait();
        self.0
    }
}

#[test]
fn threads_that_begin_with_a_key_at_once_share_its_breaker() {
    let barrier = Barrier::new(2);
    // Full after the first key: then both make room.
    for capacity in [100, 1] {
        let map: KeyedBreakers<u32> = KeyedBreakers::new(capacity, CircuitBreaker::new(5));
        for key in 0..100 {
            let ask = || map.of(&Meeting(key, &barrier));
            let (one, other) = std::thread::scope(|scope| {
                let other = scope.spawn(ask);
                (ask(), other.join().unwrap())
            });
            assert!(Arc::ptr_eq(&one, &other), "two breakers for {key}");
        }
        assert_eq!((map.len(), map.status().unkept), (capacity, 0));
    }
}
