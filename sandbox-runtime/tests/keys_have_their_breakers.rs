//! Each key has one breaker with the settings of the map, whatever it is asked for with, and whatever the code of the key
//! does; and it is forgotten only when it may be.

#![cfg(feature = "keyed")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sandbox_runtime::{
    BreakerState, CircuitBreaker, Counting, KeyOf, KeyedBreakers, Policy, SandboxError, Tool, Verdict,
    execute_with_controls,
};

/// Nobody waits for a place: a call that is held back is refused.
const POLICY: Policy = Policy::new().max_retries(0).queue(Duration::ZERO);

async fn call(breaker: &CircuitBreaker, result: Result<u32, u32>) -> Result<u32, String> {
    let tool = Tool::new("tool", async || result.map_err(|error| error.to_string()));
    execute_with_controls(&POLICY, breaker, tool).await
}

/// A map of one key, which has this breaker.
fn full(capacity: usize, breaker: CircuitBreaker, key: &str) -> (KeyedBreakers<String>, Arc<CircuitBreaker>) {
    let map = KeyedBreakers::new(capacity, breaker);
    let breaker = map.of(key);
    (map, breaker)
}

/// Whether `key` is still there after another was asked for, in a map of one.
fn survives(map: &KeyedBreakers<String>, key: &str) -> bool {
    let other = map.of("other");
    assert!(!other.is_open(), "no call is refused because the map is full");
    let survives = map.get(key).is_some();
    assert_eq!(map.get("other").is_none(), survives, "there is one place");
    survives
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_down_is_refused_and_no_other() {
    static HOSTS: KeyedBreakers<String> =
        KeyedBreakers::new(100, CircuitBreaker::new(2).cooldown(Duration::from_secs(10)));
    for _ in 0..2 {
        assert_eq!(call(&HOSTS.of("down"), Err(7)).await, Err("7".to_owned()));
    }
    let refused = call(&HOSTS.of("down"), Ok(1)).await.unwrap_err();
    assert!(refused.starts_with("`tool` is unavailable"), "{refused}");
    assert_eq!(call(&HOSTS.of("up"), Ok(1)).await, Ok(1));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(call(&HOSTS.of("down"), Ok(1)).await, Ok(1), "the probe");
    assert_eq!(HOSTS.of("down").state(), BreakerState::Closed);
}

/// Counts how often it is cloned.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Counted(u32);

static CLONES: AtomicU32 = AtomicU32::new(0);

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONES.fetch_add(1, Ordering::Relaxed);
        Counted(self.0)
    }
}

#[test]
fn only_the_first_call_of_a_key_clones_it() {
    let map = KeyedBreakers::new(2, CircuitBreaker::new(1));
    let breaker = map.of(&Counted(1));
    assert_eq!(CLONES.load(Ordering::Relaxed), 1);
    assert!(Arc::ptr_eq(&breaker, &map.of(&&Counted(1))));
    assert!(Arc::ptr_eq(&breaker, &map.get(&Counted(1)).unwrap()));
    assert!(map.reset(&Counted(1)) && map.get(&Counted(2)).is_none() && !map.remove(&Counted(2)));
    assert_eq!(CLONES.load(Ordering::Relaxed), 1);
}

#[derive(Hash)]
struct Port<'a>(&'a str, u16);

impl KeyOf<(String, u16)> for Port<'_> {
    fn is(&self, (host, port): &(String, u16)) -> bool {
        self.0 == host && self.1 == *port
    }

    fn to_key(&self) -> (String, u16) {
        (self.0.to_owned(), self.1)
    }
}

#[test]
fn borrowed_forms_stand_for_the_key() {
    let texts: KeyedBreakers<String> = KeyedBreakers::new(100, CircuitBreaker::new(1));
    let text = String::from("a");
    let breaker = texts.of("a");
    for other in [
        texts.of(&text),
        texts.of(&&text),
        texts.of(&"a"),
        texts.of(text.as_str()),
    ] {
        assert!(Arc::ptr_eq(&breaker, &other));
    }
    let shared: KeyedBreakers<Arc<str>> = KeyedBreakers::new(100, CircuitBreaker::new(1));
    assert!(Arc::ptr_eq(&shared.of("a"), &shared.of(&Arc::<str>::from("a"))));
    let boxed: KeyedBreakers<Box<str>> = KeyedBreakers::new(100, CircuitBreaker::new(1));
    assert!(Arc::ptr_eq(&boxed.of("a"), &boxed.of(&"a")));
    let numbers: KeyedBreakers<u64> = KeyedBreakers::new(100, CircuitBreaker::new(1));
    assert!(Arc::ptr_eq(&numbers.of(&7), &numbers.of(&&7)));
    let ports: KeyedBreakers<(String, u16)> = KeyedBreakers::new(100, CircuitBreaker::new(1));
    assert!(Arc::ptr_eq(&ports.of(&Port("a", 1)), &ports.of(&("a".to_owned(), 1))));
    assert!(ports.get(&Port("a", 2)).is_none());
    assert_eq!(
        (texts.len(), shared.len(), boxed.len(), numbers.len(), ports.len()),
        (1, 1, 1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn every_breaker_has_the_settings_of_the_map() {
    let map: KeyedBreakers<u8> = KeyedBreakers::new(
        2,
        CircuitBreaker::windowed(4, 0.75)
            .cooldown(Duration::from_millis(30))
            .cooldown_max(Duration::from_millis(60))
            .probes(2)
            .counting(Counting::Attempts),
    );
    for key in [1, 2, 3] {
        let breaker = map.of(&key);
        assert_eq!(breaker.threshold(), 3);
        for failed in [false, true, true, true] {
            let permit = breaker.admit().unwrap();
            if failed { permit.failure() } else { permit.success() }
        }
        let open = |millis| BreakerState::Open {
            retry_after: Duration::from_millis(millis),
        };
        assert_eq!(breaker.state(), open(30), "of {key}");
        tokio::time::advance(Duration::from_millis(30)).await;
        let probes = (breaker.admit().unwrap(), breaker.admit().unwrap());
        assert!(breaker.admit().is_err(), "a third probe");
        probes.0.failure();
        assert_eq!(breaker.state(), open(60), "of {key}");
    }
}

#[test]
fn a_failure_in_a_row_or_in_a_window_keeps_a_key() {
    for breaker in [CircuitBreaker::new(5), CircuitBreaker::windowed(4, 1.0)] {
        let (map, breaker) = full(1, breaker, "key");
        breaker.admit().unwrap().failure();
        drop(breaker);
        assert!(survives(&map, "key"));
        assert_eq!(map.of("key").failure_count(), 1);
        for _ in 0..4 {
            map.of("key").admit().unwrap().success();
        }
        assert!(!survives(&map, "key"), "nothing is left of the failure");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_not_closed_keeps_a_key() {
    let settings = || CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    let (map, breaker) = full(1, settings(), "open");
    breaker.record_failure();
    drop(breaker);
    assert!(survives(&map, "open"));
    tokio::time::advance(Duration::from_secs(100)).await;
    assert!(
        survives(&map, "open"),
        "its cooldown is over, and nobody has asked whether it is well"
    );
    drop(map.of("open").admit().unwrap());
    assert_eq!(map.of("open").state(), BreakerState::HalfOpen);
    assert!(survives(&map, "open"), "it is half-open");
    map.of("open").admit().unwrap().success();
    assert!(!survives(&map, "open"), "it is closed");
    let (map, breaker) = full(1, settings(), "forced");
    breaker.force_open();
    drop(breaker);
    assert!(survives(&map, "forced"));
    assert!(map.reset("forced"));
    assert!(!survives(&map, "forced"), "it has been reset");
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_has_asked_to_be_left_alone_keeps_a_key() {
    let (map, breaker) = full(1, CircuitBreaker::new(5), "busy");
    let after = Some(Duration::from_secs(10));
    let tool = Tool::new("tool", async || Err::<(), _>("busy".to_owned())).classify(|_| Verdict::Retry { after });
    assert_eq!(
        execute_with_controls(POLICY, &breaker, tool).await,
        Err("busy".to_owned())
    );
    // Nothing else is known of it.
    breaker.record_success();
    drop(breaker);
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert!(survives(&map, "busy"));
    assert_eq!(map.status().held, 1);
    let early = call(&map.of("busy"), Ok(1)).await.unwrap_err();
    assert!(early.contains("has asked to wait"), "{early}");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!survives(&map, "busy"), "it is to be left alone no more");
    assert_eq!(map.status().held, 0);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_count_for_a_rate_keep_a_key() {
    let (map, breaker) = full(1, CircuitBreaker::new(5), "key");
    let policy = POLICY.rate(1, Duration::from_secs(10));
    let ask = async |breaker: &CircuitBreaker| {
        execute_with_controls(policy, breaker, Tool::new("tool", async || Ok::<_, String>(1))).await
    };
    assert_eq!(ask(&breaker).await, Ok(1));
    drop(breaker);
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert!(survives(&map, "key"));
    assert!(ask(&map.of("key")).await.is_err(), "a second one in ten seconds");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!survives(&map, "key"), "nothing counts any more");
}

#[test]
fn whoever_holds_a_breaker_keeps_its_key() {
    let (map, breaker) = full(1, CircuitBreaker::new(1), "held");
    assert!(survives(&map, "held"));
    let weak = Arc::downgrade(&breaker);
    drop(breaker);
    assert!(survives(&map, "held"), "it could be held again at any time");
    drop(weak);
    assert!(!survives(&map, "held"));
}

#[test]
fn a_threshold_of_zero_and_no_breaker_are_as_new() {
    for settings in [CircuitBreaker::new(0), CircuitBreaker::disabled()] {
        let (map, breaker) = full(1, settings, "key");
        breaker.record_success();
        drop(breaker);
        drop(map.of("other"));
        assert!(map.get("key").is_none(), "a new one would be the same");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_map_refuses_no_call_and_keeps_nothing_of_it() {
    for capacity in [0, 1] {
        let map: KeyedBreakers<String> = KeyedBreakers::new(capacity, CircuitBreaker::new(1));
        let held = map.of("held");
        for _ in 0..3 {
            assert_eq!(
                call(&map.of("new"), Err(7)).await,
                Err("7".to_owned()),
                "no call is refused"
            );
        }
        assert_eq!(
            (map.len(), map.is_empty(), map.capacity()),
            (capacity, capacity == 0, capacity)
        );
        let before = if capacity == 0 { 1 } else { 0 };
        assert_eq!(map.status().unkept, before + 3);
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_forgotten_if_the_map_is_told_to() {
    let settings = CircuitBreaker::new(1).cooldown(Duration::from_secs(1));
    let map: KeyedBreakers<String> = KeyedBreakers::new(1, settings).forget_after(Duration::from_secs(60));
    let advance = |millis| tokio::time::advance(Duration::from_millis(millis));
    map.of("down").record_failure();
    advance(600_000).await;
    assert!(map.get("down").is_some(), "nobody needs its place");
    drop(map.of("other"));
    advance(59_999).await;
    drop(map.of("other"));
    assert!(
        map.get("down").is_some_and(|down| down.failure_count() == 1),
        "too early"
    );
    // Asked for, just now.
    advance(60_000).await;
    drop(map.of("other"));
    advance(59_999).await;
    drop(map.of("other"));
    let held = map.iter().next().unwrap();
    assert_eq!(
        held.0, "down",
        "looking through the map is no use of a key, but it is early"
    );
    advance(1).await;
    drop(map.of("other"));
    assert!(map.get("other").is_none(), "it is held");
    drop(held);
    drop(map.of("other"));
    assert!(map.get("down").is_none() && map.get("other").is_some());
}

#[test]
fn a_clock_that_is_behind_forgets_nothing_early() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap()
    };
    let map: KeyedBreakers<String> =
        KeyedBreakers::new(1, CircuitBreaker::new(1)).forget_after(Duration::from_secs(60));
    runtime().block_on(async {
        map.of("down").record_failure();
        tokio::time::advance(Duration::from_secs(3_600)).await;
        drop(map.of("other"));
    });
    runtime().block_on(async {
        drop(map.of("other"));
        tokio::time::advance(Duration::from_millis(59_900)).await;
        drop(map.of("other"));
        assert_eq!(map.len(), 1);
        assert!(
            map.iter().any(|(key, _)| key == "down"),
            "forgotten by the time of another clock"
        );
        tokio::time::advance(Duration::from_millis(200)).await;
        drop(map.of("other"));
        assert!(!map.iter().any(|(key, _)| key == "down"));
    });
}

#[test]
fn a_large_map_has_as_many_places_as_it_says() {
    for capacity in [64, 65, 1_000, 5_000] {
        let map: KeyedBreakers<usize> = KeyedBreakers::new(capacity, CircuitBreaker::new(2));
        for key in 0..capacity {
            map.of(&key).record_failure();
        }
        assert_eq!(map.len(), capacity);
        for key in capacity..2 * capacity {
            assert_eq!(map.of(&key).record_failure(), 1);
        }
        assert_eq!(map.len(), capacity);
        let mut kept: Vec<_> = map
            .iter()
            .map(|(key, breaker)| (key, breaker.failure_count()))
            .collect();
        kept.sort_unstable();
        assert!(kept.into_iter().eq((0..capacity).map(|key| (key, 1))), "of {capacity}");
        assert_eq!(map.status().unkept, capacity as u64);
        for key in 0..capacity / 2 {
            assert!(map.remove(&key), "{key} is kept");
        }
        assert_eq!(map.len(), capacity - capacity / 2);
        for key in capacity..capacity + capacity / 2 {
            drop(map.of(&key));
            assert!(map.get(&key).is_some(), "there is a place for {key}");
        }
    }
}

#[test]
fn the_keys_that_can_go_are_found_however_few_they_are() {
    let capacity = 2_000;
    let map: KeyedBreakers<usize> = KeyedBreakers::new(capacity, CircuitBreaker::new(2));
    for key in 0..capacity {
        let breaker = map.of(&key);
        if key % 100 != 0 {
            breaker.record_failure();
        }
    }
    // Each call looks at some keys and goes on where the last one has stopped.
    let calls = (capacity..2 * capacity).map(|key| drop(map.of(&key))).count();
    let old = map.iter().filter(|(key, _)| *key < capacity).count();
    assert_eq!(
        old,
        capacity - capacity / 100,
        "after {calls} calls, keys without failures are in the way"
    );
}

#[test]
fn a_key_that_is_removed_begins_again_and_calls_under_way_go_on() {
    let (map, breaker) = full(10, CircuitBreaker::new(2), "key");
    let permit = breaker.admit().unwrap();
    assert!(map.remove("key") && !map.remove("key") && map.is_empty());
    permit.failure();
    assert_eq!(map.of("key").failure_count(), 0);
    assert_eq!(breaker.failure_count(), 1);
    assert!(map.reset("key") && !map.reset("none"));
}

#[test]
fn nobody_reads_keys_by_accident() {
    let (map, _breaker) = full(10, CircuitBreaker::new(2), "a secret");
    let text = format!("{map:?} {:#?} {} {:?}", map, map.status(), map.status());
    assert!(text.contains("len: 1") && !text.contains("secret"), "{text}");
}

/// A key whose code panics, or uses the map that it is in.
#[derive(Clone, Debug)]
struct Hostile(u32);

static PANICS: AtomicBool = AtomicBool::new(false);
static HOSTILE: KeyedBreakers<Hostile> = KeyedBreakers::new(1, CircuitBreaker::new(1));

impl PartialEq for Hostile {
    fn eq(&self, other: &Self) -> bool {
        assert!(!PANICS.load(Ordering::Relaxed), "by the key");
        self.0 == other.0
    }
}

impl Eq for Hostile {}

impl Hash for Hostile {
    // All the same, so that every look-up compares.
    fn hash<H: Hasher>(&self, state: &mut H) {
        0.hash(state);
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = HOSTILE.status();
    }
}

#[test]
fn keys_may_panic_and_use_the_map_when_they_are_dropped() {
    let key = |number| std::mem::ManuallyDrop::new(Hostile(number));
    drop(HOSTILE.of(&*key(1)));
    drop(HOSTILE.of(&*key(2)));
    assert!(HOSTILE.get(&*key(1)).is_none(), "it has made room");
    PANICS.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let panicked = catch_unwind(AssertUnwindSafe(|| drop(HOSTILE.of(&*key(2)))));
        assert!(panicked.is_err());
        let panicked = catch_unwind(AssertUnwindSafe(|| HOSTILE.remove(&*key(2))));
        assert!(panicked.is_err());
    }
    PANICS.store(false, Ordering::Relaxed);
    assert!(HOSTILE.get(&*key(2)).is_some(), "it is there as before");
    assert!(HOSTILE.remove(&*key(2)));
    drop(HOSTILE.of(&*key(3)));
    assert_eq!(HOSTILE.len(), 1, "no place is lost");
}

#[tokio::test(start_paused = true)]
async fn closures_that_answer_with_json_take_one_too() {
    let map: KeyedBreakers<u8> = KeyedBreakers::new(1, CircuitBreaker::new(1));
    let config = sandbox_runtime::SandboxConfig {
        max_retries: 0,
        ..Default::default()
    };
    let fails = || async { Err::<serde_json::Value, _>("down".to_owned()) };
    let first = execute_with_controls(&config, &map.of(&1), fails).await;
    assert!(!first.unwrap().success);
    let second = execute_with_controls(&config, &map.of(&1), fails).await;
    assert!(
        matches!(second, Err(SandboxError::CircuitBreakerOpen { .. })),
        "{second:?}"
    );
}
