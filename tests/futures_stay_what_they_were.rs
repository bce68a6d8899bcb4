//! The future of a call is `Send` when the function's own was, also when what it returns is not: an answer that could not be sent to
//! another thread is not held while the call waits to retry. What that costs is shown here, too. It is `Sync` and `UnwindSafe`
//! when the function's own was, and what it returns is.

use std::error::Error;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox_runtime::{CircuitBreaker, SandboxError, sandboxed};
use tokio::time::{Duration, sleep};

fn send<T: Send>(future: T) -> T {
    future
}

fn sync<T: Sync>(future: T) -> T {
    future
}

fn unwind_safe<T: UnwindSafe>(future: T) -> T {
    future
}

fn third(attempts: &AtomicU32) -> Result<(), String> {
    match attempts.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err("again".into()),
        _ => Ok(()),
    }
}

#[sandboxed(backoff_base_ms = 1, breaker = off)]
async fn error_of_any_kind(attempts: &AtomicU32) -> Result<u32, Box<dyn Error>> {
    tokio::task::yield_now().await;
    third(attempts)?;
    Ok(1)
}

#[sandboxed(backoff_base_ms = 1, breaker = off)]
async fn answer_that_stays(attempts: &AtomicU32) -> Result<Rc<u32>, String> {
    tokio::task::yield_now().await;
    third(attempts)?;
    Ok(Rc::new(1))
}

#[sandboxed(backoff_base_ms = 1, breaker = off)]
async fn lent(attempts: &mut AtomicU32) -> Result<Rc<u32>, Box<dyn Error>> {
    tokio::task::yield_now().await;
    third(attempts)?;
    Ok(Rc::new(1))
}

#[sandboxed(backoff_base_ms = 1, breaker = off)]
async fn generic<T: Default>(attempts: &AtomicU32) -> Result<T, String> {
    tokio::task::yield_now().await;
    third(attempts)?;
    Ok(T::default())
}

#[tokio::test(start_paused = true)]
async fn what_is_returned_need_not_be_send() {
    assert_eq!(send(error_of_any_kind(&AtomicU32::new(0))).await.unwrap(), 1);
    assert_eq!(send(answer_that_stays(&AtomicU32::new(0))).await, Ok(Rc::new(1)));
    assert_eq!(send(lent(&mut AtomicU32::new(0))).await.unwrap(), Rc::new(1));
    assert_eq!(send(generic::<u32>(&AtomicU32::new(0))).await, Ok(0));
    assert_eq!(send(generic::<Rc<u32>>(&AtomicU32::new(0))).await, Ok(Rc::new(0)));
}

/// A type that cannot be sent to another thread.
#[derive(Debug)]
struct Own(Rc<str>);

impl std::fmt::Display for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SandboxError> for Own {
    fn from(error: SandboxError) -> Self {
        Own(error.to_string().into())
    }
}

#[sandboxed(max_retries = 1, breaker = off)]
async fn always_down() -> Result<(), Own> {
    Err(Own("down".into()))
}

/// The last attempt's own answer is returned as long as nothing has to wait.
#[tokio::test(start_paused = true)]
async fn the_last_answer_is_returned_all_the_same() {
    assert_eq!(&*always_down().await.unwrap_err().0, "down");
}

#[sandboxed(cancel = token, breaker = off)]
async fn cancelled_in_a_delay(token: &tokio_util::sync::CancellationToken) -> Result<(), Own> {
    Err(Own("down".into()))
}

#[sandboxed(cancel = token, breaker = off)]
async fn cancelled_in_a_delay_and_send(token: &tokio_util::sync::CancellationToken) -> Result<(), String> {
    Err("down".into())
}

/// This is what is given up: a call that ends *in a delay* returns a failure of the engine in place of such an error.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_send_is_lost_in_a_delay() {
    let token = tokio_util::sync::CancellationToken::new();
    let cancel = async {
        sleep(Duration::from_millis(100)).await;
        token.cancel();
    };
    let (lost, kept, ()) = tokio::join!(
        cancelled_in_a_delay(&token),
        cancelled_in_a_delay_and_send(&token),
        cancel
    );
    let lost = lost.unwrap_err().0;
    assert!(lost.contains("cancelled"), "{}", lost);
    assert_eq!(kept, Err("down".into()));
}

#[sandboxed(backoff_base_ms = 10, breaker = breaker, on_failure = |failure| Err(Own(failure.for_model().into())))]
async fn refused_after_a_delay(breaker: &CircuitBreaker) -> Result<(), Own> {
    Err(Own("down".into()))
}

/// Where a breaker that has opened in the delay is told in place of the error, the words do not say that nothing was called.
#[tokio::test(start_paused = true)]
async fn a_refusal_after_such_an_answer_does_not_deny_the_call() {
    let breaker = CircuitBreaker::new(1);
    let opens = async {
        sleep(Duration::from_millis(5)).await;
        breaker.record_failure();
    };
    let (lost, ()) = tokio::join!(refused_after_a_delay(&breaker), opens);
    let lost = lost.unwrap_err().0;
    assert_eq!(
        &*lost,
        "`refused_after_a_delay` is unavailable after repeated failures (circuit breaker open) and was not called again. An \
         earlier attempt failed: down. Do not call it again for 30 s; go on without it."
    );
}

#[sandboxed]
async fn plain(text: String) -> Result<usize, String> {
    std::future::ready(()).await;
    Ok(text.len())
}

#[sandboxed(max_retries = 0)]
async fn once(text: &str) -> Result<usize, String> {
    std::future::ready(()).await;
    Ok(text.len())
}

#[tokio::test(start_paused = true)]
async fn the_future_is_sync_and_unwind_safe_as_well() {
    assert_eq!(sync(plain("four".into())).await, Ok(4));
    assert_eq!(sync(once("four")).await, Ok(4));
    assert_eq!(unwind_safe(plain("four".into())).await, Ok(4));
    assert_eq!(unwind_safe(once("four")).await, Ok(4));
}

/// Can be sent to another thread, and not be used by two at a time.
struct Inbox {
    messages: std::sync::mpsc::Receiver<u32>,
    received: u32,
}

impl Inbox {
    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn next(&mut self) -> Result<u32, String> {
        self.received += 1;
        std::future::ready(()).await;
        self.messages.try_recv().map_err(|error| error.to_string())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_method_borrows_for_writing_need_not_be_sync() {
    let (sender, messages) = std::sync::mpsc::channel();
    let mut inbox = Inbox { messages, received: 0 };
    sender.send(7).unwrap();
    assert_eq!(send(inbox.next()).await, Ok(7));
    assert!(send(inbox.next()).await.is_err());
    assert_eq!(inbox.received, 1 + 3);
}

/// Functions that call each other in this order, each with a text of its own.
macro_rules! chain {
    ($last:ident) => {
        async fn $last(text: String) -> Result<String, String> {
            tokio::task::yield_now().await;
            Ok(text)
        }
    };
    ($name:ident $next:ident $($more:ident)*) => {
        #[sandboxed]
        async fn $name(text: String) -> Result<String, String> {
            $next(text).await
        }
        chain!($next $($more)*);
    };
}

chain!(first second third_of_twelve fourth fifth sixth seventh eighth ninth tenth eleventh twelfth called_by_all);

/// The compiler computes the layout of each future within that of its caller, down to the default `#![recursion_limit]`: with one
/// more level of structs around a tool this file would not build.
#[test]
fn twelve_tools_can_call_each_other() {
    drop(send(first(String::new())));
}
