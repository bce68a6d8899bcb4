//! Every sandboxed function has one breaker of its own: for all its callers, all instances of its type, all its generic
//! instances, and for no other function.

use std::fmt::Display;
use std::time::Duration;

use sandbox_runtime::sandboxed;

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
    assert_eq!(
        refusal,
        "circuit breaker open after 2 failures (threshold 2); try again in 1000 ms"
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
    assert!(generic(3.0).await.unwrap_err().contains("circuit breaker open"));
}
