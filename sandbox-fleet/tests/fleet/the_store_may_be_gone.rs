//! Calls never wait for the store, and none fails because of it: gone, slow, empty, or replaced by an old copy.

use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, SandboxError};
use tokio::time::{Instant, sleep};

use crate::support::{Error, MILLI, SECOND, SHORTLY, Service, is_open};

/// By the store's steps: calls of every kind make none.
#[tokio::test(start_paused = true)]
async fn no_call_asks_it() {
    let service = Service::of(2).await;
    service.world.is_down_for([0]);
    service.trip(0..1).await;
    let before = service.store.steps();
    for _ in 0..100 {
        assert!(is_open(&service.replicas[0].call().await));
        assert_eq!(service.replicas[1].call().await, Ok(()));
    }
    assert_eq!(service.store.steps(), before, "refused and made calls");
}

#[tokio::test(start_paused = true)]
async fn calls_go_on_without_it() {
    let service = Service::of(3).await;
    service.store.be_gone(true);
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(service.call_all().await, vec![Ok(()); 3]);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(start.elapsed(), Duration::from_secs(10), "no call has taken any time");
    let status = service.replicas[0].status().await;
    assert!(!status.is_told && status.degraded == 1, "told once: {status:?}");
    assert!(status.view_age_ms.unwrap() > 9_000, "the view grows old");
    service.store.be_gone(false);
    sleep(2 * SECOND).await;
    let status = service.replicas[0].status().await;
    assert!(status.is_told && status.recovered == 1, "{status:?}");
}

/// What it has not taken is told once it answers again, and not over and over before.
#[tokio::test(start_paused = true)]
async fn it_is_told_once_at_a_time() {
    let service = Service::of(1).await;
    service.world.is_down_for([0]);
    service.store.be_gone(true);
    let before = service.store.steps();
    service.trip(0..1).await;
    assert_eq!(service.store.steps() - before, 1, "the report of the trip");
}

/// Only the reports are given up: all other steps are answered.
#[tokio::test(start_paused = true)]
async fn a_report_without_an_answer_is_made_again() {
    let service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.store.take(Duration::from_secs(3600));
    service.trip(0..2).await;
    service.store.take(Duration::ZERO);
    assert_eq!(service.states().await[2..], ["closed"; 4], "nobody has been told");
    sleep(3 * SECOND).await;
    assert_eq!(service.states().await, ["open"; 6]);
}

/// Later and later, by chance not at the same time as others: in the end every 600 ms at the mean, for as long as it is gone.
#[tokio::test(start_paused = true)]
async fn it_is_asked_again_less_often() {
    let service = Service::of(1).await;
    service.store.be_gone(true);
    sleep(2 * SECOND).await;
    let before = service.store.steps();
    sleep(Duration::from_secs(600)).await;
    // For its messages and for its pulse.
    let times = (service.store.steps() - before) / 2;
    assert!(
        (950..1_050).contains(&times),
        "it was asked {times} times in ten minutes"
    );
    service.store.be_gone(false);
    sleep(SECOND).await;
    service.store.be_gone(true);
    let before = service.store.steps();
    sleep(SECOND + Duration::from_millis(450)).await;
    let times = (service.store.steps() - before) / 2;
    assert!((2..6).contains(&times), "it was asked {times} times at first");
}

/// A step that takes longer than a second is given up.
#[tokio::test(start_paused = true)]
async fn calls_do_not_wait_for_a_slow_one() {
    let service = Service::of(2).await;
    service.store.take(Duration::from_secs(3600));
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(service.call_all().await, vec![Ok(()); 2]);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert!(!service.replicas[0].status().await.is_told);
}

/// Also while a step has no answer: another replica may try it from then on.
#[tokio::test(start_paused = true)]
async fn a_lease_ends_on_time_without_it() {
    let service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.trip(0..2).await;
    service.world.is_down_for([]);
    sleep(Duration::from_secs(10)).await;
    let replica = &service.replicas[3];
    assert!(is_open(&replica.call().await), "it wants it tried");
    while !replica.tool().await.has_lease {
        sleep(MILLI).await;
    }
    service.store.take(Duration::from_secs(3600));
    // As long as an attempt may take, and a second more.
    sleep(Duration::from_millis(1_490)).await;
    let state = async || replica.ask(|tool| tool.breaker().map(CircuitBreaker::state)).await;
    assert_eq!(state().await, Some(BreakerState::HalfOpen), "it may still try it");
    sleep(Duration::from_millis(20)).await;
    assert!(
        matches!(state().await, Some(BreakerState::Open { .. })),
        "its lease is over"
    );
    service.world.reached();
    assert!(is_open(&replica.call().await));
    assert_eq!(service.world.reached(), 0);
}

/// Each replica finds out by itself, and opens and closes its own breaker.
#[tokio::test(start_paused = true)]
async fn breakers_are_local_without_it() {
    let service = Service::of(3).await;
    service.store.be_gone(true);
    sleep(2 * SECOND).await;
    service.world.is_down_for(0..3);
    service.trip(0..3).await;
    assert!(service.call_all().await.iter().all(is_open));
    service.world.is_down_for([]);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(service.call_all().await, vec![Ok(()); 3]);
}

/// What was open for all closes by itself if nobody can be asked.
#[tokio::test(start_paused = true)]
async fn what_is_open_for_all_is_tried_by_each() {
    let service = Service::of(6).await;
    service.world.is_down_for(0..6);
    service.trip(0..2).await;
    service.store.be_gone(true);
    service.world.is_down_for([]);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(service.call_all().await, vec![Ok(()); 6]);
    service.store.be_gone(false);
    sleep(2 * SECOND).await;
    assert_eq!(
        service.call_all().await,
        vec![Ok(()); 6],
        "and stays closed when it is back"
    );
}

#[tokio::test(start_paused = true)]
async fn the_fleet_agrees_again_within_two_seconds() {
    let service = Service::of(3).await;
    service.operator().disable("look_up", "before", None).await.unwrap();
    sleep(SHORTLY).await;
    let copy = service.store.copy();
    service.operator().enable("look_up").await.unwrap();
    service.operator().disable("look_up", "after", None).await.unwrap();
    sleep(SHORTLY).await;
    for is_empty in [false, true] {
        let before = service.operator().settings().await.unwrap().version;
        service.store.be_gone(true);
        sleep(5 * SECOND).await;
        match is_empty {
            true => service.store.forget(),
            false => service.store.restore(&copy),
        }
        service.store.be_gone(false);
        sleep(2 * SECOND).await;
        for answer in service.call_all().await {
            let Err(Error::Sandbox(SandboxError::Disabled { reason, .. })) = answer else {
                panic!("it is off: {answer:?}");
            };
            assert_eq!(reason, "after", "the store was empty: {is_empty}");
        }
        let settings = service.operator().settings().await.unwrap();
        assert_eq!(settings.version, before + 1, "given back once, with a greater version");
        for replica in &service.replicas {
            assert_eq!(replica.status().await.settings, settings.version);
        }
        assert!(
            settings.text.contains("after"),
            "the store has it again: {}",
            settings.text
        );
    }
}

/// Both changes have made the same version of what was there before.
#[tokio::test(start_paused = true)]
async fn a_change_that_was_lost_is_not_taken_for_the_one_made_in_its_place() {
    let service = Service::of(3).await;
    let copy = service.store.copy();
    service.operator().disable("look_up", "lost", None).await.unwrap();
    sleep(SHORTLY).await;
    service.store.be_gone(true);
    sleep(2 * SECOND).await;
    service.store.restore(&copy);
    service.store.be_gone(false);
    service
        .operator()
        .disable("look_up", "in its place", None)
        .await
        .unwrap();
    sleep(2 * SECOND).await;
    for answer in service.call_all().await {
        let Err(Error::Sandbox(SandboxError::Disabled { reason, .. })) = answer else {
            panic!("it is off: {answer:?}");
        };
        assert_eq!(reason, "in its place");
    }
}
