//! Every sandboxed function has one breaker of its own: for all its callers, all instances of its type, all its generic
//! instances, and for no other function, unless it names another breaker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, sandboxed};
use tokio_util::sync::CancellationToken;

/// Checks that the breaker has not let the call pass.
#[track_caller]
fn assert_refused<T: Debug>(result: Result<T, String>) {
    let refused = matches!(&result, Err(error) if error.contains("circuit breaker open"));
    assert!(refused, "not refused: {:?}", result);
}

struct Client(&'static str);

impl Client {
    #[sandboxed(max_retries = 0, breaker(threshold = 2, cooldown_ms = 1_000))]
    async fn down(&self) -> Result<(), String> {
        Err(format!("{} is down", self.0))
    }

    #[sandboxed(max_retries = 0, breaker(threshold = 1))]
    async fn other(&self) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn instances_share_it_and_methods_do_not() {
    let (first, second) = (Client("first"), Client("second"));
    assert_eq!(first.down().await, Err("first is down".into()));
    assert_eq!(second.down().await, Err("second is down".into()));
    let refusal = first.down().await.unwrap_err();
    assert!(
        refusal.starts_with("`down` is unavailable after repeated failures"),
        "{}",
        refusal
    );
    assert_eq!(first.other().await, Ok(()), "another method was refused");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        second.down().await,
        Err("second is down".into()),
        "no probe after the cooldown"
    );
}

#[sandboxed(max_retries = 0, breaker(threshold = 2))]
async fn generic<T: Display>(value: T) -> Result<(), String> {
    Err(value.to_string())
}

#[tokio::test(start_paused = true)]
async fn generic_instances_share_it() {
    assert_eq!(generic(1).await, Err("1".into()));
    assert_eq!(generic("two").await, Err("two".into()));
    assert_refused(generic(3.0).await);
}

static SHARED: CircuitBreaker = CircuitBreaker::new(2);

#[sandboxed(max_retries = 0, breaker = &SHARED)]
async fn first() -> Result<(), String> {
    Err("first".into())
}

#[sandboxed(max_retries = 0, breaker = &SHARED)]
async fn second() -> Result<(), String> {
    Err("second".into())
}

#[tokio::test(start_paused = true)]
async fn functions_share_a_static_that_they_name() {
    assert_eq!(first().await, Err("first".into()));
    assert_eq!(second().await, Err("second".into()));
    assert_refused(first().await);
}

struct Host {
    breaker: CircuitBreaker,
    shared: Arc<CircuitBreaker>,
}

impl Host {
    #[sandboxed(max_retries = 0, breaker = &self.breaker)]
    async fn own(&self) -> Result<(), String> {
        Err("own".into())
    }

    #[sandboxed(max_retries = 0, breaker = &self.shared)]
    async fn shared(&self) -> Result<(), String> {
        Err("shared".into())
    }
}

#[tokio::test(start_paused = true)]
async fn instances_have_their_own_in_a_field() {
    let host = || Host {
        breaker: CircuitBreaker::new(1),
        shared: Arc::new(CircuitBreaker::new(1)),
    };
    let (one, other) = (host(), host());
    one.own().await.unwrap_err();
    assert_eq!(
        (one.breaker.is_open(), other.breaker.is_open()),
        (true, false),
        "the breaker of another instance has opened"
    );
    other.shared().await.unwrap_err();
    assert_eq!(
        (one.shared.is_open(), other.shared.is_open()),
        (false, true),
        "the breaker of another instance has opened"
    );
}

#[derive(Default)]
struct Hosts {
    breakers: Mutex<HashMap<String, Arc<CircuitBreaker>>>,
}

impl Hosts {
    fn breaker_of(&self, host: &str) -> Arc<CircuitBreaker> {
        let mut breakers = self.breakers.lock().unwrap();
        let breaker = || Arc::new(CircuitBreaker::new(2));
        Arc::clone(breakers.entry(host.to_owned()).or_insert_with(breaker))
    }

    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = &self.breaker_of(&host))]
    async fn fetch(&self, host: String) -> Result<String, String> {
        if host == "down" { Err(host) } else { Ok(host) }
    }
}

#[tokio::test(start_paused = true)]
async fn one_is_looked_up_by_an_argument() {
    let hosts = Hosts::default();
    for _ in 0..2 {
        assert_eq!(hosts.fetch("down".into()).await, Err("down".into()));
    }
    assert_refused(hosts.fetch("down".into()).await);
    assert_eq!(hosts.fetch("up".into()).await, Ok("up".into()));
    let state = hosts.breaker_of("down").state();
    assert!(matches!(state, BreakerState::Open { .. }), "{}", state);
}

#[sandboxed(max_retries = 0, breaker = off)]
async fn without() -> Result<(), String> {
    Err("down".into())
}

#[tokio::test(start_paused = true)]
async fn a_function_may_have_none() {
    for _ in 0..100 {
        assert_eq!(without().await, Err("down".into()), "refused without a breaker");
    }
}

/// What a client library has: shared by its clones.
#[derive(Clone)]
struct Shared {
    calls: u32,
    breaker: Arc<CircuitBreaker>,
}

#[derive(Debug)]
struct Owner {
    breaker: CircuitBreaker,
}

impl Shared {
    #[sandboxed(max_retries = 0, breaker = self.breaker.clone())]
    async fn by_value(&self) -> Result<(), String> {
        Err("down".into())
    }

    #[sandboxed(backoff_base_ms = 0, breaker = &self.breaker)]
    async fn lent(&mut self) -> Result<u32, String> {
        self.count();
        if self.calls < 3 {
            Err("down".into())
        } else {
            Ok(self.calls)
        }
    }

    fn count(&mut self) {
        self.calls += 1;
    }
}

impl Owner {
    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = &self.breaker)]
    async fn shared(self: Arc<Self>) -> Result<(), String> {
        Err("down".into())
    }

    #[sandboxed(max_retries = 0, breaker = &self.breaker)]
    async fn shared_once(self: Arc<Self>) -> Result<(), String> {
        drop(self);
        Err("down".into())
    }
}

#[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = &owner.breaker)]
async fn of_an_argument(owner: Arc<Owner>) -> Result<(), String> {
    drop(owner);
    Err("down".into())
}

#[sandboxed(max_retries = 0, breaker = &owner.breaker)]
async fn of_an_argument_once(owner: Arc<Owner>) -> Result<(), String> {
    drop(owner);
    Err("down".into())
}

#[tokio::test(start_paused = true)]
async fn one_that_is_shared_stays_with_the_call() {
    let breaker = Arc::new(CircuitBreaker::new(1));
    let mut shared = Shared {
        calls: 0,
        breaker: Arc::clone(&breaker),
    };
    assert_eq!(shared.lent().await, Ok(3));
    shared.by_value().await.unwrap_err();
    assert!(breaker.is_open());
    assert_refused(shared.by_value().await);
}

#[tokio::test(start_paused = true)]
async fn it_may_be_a_part_of_what_attempts_own() {
    let owner = || {
        Arc::new(Owner {
            breaker: CircuitBreaker::new(1),
        })
    };
    let (one, other, third, fourth) = (owner(), owner(), owner(), owner());
    Arc::clone(&one).shared().await.unwrap_err();
    Arc::clone(&other).shared_once().await.unwrap_err();
    of_an_argument(Arc::clone(&third)).await.unwrap_err();
    of_an_argument_once(Arc::clone(&fourth)).await.unwrap_err();
    for owner in [one, other, third, fourth] {
        assert!(owner.breaker.is_open(), "the call went past {:?}", owner);
    }
}

/// Breakers and tokens that can be reached by one at a time.
#[derive(Default)]
struct Locked {
    breakers: RefCell<HashMap<String, Arc<CircuitBreaker>>>,
    tokens: Mutex<Vec<CancellationToken>>,
}

impl Locked {
    #[sandboxed(
        breaker = &self.breakers.borrow_mut().entry(host.to_owned()).or_default().clone(),
        cancel = self.tokens.lock().unwrap()[0]
    )]
    async fn fetch(&self, host: &str) -> Result<String, String> {
        let is_free = self.breakers.try_borrow_mut().is_ok() && self.tokens.try_lock().is_ok();
        tokio::task::yield_now().await;
        if is_free { Ok(host.into()) } else { Err("locked".into()) }
    }

    #[sandboxed(breaker = &self.breakers.borrow()["a"], cancel = &self.tokens.lock().unwrap()[0])]
    async fn hang(&self) -> Result<(), String> {
        self.tokens.lock().unwrap()[0].cancel();
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_they_are_found_in_is_free_while_the_tool_runs() {
    let locked = Locked::default();
    locked.tokens.lock().unwrap().push(CancellationToken::new());
    let both = tokio::join!(locked.fetch("a"), locked.fetch("b"));
    assert_eq!(both, (Ok("a".into()), Ok("b".into())));
    let cancelled = locked.hang().await.unwrap_err();
    assert!(cancelled.starts_with("`hang` was cancelled"), "{}", cancelled);
}
