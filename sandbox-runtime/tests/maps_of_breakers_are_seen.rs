//! Whoever runs the program sees its maps of breakers, how many keys of each are not well, which tools use them, and what
//! happens to their breakers; and nobody sees a key. In a process of its own: the list is that of the process.

#![cfg(feature = "keyed")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, Observer, observe};
use sandbox_runtime::{CircuitBreaker, KeyedBreakers, KeyedStatus, keyed_breakers, sandboxed, tool};
use serde_json::json;

/// The map of this name, if it is listed once.
fn listed(name: &str) -> Option<KeyedStatus> {
    let mut maps = keyed_breakers().into_iter().filter(|map| map.name == name);
    let map = maps.next();
    assert_eq!(maps.next(), None, "{name} is listed twice");
    map
}

static UNUSED: KeyedBreakers<String> = KeyedBreakers::new(10, CircuitBreaker::new(1)).named("unused");
static HOSTS: KeyedBreakers<String> =
    KeyedBreakers::new(5, CircuitBreaker::new(2).cooldown(Duration::from_secs(1))).named("hosts");

#[tokio::test(start_paused = true)]
async fn the_list_counts_keys_by_their_states() {
    assert_eq!(listed("hosts"), None, "it is not in use");
    let fail = |host: &str, times| (0..times).for_each(|_| _ = HOSTS.of(host).record_failure());
    fail("half-open", 2);
    tokio::time::advance(Duration::from_secs(1)).await;
    fail("open", 2);
    fail("failing", 1);
    HOSTS.of("forced").force_open();
    drop(HOSTS.of("well"));
    let held = HOSTS.of("held");
    drop(HOSTS.of("one too many"));
    let line = line!() - 14;
    let expected = json!({
        "name": "hosts", "file": file!(), "line": line, "kept": 5, "capacity": 5,
        "failing": 1, "open": 1, "half_open": 1, "forced_open": 1, "held": 0, "unkept": 1,
    });
    let status = listed("hosts").unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
    assert_eq!(status, HOSTS.status());
    let states = "failing 1, open 1, half-open 1, forced open 1, held 0, unkept calls 1";
    let place = format!("{}:{line}", file!());
    assert_eq!(status.to_string(), format!("hosts  5 of 5 keys  {states}  {place}"));
    drop(held);
    assert_eq!(listed("unused"), None);
    assert_eq!(UNUSED.status().kept, 0);
    assert!(listed("unused").is_some(), "somebody has asked for it");
}

#[test]
fn a_map_that_is_dropped_is_listed_no_more() {
    struct Client {
        tenants: KeyedBreakers<u64>,
    }
    let client = || {
        let tenants = KeyedBreakers::new(10, CircuitBreaker::new(1)).named("tenants");
        tenants.of(&1).force_open();
        Client { tenants }
    };
    let (one, other) = (client(), client());
    let tenants = || keyed_breakers().iter().filter(|map| map.name == "tenants").count();
    assert_eq!(tenants(), 2, "two maps may have one name");
    let breaker = one.tenants.of(&1);
    drop(one);
    assert_eq!(tenants(), 1);
    assert!(breaker.is_open(), "whoever holds a breaker can use it");
    drop(other);
    assert_eq!(tenants(), 0);
}

#[sandboxed(max_retries = 0, breaker = FETCHED.of(&host))]
async fn fetch_page(host: String) -> Result<String, String> {
    Ok(host)
}

#[sandboxed(max_retries = 0)]
async fn search_pages() -> Result<(), String> {
    Ok(())
}

static FETCHED: KeyedBreakers<String> = KeyedBreakers::new(5, CircuitBreaker::new(1)).named("fetched hosts");

#[tokio::test(start_paused = true)]
async fn a_tool_tells_of_which_map_its_breaker_was() {
    let fetch = tool("fetch_page").unwrap();
    assert_eq!(fetch.status().breaker_map, None, "nobody has called it");
    fetch_page("a secret".into()).await.unwrap();
    search_pages().await.unwrap();
    let status = fetch.status();
    assert_eq!((status.breaker_map, &status.breaker), (Some("fetched hosts"), &None));
    let line = status.to_string();
    assert!(
        line.contains("  of fetched hosts  ") && !line.contains("secret"),
        "{line}"
    );
    assert_eq!(tool("search_pages").unwrap().status().breaker_map, None);
}

#[derive(Clone, Default)]
struct Changes(Arc<Mutex<Vec<String>>>);

impl Observer for Changes {
    fn on_event(&self, event: &Event<'_>) {
        if let Happened::BreakerChanged { from, to, .. } = event.happened {
            assert!(event.tool.handle.is_none() && event.call_id.is_none());
            let change = format!("{}: {} to {}", event.tool.name, from.as_str(), to.as_str());
            self.0.lock().unwrap().push(change);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn observers_know_the_map_and_not_the_key() {
    static WATCHED: KeyedBreakers<String> =
        KeyedBreakers::new(1, CircuitBreaker::new(1).cooldown(Duration::from_secs(1))).named("watched hosts");
    let changes = Changes::default();
    let observing = observe(changes.clone());
    WATCHED.of("a secret").record_failure();
    tokio::time::advance(Duration::from_secs(1)).await;
    WATCHED.of("a secret").admit().unwrap().success();
    let held = WATCHED.of("a secret");
    let unkept = WATCHED.of("another secret");
    unkept.force_open();
    drop(observing);
    let changes = changes.0.lock().unwrap();
    let of_map: Vec<_> = changes.iter().filter(|change| change.starts_with("watched")).collect();
    assert_eq!(
        of_map,
        [
            "watched hosts: closed to open",
            "watched hosts: open to half_open",
            "watched hosts: half_open to closed",
            "watched hosts: closed to forced_open",
        ]
    );
    assert!(!changes.iter().any(|change| change.contains("secret")), "{changes:?}");
    drop(held);
}

#[test]
fn a_map_without_a_name_has_a_place() {
    let line = line!() + 1;
    let unnamed: KeyedBreakers<u8> = KeyedBreakers::new(1, CircuitBreaker::new(1));
    let status = unnamed.status();
    assert_eq!((status.name, status.file, status.line), ("breakers", file!(), line));
}
