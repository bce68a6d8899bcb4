//! The breakers of keys take part where a replica says so: a key that enough replicas have found open is open in all of them, and no other
//! one is; one replica tries it for all; and never more take part than may.

use std::sync::Arc;
use std::time::Duration;

use sandbox_fleet::Fleet;
use sandbox_fleet::store::memory::MemoryStore;
use sandbox_fleet::store::{Beat, LIVE, Quorum, Store as _, Trip};
use sandbox_runtime::{KeyedBreakers, testing};
use tokio::time::sleep;

use crate::support::{Error, MILLI, SECOND, is_open};
use crate::support_for_keys::{COOLDOWN, Service, lasting, map, pattern};

/// For how long a report counts.
const WINDOW: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_key_opens_for_all_by_quorum_and_no_other_one_does() {
    let service = Service::of(6, 10).await;
    service.world.is_down_for(0..6, "a");
    service.trip(0..1, "a").await;
    sleep(2 * SECOND).await;
    assert_eq!(
        service.replicas[1].fetch("a"),
        Err(Error::Down),
        "one replica opens its own only"
    );
    service.trip(2..3, "a").await;
    assert!(service.fetch_all("a").iter().all(is_open), "a third of them open all");
    assert_eq!(service.fetch_all("b"), vec![Ok(()); 6], "other keys are open");
    let refused = service.replicas[5].fetch("a").unwrap_err().to_string();
    assert!(
        refused.contains("failures in other replicas of the service"),
        "it says whose failures they are: {refused}"
    );
    let keys = service.replicas[5].keys();
    let seen: Vec<_> = keys.iter().map(|key| (key.map, key.key.as_str(), key.here)).collect();
    assert_eq!(seen, [("hosts", "a", "open")], "the status has the keys that take part");
    assert!(keys[0].is_open_for_all);
    assert_eq!(keys[0].epoch, 1);
}

#[tokio::test(start_paused = true)]
async fn one_probe_closes_it_for_all_and_it_is_let_go() {
    let service = Service::of(6, 10).await;
    service.world.is_down_for(0..6, "a");
    service.trip(0..2, "a").await;
    service.world.reached();
    service.busy(9, "a").await;
    assert_eq!(service.world.reached(), 0, "the cooldown is not over");
    service.busy(4, "a").await;
    assert_eq!(service.world.reached(), 1, "one replica tries it, and it still fails");
    service.world.is_well();
    service.busy(10, "a").await;
    assert_eq!(service.fetch_all("a"), vec![Ok(()); 6], "a probe has found it well");
    sleep(2 * SECOND).await;
    for replica in &service.replicas {
        assert_eq!(replica.keys(), [], "a key that is closed takes part no more");
        assert_eq!(
            Arc::strong_count(&replica.here.hosts.of("a")),
            2,
            "and is held by nobody"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_with_the_lease_is_replaced_when_an_attempt_would_be_over() {
    let mut service = Service::of(6, 10).await;
    service.world.is_down_for(0..6, "a");
    service.trip(0..2, "a").await;
    service.world.is_well();
    sleep(COOLDOWN).await;
    assert!(
        is_open(&service.replicas[3].fetch("a")),
        "who is called first wants it tried"
    );
    sleep(SECOND / 2).await;
    assert!(service.replicas[3].keys()[0].has_lease);
    service.replicas.remove(3).crash().await;
    service.busy(4, "a").await;
    assert_eq!(service.fetch_all("a"), vec![Ok(()); 5]);
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_later_has_it_open_before_its_first_call() {
    let mut service = Service::of(3, 10).await;
    service.world.is_down_for(0..4, "a");
    service.trip(0..2, "a").await;
    service.start(100).await;
    assert!(is_open(&service.replicas[3].fetch("a")));
}

#[tokio::test(start_paused = true)]
async fn no_more_take_part_than_may() {
    let service = Service::of(3, 2).await;
    for host in ["a", "b", "c", "d"] {
        service.world.is_down_for(0..2, host);
        service.trip(0..2, host).await;
    }
    assert_eq!(
        service.in_store().await,
        ["hosts[a]", "hosts[b]"],
        "the first ones have the places"
    );
    let third = &service.replicas[2];
    assert!(is_open(&third.fetch("a")) && is_open(&third.fetch("b")));
    assert_eq!(
        (third.fetch("c"), third.fetch("d")),
        (Ok(()), Ok(())),
        "the others stay local"
    );
    assert!(is_open(&service.replicas[0].fetch("c")), "where they are open");

    service.world.is_well();
    for host in ["a", "b", "c", "d"] {
        service.busy(15, host).await;
        assert_eq!(service.fetch_all(host), vec![Ok(()); 3], "{host} is well again");
    }
    sleep(WINDOW).await;
    service.world.is_down_for(0..2, "d");
    service.trip(0..2, "d").await;
    assert!(
        is_open(&service.replicas[2].fetch("d")),
        "a place is free when its key has closed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_place_that_nobody_tries_for_an_hour_is_given_away() {
    let service = Service::of(2, 1).await;
    service.world.is_down_for(0..2, "a");
    service.trip(0..2, "a").await;
    service.world.is_down_for(0..2, "b");
    sleep(Duration::from_secs(59 * 60)).await;
    service.trip(0..2, "b").await;
    assert_eq!(service.in_store().await, ["hosts[a]"], "it may still be tried");
    sleep(2 * COOLDOWN).await;
    service.busy(90, "b").await;
    assert_eq!(service.in_store().await, ["hosts[b]"], "another one has its place");
    service.world.is_well();
    sleep(COOLDOWN).await;
    assert_eq!(
        service.fetch_all("a"),
        vec![Ok(()); 2],
        "each replica tries it by itself"
    );
}

/// A replica that has found it open and well again by itself is none of those that make it open for all later.
#[tokio::test(start_paused = true)]
async fn a_report_is_taken_back_when_its_key_closes() {
    let service = Service::of(3, 10).await;
    service.world.is_down_for(0..1, "a");
    service.trip(0..1, "a").await;
    service.world.is_well();
    sleep(COOLDOWN).await;
    assert_eq!(service.replicas[0].fetch("a"), Ok(()), "it tries it by itself");
    sleep(2 * SECOND).await;
    assert_eq!(service.replicas[0].keys(), []);
    service.world.is_down_for(1..2, "a");
    service.trip(1..2, "a").await;
    sleep(2 * SECOND).await;
    assert_eq!(service.replicas[2].fetch("a"), Ok(()), "one replica is not enough");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_reset_here_closes_for_all_after_its_cooldown() {
    let service = Service::of(3, 10).await;
    service.world.is_down_for(0..2, "a");
    service.trip(0..2, "a").await;
    service.world.is_well();
    assert!(service.replicas[2].here.hosts.reset("a"));
    for _ in 0..8 {
        sleep(SECOND).await;
        assert_eq!(service.replicas[2].fetch("a"), Ok(()), "it stays closed here");
        assert!(is_open(&service.replicas[0].fetch("a")), "and open elsewhere");
    }
    sleep(4 * SECOND).await;
    assert_eq!(service.fetch_all("a"), vec![Ok(()); 3]);
}

/// Replicas look at it before it would let itself be tried.
#[tokio::test(start_paused = true)]
async fn a_key_with_a_short_cooldown_is_tried_by_one_at_a_time() {
    let mut service = Service::of(0, 10).await;
    for _ in 0..6 {
        service.start_with(map(10, lasting(100 * MILLI))).await;
    }
    service.world.is_down_for(0..6, "a");
    service.trip(0..2, "a").await;
    service.world.reached();
    for _ in 0..400 {
        drop(service.fetch_all("a"));
        sleep(5 * MILLI).await;
    }
    let probes = service.world.reached();
    assert!((5..=20).contains(&probes), "{probes} probes in 20 cooldowns");
}

/// Each failed probe doubles the cooldown of the one that has made it, and so that of all.
#[tokio::test(start_paused = true)]
async fn a_cooldown_that_grows_grows_for_all() {
    let mut service = Service::of(0, 10).await;
    for _ in 0..3 {
        let pattern = lasting(SECOND).cooldown_max(8 * SECOND);
        service.start_with(map(10, pattern)).await;
    }
    service.world.is_down_for(0..3, "a");
    service.trip(0..2, "a").await;
    service.world.reached();
    service.busy(30, "a").await;
    let probes = service.world.reached();
    assert!(
        (4..=7).contains(&probes),
        "{probes} probes in 30 s, after 1, 2, 4, 8, 8 and 8"
    );
}

/// Reports of many keys take longer than a replica may be silent.
#[tokio::test(start_paused = true)]
async fn many_keys_keep_no_replica_from_its_heartbeat() {
    let mut service = Service::of(0, 1_000).await;
    service.start(1_000).await;
    service.start(1_000).await;
    let names: Vec<String> = (0..200).map(|number| format!("host {number:03}")).collect();
    // Both have found them open while they were alone.
    service.store.be_gone(true);
    for name in &names {
        service.world.is_down_for(0..2, name);
        service.trip(0..2, name).await;
    }
    service.store.take(20 * MILLI);
    service.store.be_gone(false);
    let mut reached = false;
    for _ in 0..60 {
        sleep(SECOND).await;
        for replica in &service.replicas {
            let age = replica.member.view_age().unwrap();
            assert!(!reached || age < LIVE, "a replica was silent for {age:?}");
        }
        reached |= service.replicas.iter().all(|replica| replica.member.status().is_told);
        // They stay open.
        names.iter().for_each(|name| drop(service.fetch_all(name)));
        if service.in_store().await.len() == names.len() {
            return;
        }
    }
    panic!(
        "only {} of 200 have been reported by both",
        service.in_store().await.len()
    );
}

/// A key that a program has removed begins anew, and is opened again because it is open for all. That it is closed for a moment is not
/// taken for news.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_is_opened_again() {
    let service = Service::of(3, 10).await;
    service.world.is_down_for(0..3, "a");
    service.trip(0..2, "a").await;
    assert!(service.replicas[2].here.hosts.remove("a"));
    sleep(2 * SECOND).await;
    assert!(is_open(&service.replicas[2].fetch("a")));
    sleep(COOLDOWN).await;
    assert!(service.replicas[2].here.hosts.remove("a"));
    sleep(2 * SECOND).await;
    assert!(service.fetch_all("a").iter().all(is_open), "nobody has tried it");
}

/// It has no place for the key, and goes on without.
#[tokio::test(start_paused = true)]
async fn a_map_that_is_full_stays_as_it_is() {
    let mut service = Service::of(2, 10).await;
    service.start(1).await;
    service.world.is_down_for(0..3, "own");
    let full = &service.replicas[2];
    assert_eq!(full.fetch("own"), Err(Error::Down), "it has its only place");
    service.world.is_down_for(0..2, "a");
    service.trip(0..2, "a").await;
    sleep(2 * SECOND).await;
    assert_eq!(full.fetch("a"), Ok(()));
    assert_eq!(
        full.here.hosts.status().unkept,
        1,
        "the call counts, and the fleet does not"
    );
    assert_eq!(full.keys(), []);
}

/// As an older or a newer build may have written them.
#[tokio::test(start_paused = true)]
async fn what_is_no_key_here_is_left_alone() {
    static PORTS: KeyedBreakers<u16> = KeyedBreakers::new(10, pattern()).named("ports");
    let store = MemoryStore::new();
    let beat = Beat {
        replica: "other".to_owned(),
        says: String::new(),
    };
    store.pulse(&beat).await.unwrap();
    for path in ["ports[x]", "ports[]", "ports[07]", "ports[7]", "ports", "hosts[8]"] {
        let trip = Trip {
            tool: path.to_owned(),
            replica: "other".to_owned(),
            window: WINDOW,
            cooldown: COOLDOWN,
            quorum: Quorum::Of(1),
            most: None,
        };
        store.report_trip(&trip).await.unwrap();
    }
    let fleet = Fleet::over(store).keyed(&PORTS, 10);
    let entered = testing::isolated(async { fleet.enter().await.unwrap().0 });
    let member = entered.await;
    let kept: Vec<u16> = PORTS.iter().map(|(port, _)| port).collect();
    assert_eq!(kept, [7]);
    assert!(PORTS.of(&7).is_open());
    drop(member);
}

#[tokio::test(start_paused = true)]
async fn maps_that_cannot_take_part_are_refused() {
    static ONE: KeyedBreakers<String> = KeyedBreakers::new(10, pattern()).named("hosts");
    static OTHER: KeyedBreakers<u16> = KeyedBreakers::new(10, pattern()).named("hosts");
    static BRACKETS: KeyedBreakers<u16> = KeyedBreakers::new(10, pattern()).named("hosts[eu]");
    let fleet = || Fleet::over(MemoryStore::new());
    let cases = [
        (
            fleet().keyed(&ONE, 1).keyed(&OTHER, 1),
            "two maps of breakers are called `hosts`; give each a name of its own with `named`",
        ),
        (
            fleet().keyed(&BRACKETS, 1),
            "`hosts[eu]` cannot be the name of a map in the fleet; give it one without brackets with `named`",
        ),
        (
            fleet().keyed(&ONE, 0),
            "no key of `hosts` may take part; write how many may, or leave the map out",
        ),
    ];
    for (fleet, message) in cases {
        let refused = testing::isolated(fleet.join()).await;
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}
