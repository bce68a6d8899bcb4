//! On an `impl` block the attribute guards every tool in it, and what a tool says itself comes on top.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sandbox_runtime::sandboxed;

/// Marks a tool, as frameworks do: it leaves the function as it is.
mod framework {
    pub use tracing::instrument as tool;
}

use framework::tool;

#[derive(Default)]
struct Server {
    calls: AtomicU32,
}

#[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker(threshold = 2, count = attempts))]
impl Server {
    const NAMES: [&'static str; 2] = ["marked", "with_its_own"];

    fn call<T>(&self) -> Result<T, String> {
        Err(format!("call {}", self.calls.fetch_add(1, Ordering::Relaxed) + 1))
    }

    #[tool(skip(self))]
    async fn marked(&self) -> Result<(), String> {
        self.call()
    }

    #[tool(skip(self))]
    pub(crate) async fn generic(&self, _of: Bytes<{ 1 + 1 }>) -> Result<Bytes<{ 1 + 1 }>, String>
    where
        Self: Sized,
    {
        self.call()
    }

    #[sandboxed(max_retries = 3, breaker(threshold = 100))]
    async fn with_its_own(&self) -> Result<(), String> {
        self.call()
    }

    #[sandboxed]
    async fn by_the_attribute_alone(&self) -> Result<(), String> {
        self.call()
    }

    #[tool(skip(self))]
    fn not_async(&self) -> Result<(), String> {
        self.call()
    }

    async fn not_a_tool(&self) -> Result<(), String> {
        self.call()
    }
}

type Bytes<const N: usize> = [u8; N];

/// How many attempts a new server makes in a call.
macro_rules! attempts_of {
    ($name:ident($($argument:expr),*)) => {{
        let server = Server::default();
        let _ = server.$name($($argument),*).await;
        server.calls.into_inner()
    }};
}

#[tokio::test(start_paused = true)]
async fn tools_get_its_arguments_and_others_stay_as_they_are() {
    assert_eq!(attempts_of!(marked()), 2);
    assert_eq!(
        attempts_of!(marked()),
        0,
        "the breaker is that of the block's arguments"
    );
    assert_eq!(attempts_of!(generic([0, 0])), 2);
    assert_eq!(attempts_of!(by_the_attribute_alone()), 2);
    assert_eq!(attempts_of!(not_a_tool()), 1);
    let server = Server::default();
    let _ = server.not_async();
    assert_eq!((server.calls.into_inner(), Server::NAMES.len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_tool_says_itself_comes_on_top() {
    assert_eq!(attempts_of!(with_its_own()), 4);
    assert_eq!(attempts_of!(with_its_own()), 4, "the breaker has opened");
}

#[async_trait]
trait Search {
    async fn above(&self, attempts: &AtomicU32) -> Result<(), String>;
    async fn beside(&self, attempts: &AtomicU32) -> Result<(), String>;
}

struct Above;
struct Below;

fn fail(attempts: &AtomicU32) -> Result<(), String> {
    attempts.fetch_add(1, Ordering::Relaxed);
    Err("down".into())
}

#[sandboxed(max_retries = 4, backoff_base_ms = 0)]
#[async_trait]
impl Search for Above {
    #[tool(skip_all)]
    async fn above(&self, attempts: &AtomicU32) -> Result<(), String> {
        fail(attempts)
    }

    async fn beside(&self, attempts: &AtomicU32) -> Result<(), String> {
        fail(attempts)
    }
}

#[async_trait]
#[sandboxed(max_retries = 4, backoff_base_ms = 0)]
impl Search for Below {
    #[sandboxed(max_retries = 2)]
    async fn above(&self, attempts: &AtomicU32) -> Result<(), String> {
        fail(attempts)
    }

    async fn beside(&self, attempts: &AtomicU32) -> Result<(), String> {
        fail(attempts)
    }
}

#[tokio::test(start_paused = true)]
async fn it_stands_above_and_below_async_trait() {
    let (above, below, beside) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    Above.above(&above).await.unwrap_err();
    Below.above(&below).await.unwrap_err();
    Above.beside(&beside).await.unwrap_err();
    Below.beside(&beside).await.unwrap_err();
    assert_eq!((above.into_inner(), below.into_inner(), beside.into_inner()), (5, 3, 2));
}
