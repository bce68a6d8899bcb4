//! Functions that are not `async` but return a future are sandboxed as well: their whole body is run for every attempt.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use sandbox_runtime::sandboxed;

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn boxed<'a>(
    attempts: &'a AtomicU32,
    mut text: String,
) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
    text.push('!');
    if attempts.load(Ordering::Relaxed) == 0 {
        attempts.fetch_add(1, Ordering::Relaxed);
        return Box::pin(async { Err("first".into()) });
    }
    Box::pin(async move {
        tokio::task::yield_now().await;
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt < 3 { Err("again".into()) } else { Ok(text) }
    })
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn alias(attempts: &AtomicU32) -> BoxFuture<'_, Result<u32, std::io::Error>> {
    Box::pin(async move {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt < 3 {
            Err(std::io::Error::other("again"))?;
        }
        Ok(attempt)
    })
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn local(attempts: &Cell<u32>) -> LocalBoxFuture<'_, Result<u32, String>> {
    Box::pin(async move {
        attempts.set(attempts.get() + 1);
        if attempts.get() < 3 {
            Err("again".into())
        } else {
            Ok(attempts.get())
        }
    })
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn opaque<'a>(attempts: &'a AtomicU32, text: &'a str) -> impl Future<Output = Result<usize, String>> + Send + 'a {
    let length = text.len();
    async move {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt < 3 {
            Err("again".to_owned())
        } else {
            Ok(length)
        }
    }
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn lent(attempts: &mut u32) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send + '_>> {
    Box::pin(async move {
        *attempts += 1;
        if *attempts < 3 {
            Err("again".into())
        } else {
            Ok(*attempts)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn each_attempt_runs_the_whole_body() {
    assert_eq!(boxed(&AtomicU32::new(0), "text".into()).await, Ok("text!".into()));
    assert_eq!(alias(&AtomicU32::new(0)).await.unwrap(), 3);
    assert_eq!(local(&Cell::new(0)).await, Ok(3));
    assert_eq!(opaque(&AtomicU32::new(0), "four").await, Ok(4));
    assert_eq!(lent(&mut 0).await, Ok(3));
}

#[sandboxed(max_retries = 0)]
async fn returns_opaque(limit: u32) -> Result<impl Iterator<Item = u32>, String> {
    Ok((0..limit).map(|number| number * 2))
}

#[tokio::test(start_paused = true)]
async fn what_is_returned_may_be_opaque() {
    assert_eq!(returns_opaque(3).await.unwrap().collect::<Vec<_>>(), [0, 2, 4]);
}

/// What comes before the future is done at the call, once; the future is made anew for each attempt.
struct Steps {
    begun: Cell<u32>,
    attempts: AtomicU32,
}

impl Steps {
    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    fn opaque(&self, mut text: String) -> impl Future<Output = Result<String, String>> + '_ {
        self.begun.set(self.begun.get() + 1);
        let begun = self.begun.get();
        text.push('!');
        let mut text = text + "?";
        async move {
            text.push('.');
            match self.attempts.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err("again".into()),
                _ => Ok(format!("{begun} {text}")),
            }
        }
    }

    #[sandboxed(max_retries = 0)]
    fn once(&self) -> Pin<Box<dyn Future<Output = Result<u32, String>> + '_>> {
        self.begun.set(self.begun.get() + 1);
        Box::pin(async move { Ok(self.begun.get()) })
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_future_is_done_at_the_call() {
    let steps = Steps {
        begun: Cell::new(0),
        attempts: AtomicU32::new(0),
    };
    let call = steps.opaque("a".into());
    assert_eq!(steps.begun.get(), 1, "the call has not begun it");
    assert_eq!(call.await, Ok("1 a!?.".into()));
    assert_eq!(steps.begun.get(), 1, "an attempt has begun it again");
    drop(steps.once());
    assert_eq!(steps.begun.get(), 2);
}

/// A service, as tower has them: its futures own all that they need.
#[derive(Clone, Default)]
struct Service {
    attempts: Arc<AtomicU32>,
}

type Answer = Result<String, String>;

impl Service {
    async fn ask(self, request: String) -> Answer {
        match self.attempts.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(request),
            attempt => Ok(format!("{request} {attempt}")),
        }
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    fn call(&mut self, request: String) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let inner = self.clone();
        Box::pin(async move { inner.ask(request).await })
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    fn aliased(&self, request: String) -> BoxFuture<'static, Answer> {
        let inner = self.clone();
        Box::pin(inner.ask(request))
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    fn captures_nothing(&self, request: String) -> impl Future<Output = Answer> + Send + use<> {
        let inner = self.clone();
        async move { inner.ask(request).await }
    }
}

#[tokio::test(start_paused = true)]
async fn it_may_own_all_that_it_needs() {
    fn own<T: Send + 'static>(future: T) -> T {
        future
    }
    assert_eq!(own(Service::default().call("a".into())).await, Ok("a 2".into()));
    assert_eq!(own(Service::default().aliased("a".into())).await, Ok("a 2".into()));
    let captures_nothing = own(Service::default().captures_nothing("a".into()));
    assert_eq!(captures_nothing.await, Ok("a 2".into()));
}

/// Hands on the futures of others, which borrow from it.
#[derive(Default)]
struct Forwarding {
    attempts: u32,
}

impl Forwarding {
    async fn third(&mut self, text: &str) -> Result<String, String> {
        self.attempts += 1;
        if self.attempts < 3 {
            Err("again".into())
        } else {
            Ok(text.into())
        }
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    fn boxed<'a>(&'a mut self, text: &'a str) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(self.third(text))
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100), retry_if = |error| error.ends_with("again"))]
    fn opaque<'a>(&'a mut self, text: &'a str) -> impl Future<Output = Result<String, String>> + Send + 'a {
        self.third(text)
    }

    #[sandboxed(max_retries = 0)]
    fn once(&mut self) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send + '_>> {
        let attempts = &mut self.attempts;
        Box::pin(async move {
            *attempts += 1;
            Ok(*attempts)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn it_may_be_the_future_of_another_function() {
    assert_eq!(Forwarding::default().boxed("a").await, Ok("a".into()));
    assert_eq!(Forwarding::default().opaque("a").await, Ok("a".into()));
    assert_eq!(Forwarding::default().once().await, Ok(1));
}

struct Permit<'a>(&'a Cell<bool>);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
fn own(text: String, _permit: Permit<'_>) -> BoxFuture<'static, Result<usize, String>> {
    #[cfg(any())]
    let absent = "absent";
    let words: Vec<String> = text
        .split(' ')
        .filter_map(|word| {
            if word.is_empty() {
                return None;
            }
            Some(word.to_owned())
        })
        .collect();
    Box::pin(async move {
        #[cfg(any())]
        drop(absent);
        Ok(words.len())
    })
}

#[tokio::test(start_paused = true)]
async fn what_it_does_not_need_is_dropped_at_the_call() {
    let is_dropped = Cell::new(false);
    let call = own("two  words".into(), Permit(&is_dropped));
    assert!(is_dropped.get(), "the future holds what it does not need");
    assert_eq!(call.await, Ok(2));
}
