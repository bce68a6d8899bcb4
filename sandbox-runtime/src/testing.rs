//! Tests of tools that do not see each other: [`isolated`].
//!
//! A function under `#[sandboxed]` has one breaker, one record, one set of limits in a process: so they are shared by all tests in
//! it, which run at the same time. In an isolated scope every tool has fresh ones.
//!
//! ```
//! use sandbox_runtime::{BreakerState, sandboxed, testing, tool};
//!
//! #[sandboxed(max_retries = 0, breaker(threshold = 2))]
//! async fn fetch_page(url: &str) -> Result<String, String> {
//!     Err(format!("no route to {url}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! // In a test, such as `#[tokio::test(start_paused = true)] async fn a_page_is_given_up_after_two_failures()`:
//! testing::isolated(async {
//!     for _ in 0..3 {
//!         assert!(fetch_page("http://example.com").await.is_err());
//!     }
//!     let status = tool("fetch_page").unwrap().status();
//!     assert_eq!((status.counters.failed(), status.counters.refused()), (2, 1));
//! })
//! .await;
//! assert_eq!(tool("fetch_page").unwrap().breaker().unwrap().state(), BreakerState::Closed);
//! # }
//! ```

mod isolation;
mod pool;

use std::future::Future;
use std::sync::Arc;

use crate::breaker::CircuitBreaker;
use crate::record::begin_to_record;
use crate::surroundings::{Attachment, InScope, isolation_around};

pub(crate) use isolation::{Isolation, StandIn};
pub(crate) use pool::stand_ins;

/// Runs `test` in a scope in which every tool has a fresh breaker, fresh counters and limits, and no switch or setting of an operator.
///
/// - It concerns the calls that begin in it. What they do to their tool, to its breaker and its limits, is seen in the scope only,
///   however the process has called it before, calls it meanwhile, or calls it afterwards. A call under way that is handed out of the
///   scope stays with what it began with.
/// - [`tool`](crate::tool()) and [`tools`](crate::tools) find the scope's tools in it: their status counts the calls of the scope, from
///   its beginning, and what is done by them ([`disable`](crate::ToolHandle::disable), [`reset`](crate::ToolHandle::reset), ..) is done
///   in the scope. So it is with [`Overrides`](crate::Overrides).
/// - A breaker that calls are given by hand, or by `breaker = ..`, is replaced too, by one of the same settings: the same one for
///   all calls in the scope. [`breaker`] finds it. A `KeyedBreakers` keeps and forgets keys by its own breakers, which nothing happens to
///   in the scope: give a map that is tested there room for all keys of the test. What a program does by itself to a
///   breaker that it has made, such as to [`admit`](CircuitBreaker::admit) something, it does to that breaker.
/// - Observers of the process, such as those of [`observe`](crate::observe::observe), see the calls of all scopes.
///   [`observe_in`](crate::observe::observe_in) is for the calls of one. What an observer itself calls or looks up is outside.
///
/// A scope in a scope has fresh ones once more. The scope belongs to its task: calls in a task of [`tokio::spawn`] or in another
/// thread are outside, unless [`Budget::inherit`](crate::Budget::inherit) takes a future along.
///
/// Handles and breakers that were found in a scope may be those of another one when it is over and no call that began in it is under
/// way: look at them in it. The process keeps as many as it has had scopes at a time. The future is `Send` when `test` is.
pub fn isolated<F: Future>(test: F) -> impl Future<Output = F::Output> {
    let make = || {
        // Before the first call: whoever looks at the counters at the end finds all of them.
        begin_to_record();
        vec![Arc::new(Isolated(Arc::default())) as _]
    };
    InScope::new(make, test)
}

/// The breaker that stands for `shared` in the calls of the [`isolated`] scope around the caller; outside of every such scope,
/// `shared` itself.
///
/// ```
/// use sandbox_runtime::{CircuitBreaker, sandboxed, testing};
///
/// static WAREHOUSE: CircuitBreaker = CircuitBreaker::new(1);
///
/// #[sandboxed(max_retries = 0, breaker = &WAREHOUSE)]
/// async fn count_stock(item: &str) -> Result<u32, String> {
///     Err(format!("no such item: {item}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// testing::isolated(async {
///     assert!(count_stock("nails").await.is_err());
///     assert!(testing::breaker(&WAREHOUSE).is_open());
/// })
/// .await;
/// assert!(!testing::breaker(&WAREHOUSE).is_open());
/// # }
/// ```
#[must_use]
pub fn breaker(shared: &CircuitBreaker) -> &CircuitBreaker {
    match isolation_around() {
        Some(isolation) => isolation.breaker(shared),
        None => shared,
    }
}

/// Isolates the calls inside.
#[derive(Debug)]
struct Isolated(Arc<Isolation>);

impl Attachment for Isolated {
    fn isolation(&self) -> Option<&Arc<Isolation>> {
        Some(&self.0)
    }
}
