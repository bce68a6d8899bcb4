//! Methods keep their receivers, whatever they are, and every attempt has one.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox_runtime::sandboxed;

#[derive(Debug, Default)]
struct Counter {
    attempts: Arc<AtomicU32>,
    count: u32,
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        Counter {
            attempts: Arc::clone(&self.attempts),
            count: self.count,
        }
    }
}

fn third(attempts: &AtomicU32, count: u32) -> Result<u32, String> {
    match attempts.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err("again".into()),
        _ => Ok(count),
    }
}

impl Counter {
    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn shared(&self) -> Result<u32, String> {
        third(&self.attempts, self.count)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn typed(self: &Self) -> Result<u32, String> {
        third(&self.attempts, self.count)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn unique(&mut self, step: u32) -> Result<u32, String> {
        self.count += step;
        third(&self.attempts, self.count)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn typed_unique(self: &mut Self, text: String) -> Result<u32, String> {
        self.count += text.len() as u32;
        tokio::task::yield_now().await;
        third(&self.attempts, self.count)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn owned(mut self) -> Result<u32, String> {
        self.count += 1;
        let Counter { attempts, count } = self;
        third(&attempts, count)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn arc(self: Arc<Self>) -> Result<u32, String> {
        let task = tokio::spawn(async move { third(&self.attempts, self.count) });
        task.await.map_err(|error| error.to_string())?
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn rc(self: Rc<Self>) -> Result<u32, String> {
        let shared = self;
        third(&shared.attempts, shared.count)
    }

    #[sandboxed(max_retries = 0)]
    async fn once(self: Box<Self>) -> Result<u32, String> {
        Ok(self.count)
    }

    #[sandboxed(max_retries = 0)]
    async fn pinned(self: Pin<&mut Self>) -> Result<u32, String> {
        Ok(self.count)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn with_items_of_its_own(self: Arc<Self>) -> Result<u32, String> {
        trait Double {
            fn double(&self) -> u32;
        }
        impl Double for u32 {
            fn double(&self) -> u32 {
                self * 2
            }
        }
        let number = |closure: u32| self.count + closure;
        third(&self.attempts, number(1).double())
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
    async fn formatted(&mut self) -> Result<String, String> {
        self.count += 1;
        third(&self.attempts, 0)?;
        Ok(format!("{self} {{self}} {}", "{self}"))
    }

    #[sandboxed]
    async fn beside_another(&self, this: &Self) -> Result<u32, String> {
        Ok(self.count * 10 + this.count)
    }

    #[sandboxed]
    async fn owned_beside_another(self, this: Self) -> Result<u32, String> {
        Ok(self.count * 10 + this.count)
    }

    #[sandboxed]
    async fn with_paths(self) -> Result<u32, String> {
        use self::inner::seven;
        Ok(seven() + self::inner::seven() + self.count)
    }

    #[sandboxed]
    async fn associated(count: u32) -> Result<Self, String> {
        let attempts = Arc::default();
        Ok(Self { attempts, count })
    }
}

impl std::fmt::Display for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "counter at {}", self.count)
    }
}

mod inner {
    pub(super) fn seven() -> u32 {
        7
    }
}

fn counter() -> Counter {
    Counter {
        count: 7,
        ..Counter::default()
    }
}

#[tokio::test(start_paused = true)]
async fn references() {
    assert_eq!(counter().shared().await, Ok(7));
    assert_eq!(counter().typed().await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn unique_references_are_lent_to_one_attempt_after_the_other() {
    let mut lent = counter();
    assert_eq!(lent.unique(10).await, Ok(37), "what attempts did to it is seen");
    assert_eq!(lent.count, 37);
    assert_eq!(counter().typed_unique("four".into()).await, Ok(7 + 3 * 4));
}

#[tokio::test(start_paused = true)]
async fn values_are_pristine_in_every_attempt() {
    assert_eq!(counter().owned().await, Ok(8));
    assert_eq!(Arc::new(counter()).arc().await, Ok(7));
    assert_eq!(Rc::new(counter()).rc().await, Ok(7));
    assert_eq!(Box::new(counter()).once().await, Ok(7));
    assert_eq!(Pin::new(&mut counter()).pinned().await, Ok(7));
    assert_eq!(Counter::associated(3).await.unwrap().count, 3);
}

#[tokio::test(start_paused = true)]
async fn format_strings_and_paths_may_name_self() {
    assert_eq!(counter().formatted().await, Ok("counter at 10 {self} {self}".into()));
    assert_eq!(counter().with_paths().await, Ok(21));
}

#[tokio::test(start_paused = true)]
async fn an_argument_may_be_called_this() {
    let this = Counter { count: 2, ..counter() };
    assert_eq!(counter().beside_another(&this).await, Ok(72));
    assert_eq!(counter().owned_beside_another(this).await, Ok(72));
}

#[tokio::test(start_paused = true)]
async fn items_within_the_body_keep_their_own_self() {
    assert_eq!(Arc::new(counter()).with_items_of_its_own().await, Ok(16));
}

#[test]
fn futures_are_send_when_they_were() {
    fn assert_send<T: Send>(_: T) {}
    assert_send(counter().shared());
    assert_send(counter().unique(1));
    assert_send(counter().typed_unique(String::new()));
    assert_send(counter().owned());
    assert_send(Arc::new(counter()).arc());
}
