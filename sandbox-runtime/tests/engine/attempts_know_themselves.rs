//! A tool can ask which attempt of which call it is, and how long it may still take; all attempts of a call have one identity, and so
//! has its failure.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::pending;
use std::time::Duration;

use sandbox_runtime::{Attempt, Budget, CallId, CircuitBreaker, Failure, Policy, Tool, execute_with_controls};
use tokio::task::yield_now;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const POLICY: Policy = Policy::new()
    .timeout(Duration::from_secs(2))
    .max_retries(2)
    .backoff_base(Duration::from_millis(100));

/// Runs `attempt` as a tool under `policy`, and returns the failure of the call, if there is one.
async fn call<A: Future<Output = Result<(), String>>>(policy: Policy, attempt: impl Fn() -> A) -> Option<Failure> {
    let breaker = CircuitBreaker::disabled();
    let failure = RefCell::new(None);
    let tool = Tool::new("search", attempt).on_failure(|ended| {
        *failure.borrow_mut() = Some(ended);
        Ok(())
    });
    let _ = execute_with_controls(policy, &breaker, tool).await;
    failure.into_inner()
}

fn current() -> Attempt {
    Attempt::current().expect("this is within a call")
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_call_there_is_none() {
    assert_eq!(Attempt::current(), None);
    call(POLICY, async || {
        let spawned = tokio::spawn(async { Attempt::current() });
        assert_eq!(spawned.await.unwrap(), None, "another task is outside");
        Ok(())
    })
    .await;
    assert_eq!(Attempt::current(), None);
}

#[tokio::test(start_paused = true)]
async fn one_identity_for_all_attempts_and_another_for_each_call() {
    let seen: RefCell<Vec<(CallId, u32)>> = RefCell::default();
    let note = || {
        let attempt = current();
        seen.borrow_mut().push((attempt.call_id(), attempt.number()));
    };
    let failure = call(POLICY, async || {
        note();
        yield_now().await;
        note();
        match current().number() {
            3 => pending().await,
            _ => Err("again".to_owned()),
        }
    })
    .await
    .expect("the last attempt timed out");
    let (ids, numbers): (Vec<_>, Vec<_>) = seen.take().into_iter().unzip();
    assert_eq!(numbers, [1, 1, 2, 2, 3, 3]);
    assert_eq!(ids, [failure.call_id; 6]);

    let mut texts = HashSet::new();
    for _ in 0..100 {
        call(POLICY, async || {
            note();
            Ok(())
        })
        .await;
        let (id, number) = seen.take()[0];
        assert_eq!(number, 1);
        let text = id.to_string();
        assert!(
            text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit()),
            "{text}"
        );
        assert_eq!(serde_json::to_value(id).unwrap(), text);
        assert!(texts.insert(text), "two calls have the same identity");
    }
    assert!(!texts.contains(&failure.call_id.to_string()));
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_only_a_later_attempt_asks_for() {
    let seen = RefCell::new(Vec::new());
    let failure = call(POLICY, async || {
        if seen.borrow().len() == 1 {
            seen.borrow_mut().push(current().call_id().to_string());
        } else {
            seen.borrow_mut().push(String::new());
        }
        pending().await
    })
    .await
    .expect("all attempts timed out");
    assert_eq!(seen.take(), ["", &failure.call_id.to_string(), ""]);
}

#[tokio::test(start_paused = true)]
async fn calls_within_calls_have_their_own() {
    call(POLICY, async || {
        let outer = current();
        call(POLICY.timeout(SECOND / 2), async || {
            let inner = current();
            assert_ne!(inner.call_id(), outer.call_id());
            assert_eq!(inner.time_left(), Some(SECOND / 2));
            yield_now().await;
            assert_eq!(current().call_id(), inner.call_id());
            Ok(())
        })
        .await;
        assert_eq!(current().call_id(), outer.call_id(), "back in the outer one");
        yield_now().await;
        assert_eq!(current().call_id(), outer.call_id());
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn beside_each_other_none_gets_that_of_the_other() {
    let one = async |pause: u64| {
        call(POLICY, async || {
            let own = current().call_id();
            for _ in 0..5 {
                sleep(Duration::from_millis(pause)).await;
                assert_eq!(current().call_id(), own);
            }
            Err("again".to_owned())
        })
        .await;
    };
    tokio::join!(one(3), one(5), one(7));
}

#[tokio::test(start_paused = true)]
async fn the_time_left_is_that_of_the_tightest_limit() {
    let left = |attempt: Attempt| attempt.time_left().map(|left| left.as_millis());
    call(POLICY, async || {
        assert_eq!(left(current()), Some(2_000));
        sleep(SECOND).await;
        assert_eq!(left(current()), Some(1_000), "the limit is under way");
        Ok(())
    })
    .await;
    call(POLICY.timeout(SECOND).deadline(SECOND * 3 / 2), async || {
        let attempt = current();
        let limit = if attempt.number() == 1 { 1_000 } else { 400 };
        assert_eq!(left(attempt), Some(limit), "attempt {}", attempt.number());
        pending().await
    })
    .await;
    let run = call(POLICY, async || {
        assert_eq!(left(current()), Some(500));
        sleep(SECOND / 4).await;
        assert_eq!(left(current()), Some(250));
        Ok(())
    });
    Budget::new().deadline(SECOND / 2).scope(run).await;
    call(POLICY.timeout(Duration::MAX), async || {
        assert_eq!(left(current()), None, "there is not a limit");
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_does_not_leave_it_behind() {
    call(POLICY, async || {
        let _ = current();
        panic!("out of luck");
    })
    .await;
    assert_eq!(Attempt::current(), None);
}
