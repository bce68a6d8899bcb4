//! It stands above and below other attributes, in traits and their implementations, and in functions made by macros.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sandbox_runtime::sandboxed;

fn third(attempts: &AtomicU32) -> Result<u32, String> {
    match attempts.fetch_add(1, Ordering::Relaxed) + 1 {
        attempt @ (1 | 2) => Err(format!("attempt {attempt}")),
        attempt => Ok(attempt),
    }
}

#[async_trait]
trait Boxed {
    async fn shared(&self, text: String) -> Result<u32, String>;
    async fn unique(&mut self, list: &mut Vec<u32>) -> Result<usize, String>;
    async fn by_default(&self) -> Result<u32, String> {
        Ok(0)
    }
}

#[derive(Default)]
struct Service {
    attempts: AtomicU32,
}

#[async_trait]
impl Boxed for Service {
    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn shared(&self, mut text: String) -> Result<u32, String> {
        text.push('!');
        assert_eq!(text, "text!", "an attempt got what another had changed");
        tokio::task::yield_now().await;
        let attempt = third(&self.attempts)?;
        Ok(attempt)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn unique(&mut self, list: &mut Vec<u32>) -> Result<usize, String> {
        list.push(third(&self.attempts).unwrap_or(0));
        if list.len() < 3 {
            return Err("more".into());
        }
        Ok(list.len())
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_async_trait() {
    assert_eq!(Service::default().shared("text".into()).await, Ok(3));
    let mut list = Vec::new();
    assert_eq!(Service::default().unique(&mut list).await, Ok(3));
    assert_eq!(list, [0, 0, 3]);
    assert_eq!(Boxed::by_default(&Service::default()).await, Ok(0));
}

#[allow(async_fn_in_trait)]
trait Native {
    fn attempts(&self) -> &AtomicU32;

    async fn implemented(&self) -> Result<u32, String>;

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn by_default(&self) -> Result<u32, String> {
        third(self.attempts())
    }
}

impl Native for Service {
    fn attempts(&self) -> &AtomicU32 {
        &self.attempts
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn implemented(&self) -> Result<u32, String> {
        third(&self.attempts)
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_trait_with_async_functions_of_its_own() {
    assert_eq!(Native::implemented(&Service::default()).await, Ok(3));
    assert_eq!(Native::by_default(&Service::default()).await, Ok(3));
}

#[tracing::instrument(skip(attempts))]
#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
async fn instrumented_above(attempts: &AtomicU32, number: u32) -> Result<u32, String> {
    Ok(third(attempts)? + number)
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
#[tracing::instrument(skip(attempts))]
async fn instrumented_below(attempts: &AtomicU32, number: u32) -> Result<u32, String> {
    Ok(third(attempts)? + number)
}

#[tokio::test(start_paused = true)]
async fn with_instrument_above_and_below() {
    assert_eq!(instrumented_above(&AtomicU32::new(0), 10).await, Ok(13));
    assert_eq!(instrumented_below(&AtomicU32::new(0), 10).await, Ok(13));
}

macro_rules! tool {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($argument:ident: $ty:ty) -> $returned:ty $body:block) => {
        $(#[$meta])*
        #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
        $visibility async fn $name($argument: $ty) -> $returned $body
    };
}

tool! {
    /// Made by a macro.
    pub(crate) fn made_by_a_macro(attempts: &AtomicU32) -> Result<u32, String> {
        third(attempts)
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_function_made_by_a_macro() {
    assert_eq!(made_by_a_macro(&AtomicU32::new(0)).await, Ok(3));
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
async fn conditional(
    #[cfg(any())] absent: NoSuchType,
    #[cfg(debug_assertions)] present: u32,
    #[cfg(not(debug_assertions))] present: u32,
    attempts: &AtomicU32,
) -> Result<u32, String> {
    Ok(third(attempts)? + present)
}

#[tokio::test(start_paused = true)]
async fn with_parameters_under_a_condition() {
    assert_eq!(conditional(10, &AtomicU32::new(0)).await, Ok(13));
}

struct Traced;

#[async_trait::async_trait]
trait Call {
    async fn call(&self, args: String) -> Result<usize, String>;
    async fn once(&self, args: String) -> Result<usize, String>;
}

#[async_trait::async_trait]
impl Call for Traced {
    #[sandboxed]
    #[tracing::instrument(skip(self))]
    async fn call(&self, args: String) -> Result<usize, String> {
        Ok(args.len())
    }

    #[sandboxed(max_retries = 0)]
    #[tracing::instrument(skip(self))]
    async fn once(&self, args: String) -> Result<usize, String> {
        Ok(args.len())
    }
}

#[tokio::test(start_paused = true)]
async fn with_instrument_below_on_what_async_trait_has_made() {
    assert_eq!(Traced.call("four".into()).await, Ok(4));
    assert_eq!(Traced.once("four".into()).await, Ok(4));
}
