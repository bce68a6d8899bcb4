//! What an operator sets for the service is in force in every replica: at once by messages, within a second without them, and before
//! the first call of one that starts later.

use std::time::Duration;

use sandbox_fleet::ALL;
use sandbox_runtime::{Overrides, SandboxError};
use tokio::time::sleep;

use crate::support::{Error, MILLI, SECOND, SHORTLY, Service, is_open};

fn is_off(answer: &Result<(), Error>) -> bool {
    matches!(answer, Err(Error::Sandbox(SandboxError::Disabled { .. })))
}

#[tokio::test(start_paused = true)]
async fn within_milliseconds() {
    let service = Service::of(5).await;
    let operator = service.operator();
    for name in ["look_up", "fleet::support::look_up", "fleet::support", "fleet", ALL] {
        operator.disable(name, "the index is being moved", None).await.unwrap();
        sleep(SHORTLY).await;
        assert!(service.call_all().await.iter().all(is_off), "by {name}");
        operator.enable(name).await.unwrap();
        sleep(SHORTLY).await;
        assert_eq!(service.call_all().await, vec![Ok(()); 5], "enabled by {name}");
    }
    operator.disable("another", "nothing here", None).await.unwrap();
    sleep(SHORTLY).await;
    assert_eq!(service.call_all().await, vec![Ok(()); 5], "by the name of none");
}

#[tokio::test(start_paused = true)]
async fn within_a_second_if_messages_are_lost() {
    let service = Service::of(3).await;
    service.store.lose_messages(true);
    service.operator().disable("look_up", "lost", None).await.unwrap();
    sleep(SHORTLY).await;
    assert_eq!(service.call_all().await, vec![Ok(()); 3], "nobody knows yet");
    sleep(SECOND).await;
    assert!(service.call_all().await.iter().all(is_off));
}

#[tokio::test(start_paused = true)]
async fn before_the_first_call_of_one_that_starts_later() {
    let mut service = Service::of(1).await;
    service
        .operator()
        .disable("look_up", "since yesterday", None)
        .await
        .unwrap();
    service.start().await;
    assert!(is_off(&service.replicas[1].call().await));
    assert!(service.replicas[1].status().await.is_told);
}

/// Otherwise it says so, and learns of it when the store answers.
#[tokio::test(start_paused = true)]
async fn or_it_says_that_it_could_not_ask() {
    let mut service = Service::of(1).await;
    service
        .operator()
        .disable("look_up", "since yesterday", None)
        .await
        .unwrap();
    service.store.be_gone(true);
    service.start().await;
    let status = service.replicas[1].status().await;
    assert_eq!((status.is_told, status.view_age_ms), (false, None));
    assert_eq!(service.replicas[1].call().await, Ok(()), "it goes on by itself");
    service.store.be_gone(false);
    sleep(2 * SECOND).await;
    assert!(is_off(&service.replicas[1].call().await));
}

#[tokio::test(start_paused = true)]
async fn until_the_time_is_over() {
    let service = Service::of(3).await;
    let lasts = Duration::from_secs(60);
    service
        .operator()
        .disable("look_up", "for a minute", Some(lasts))
        .await
        .unwrap();
    sleep(lasts - MILLI).await;
    assert!(service.call_all().await.iter().all(is_off));
    sleep(SHORTLY).await;
    assert_eq!(service.call_all().await, vec![Ok(()); 3], "nobody has acted");
}

#[tokio::test(start_paused = true)]
async fn also_breakers_and_shadow() {
    let service = Service::of(3).await;
    let operator = service.operator();
    operator.force_open("look_up").await.unwrap();
    sleep(SHORTLY).await;
    assert_eq!(service.states().await, ["forced_open"; 3]);
    operator.shadow("look_up", true).await.unwrap();
    sleep(SHORTLY).await;
    assert_eq!(
        service.call_all().await,
        vec![Ok(()); 3],
        "a breaker in shadow refuses nothing"
    );
    operator.shadow("look_up", false).await.unwrap();
    sleep(SHORTLY).await;
    assert!(service.call_all().await.iter().all(is_open));
    operator.reset("look_up").await.unwrap();
    sleep(SHORTLY).await;
    assert_eq!(service.states().await, ["closed"; 3]);
    assert_eq!(service.call_all().await, vec![Ok(()); 3]);
}

/// Replicas that start later have the same as those that were there.
#[tokio::test(start_paused = true)]
async fn a_reset_leaves_what_another_name_has_opened() {
    let mut service = Service::of(2).await;
    let operator = service.operator();
    for (opened, reset, state) in [
        ("*", "look_up", "forced_open"),
        ("look_up", "no::such", "forced_open"),
        ("look_up", "*", "closed"),
    ] {
        operator.force_open(opened).await.unwrap();
        operator.reset(reset).await.unwrap();
        sleep(SHORTLY).await;
        service.start().await;
        sleep(SHORTLY).await;
        let states = service.states().await;
        assert_eq!(
            states,
            vec![state; states.len()],
            "{opened} is opened, and {reset} is reset"
        );
        operator.reset("*").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_is_over_when_it_is_heard_of_replaces_another() {
    let service = Service::of(1).await;
    service.operator().disable("look_up", "for ever", None).await.unwrap();
    sleep(SHORTLY).await;
    let moment = Duration::from_millis(1);
    service.store.lose_messages(true);
    service
        .operator()
        .disable("look_up", "shortly", Some(moment))
        .await
        .unwrap();
    sleep(2 * SECOND).await;
    assert_eq!(service.call_all().await, [Ok(())]);
}

fn overrides(text: &str) -> Overrides {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn also_settings() {
    let mut service = Service::of(2).await;
    let operator = service.operator();
    let quick = overrides(r#"{ "version": 1, "tool": { "look_up": { "timeout_ms": 7 } } }"#);
    operator.apply(&quick).await.unwrap();
    service.start().await;
    sleep(SHORTLY).await;
    for replica in &service.replicas {
        let policy = serde_json::to_value(replica.policy_in_force().await).unwrap();
        assert_eq!(policy["timeout_ms"], 7);
    }
    operator.clear().await.unwrap();
    sleep(SHORTLY).await;
    let policy = serde_json::to_value(service.replicas[0].policy_in_force().await).unwrap();
    assert_eq!(policy["timeout_ms"], 500);
}

/// Each replica keeps the settings that it has, and says why; switches of the same operator reach it all the same.
#[tokio::test(start_paused = true)]
async fn and_settings_that_are_wrong_are_told() {
    let service = Service::of(2).await;
    let operator = service.operator();
    let wrong = overrides(r#"{ "version": 1, "tool": { "look_upp": { "timeout_ms": 7 } } }"#);
    operator.apply(&wrong).await.unwrap();
    sleep(2 * SECOND).await;
    for replica in operator.replicas().await.unwrap() {
        let problem = replica.problem.expect("it is wrong");
        assert!(problem.contains("look_upp"), "{} says: {problem}", replica.name);
        assert_eq!(replica.settings, 1);
    }
    operator.disable("look_up", "all the same", None).await.unwrap();
    sleep(SHORTLY).await;
    assert!(service.call_all().await.iter().all(is_off));
}

#[tokio::test(start_paused = true)]
async fn two_operators_lose_nothing_of_each_other() {
    let service = Service::of(1).await;
    service.store.take(MILLI);
    let (one, other) = (service.operator(), service.operator());
    let (one, other) = tokio::join!(one.disable("a", "one", None), other.disable("b", "other", None));
    assert!(one.unwrap() != other.unwrap());
    let settings = service.operator().settings().await.unwrap();
    assert_eq!(settings.version, 2);
    assert!(
        settings.text.contains("\"one\"") && settings.text.contains("\"other\""),
        "{}",
        settings.text
    );
}

/// What an operator does to one replica stays, unless the service is switched the same way.
#[tokio::test(start_paused = true)]
async fn what_is_switched_in_one_replica_stays_there() {
    let service = Service::of(2).await;
    service.replicas[0].ask(|tool| tool.disable("here only", None)).await;
    service.operator().shadow("look_up", true).await.unwrap();
    sleep(SHORTLY).await;
    assert!(is_off(&service.replicas[0].call().await));
    assert_eq!(service.replicas[1].call().await, Ok(()));
}

/// An operator's mistake, or a tool of replicas that start later.
#[tokio::test(start_paused = true)]
async fn names_that_mean_nothing_are_told() {
    let service = Service::of(2).await;
    let operator = service.operator();
    operator.disable("look_upp", "a mistake", None).await.unwrap();
    operator.disable("look_up", "no mistake", None).await.unwrap();
    sleep(2 * SECOND).await;
    for replica in operator.replicas().await.unwrap() {
        assert_eq!(replica.unknown, ["look_upp"], "{}", replica.name);
    }
}

/// Other changes do not do it again, nor does a replica that starts later close what has opened since.
#[tokio::test(start_paused = true)]
async fn a_reset_is_done_once() {
    let mut service = Service::of(1).await;
    let operator = service.operator();
    operator.reset("look_up").await.unwrap();
    sleep(SHORTLY).await;
    service.replicas[0].ask(|tool| tool.force_open()).await;
    operator.shadow("another", true).await.unwrap();
    service.start().await;
    sleep(SHORTLY).await;
    assert_eq!(service.states().await, ["forced_open", "closed"]);
}
