//! A breaker is open for all once enough replicas have found it so, and for one sick replica only there. After the cooldown one of all
//! replicas tries the dependency, and what it finds holds for all.

use std::time::Duration;

use tokio::time::sleep;

use crate::support::{Error, SECOND, Service, is_open};

const COOLDOWN: Duration = Duration::from_secs(10);

/// Half a second of calls by every replica, as a model makes them.
async fn busy(service: &Service) {
    for _ in 0..5 {
        let _ = service.call_all().await;
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_sick_replica_opens_its_own() {
    let service = Service::of(6).await;
    service.world.is_down_for([0]);
    service.trip(0..1).await;
    sleep(SECOND).await;
    assert_eq!(
        service.states().await,
        ["open", "closed", "closed", "closed", "closed", "closed"]
    );
    let answers = service.call_all().await;
    assert!(is_open(&answers[0]));
    assert_eq!(answers[1..], vec![Ok(()); 5]);
    service.world.is_down_for([]);
    sleep(COOLDOWN).await;
    assert_eq!(service.call_all().await, vec![Ok(()); 6], "it tries by itself");
}

#[tokio::test(start_paused = true)]
async fn a_third_of_them_open_all() {
    let service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.trip(0..2).await;
    assert_eq!(service.states().await, ["open"; 6]);
    assert_eq!(service.world.reached(), 4, "two failures each in two replicas");
    assert!(service.call_all().await.iter().all(is_open));
    assert_eq!(service.world.reached(), 0);
    assert!(service.replicas[5].tool().await.is_open_for_all);
}

/// Known within a second also if messages are lost.
#[tokio::test(start_paused = true)]
async fn without_messages_within_a_second() {
    let service = Service::of(6).await;
    service.store.lose_messages(true);
    service.world.is_down_for(0..6);
    service.trip(0..2).await;
    sleep(SECOND).await;
    assert_eq!(service.states().await, ["open"; 6]);
}

#[tokio::test(start_paused = true)]
async fn one_probe_closes_all() {
    let service = Service::of(12).await;
    service.world.is_down_for(0..12);
    service.trip(0..4).await;
    service.world.is_down_for([]);
    service.world.reached();
    sleep(COOLDOWN - SECOND).await;
    busy(&service).await;
    assert_eq!(service.world.reached(), 0, "the cooldown is not over");
    sleep(SECOND).await;
    busy(&service).await;
    assert_eq!(service.states().await, ["closed"; 12]);
    assert_eq!(service.call_all().await, vec![Ok(()); 12]);
}

#[tokio::test(start_paused = true)]
async fn one_probe_in_each_cooldown_while_it_is_down() {
    let service = Service::of(12).await;
    service.world.is_down_for(0..12);
    service.trip(0..4).await;
    service.world.reached();
    for cooldown in 1..=3 {
        for _ in 0..10 {
            for _ in 0..2 {
                busy(&service).await;
            }
        }
        let probes = service.world.reached();
        assert!(probes <= 1, "{probes} probes in cooldown {cooldown}");
    }
    assert!(service.replicas[0].tool().await.epoch > 1, "it has been tried");
}

/// Also of one that is killed while it has the lease.
#[tokio::test(start_paused = true)]
async fn one_that_dies_with_the_lease_is_replaced() {
    let mut service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.trip(0..2).await;
    service.world.is_down_for([]);
    sleep(COOLDOWN).await;
    // The first that is called wants it tried.
    assert!(is_open(&service.replicas[3].call().await));
    sleep(Duration::from_millis(500)).await;
    assert!(service.replicas[3].tool().await.has_lease);
    service.replicas.remove(3).crash().await;
    service.world.reached();
    for _ in 0..8 {
        busy(&service).await;
    }
    assert_eq!(service.states().await, ["closed"; 5]);
    assert_eq!(service.call_all().await, vec![Ok(()); 5]);
}

/// For the store the lease lasts longer than for its holder, which has asked for it earlier.
#[tokio::test(start_paused = true)]
async fn nobody_else_gets_the_lease_while_its_holder_may_use_it() {
    let service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.trip(0..2).await;
    sleep(COOLDOWN).await;
    assert!(is_open(&service.replicas[3].call().await), "it wants it tried");
    while !service.replicas[3].tool().await.has_lease {
        sleep(Duration::from_millis(1)).await;
    }
    // It is over after a second and a half.
    for _ in 0..14 {
        sleep(Duration::from_millis(100)).await;
        assert!(is_open(&service.replicas[4].call().await));
        assert!(!service.replicas[4].tool().await.has_lease);
    }
    assert!(service.replicas[3].tool().await.has_lease);
}

/// Nobody has to be asked by a replica that starts while it is open.
#[tokio::test(start_paused = true)]
async fn one_that_starts_later_has_it_open() {
    let mut service = Service::of(6).await;
    service.world.is_down_for(0..7);
    service.trip(0..2).await;
    service.start().await;
    assert!(is_open(&service.replicas[6].call().await));
}

/// Replicas that are gone do not count: neither as live, nor with what they have found.
#[tokio::test(start_paused = true)]
async fn those_that_are_gone_do_not_count() {
    let mut service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.trip(0..1).await;
    service.replicas.remove(0).crash().await;
    sleep(Duration::from_secs(5)).await;
    service.trip(0..1).await;
    assert_eq!(service.states().await, ["open", "closed", "closed", "closed", "closed"]);
    service.replicas.remove(0).leave().await;
    service.trip(0..1).await;
    assert_eq!(service.states().await, ["open", "closed", "closed", "closed"]);
    assert_eq!(service.replicas[1].call().await, Err(Error::Down));
}
