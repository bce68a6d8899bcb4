//! [`Budget`]: limits for a whole run of an agent, kept by all the calls in it together.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::after;
use crate::scope;

/// Limits for a whole run of an agent, which every sandboxed call inside it keeps: a time by which all are over, and how many
/// retries they may make together.
///
/// ```
/// # use sandbox_runtime::Budget;
/// # use std::time::Duration;
/// # async fn run_the_agent() {}
/// # async fn f() {
/// Budget::new()
///     .deadline(Duration::from_secs(60))
///     .retries(20)
///     .scope(run_the_agent())
///     .await;
/// # }
/// ```
///
/// - A call that would outlast the deadline is cut at it, as at a [deadline](crate::Policy::deadline) of its own, and one that
///   would begin after it is not made.
/// - Each retry spends one of the retries, when its delay begins; so many successes as [`successes_per_retry`](Self::successes_per_retry) says
///   earn one back. With none left, calls end with what their last attempt came to, and a sick dependency is not
///   multiplied by all the tools that need it. (This is the retry throttling of gRPC, and the token bucket of the AWS SDKs.)
/// - Budgets nest: a call keeps those of all scopes around it.
/// - Calls outside any scope are untouched.
///
/// A scope belongs to its task. [`tokio::spawn`] starts a task outside it; [`Budget::inherit`] takes the scope along:
///
/// ```
/// # use sandbox_runtime::Budget;
/// # async fn search() {}
/// # async fn f() {
/// tokio::spawn(Budget::inherit(search()));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    deadline: Option<Duration>,
    retries: Option<u32>,
    successes_per_retry: u32,
}

impl Budget {
    /// A budget that limits nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Budget {
            deadline: None,
            retries: None,
            successes_per_retry: 10,
        }
    }

    /// Sets how long the run may take, from when its scope is first polled. Default: no limit.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how many retries the calls of the run may make together; also the most that successes can earn back. Default: no
    /// limit.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets how many successful calls earn one retry back. Default: 10. 0 means that none ever do.
    #[must_use]
    pub const fn successes_per_retry(mut self, successes: u32) -> Self {
        self.successes_per_retry = successes;
        self
    }

    /// Runs `run` with this budget. The future is `Send` when `run` is.
    pub async fn scope<F: Future>(self, run: F) -> F::Output {
        scope::enter();
        let scope = Scope::within(current(), self);
        SCOPE.scope(Arc::new(scope), run).await
    }

    /// `future` in the scope that this is called in, for a task of its own.
    pub fn inherit<F: Future>(future: F) -> impl Future<Output = F::Output> {
        let scope = current();
        async move {
            match scope {
                Some(scope) => SCOPE.scope(scope, future).await,
                None => future.await,
            }
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// A budget that is being spent.
#[derive(Debug)]
struct Scope {
    /// The earliest end of this and the scopes around it.
    ends: Option<Instant>,
    retries: Option<Retries>,
    around: Option<Arc<Scope>>,
}

impl Scope {
    fn within(around: Option<Arc<Scope>>, budget: Budget) -> Scope {
        let own_end = budget.deadline.map(|deadline| after(Instant::now(), deadline));
        let end_around = around.as_ref().and_then(|scope| scope.ends);
        Scope {
            ends: own_end.into_iter().chain(end_around).min(),
            retries: budget
                .retries
                .map(|retries| Retries::new(retries, budget.successes_per_retry)),
            around,
        }
    }

    /// Takes a retry from this and all scopes around it, or from none.
    fn spend_retry(&self) -> bool {
        if !self.retries.as_ref().is_none_or(Retries::spend) {
            return false;
        }
        let granted = self.around.as_ref().is_none_or(|scope| scope.spend_retry());
        if !granted && let Some(retries) = &self.retries {
            retries.give_back();
        }
        granted
    }

    fn give_back_retry(&self) {
        if let Some(retries) = &self.retries {
            retries.give_back();
        }
        if let Some(scope) = &self.around {
            scope.give_back_retry();
        }
    }

    fn earn(&self) {
        if let Some(retries) = &self.retries {
            retries.earn();
        }
        if let Some(scope) = &self.around {
            scope.earn();
        }
    }
}

/// How many retries are left, counted in the successes that earn them: whole numbers, so that nothing is lost to rounding.
#[derive(Debug)]
struct Retries {
    left: AtomicU64,
    most: u64,
    price: u64,
    /// What a success earns: nothing, where no number of them earns a retry.
    wage: u64,
}

impl Retries {
    fn new(retries: u32, successes_per_retry: u32) -> Self {
        let price = u64::from(successes_per_retry.max(1));
        // Cannot overflow: two numbers of 32 bits.
        let most = u64::from(retries) * price;
        Retries {
            left: AtomicU64::new(most),
            most,
            price,
            wage: u64::from(successes_per_retry != 0),
        }
    }

    fn spend(&self) -> bool {
        self.update(|left| left.checked_sub(self.price))
    }

    fn give_back(&self) {
        self.update(|left| Some(left.saturating_add(self.price).min(self.most)));
    }

    fn earn(&self) {
        self.update(|left| (left < self.most).then(|| left + self.wage));
    }

    /// Relaxed: a count by itself, which orders nothing else.
    fn update(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }
}

fn current() -> Option<Arc<Scope>> {
    SCOPE.try_with(Arc::clone).ok()
}

/// When the scope around the caller ends, if there is one that does.
#[cold]
pub(crate) fn ends() -> Option<Instant> {
    SCOPE.try_with(|scope| scope.ends).ok()?
}

/// Whether the scope around the caller has a retry left, which then is spent. Outside any, always.
#[cold]
pub(crate) fn spend_retry() -> bool {
    SCOPE.try_with(|scope| scope.spend_retry()).unwrap_or(true)
}

/// Returns a retry that was spent and then not made.
#[cold]
pub(crate) fn give_back_retry() {
    // Outside any there was none to spend.
    let _ = SCOPE.try_with(|scope| scope.give_back_retry());
}

/// Counts a success for the scope around the caller.
#[cold]
pub(crate) fn earn() {
    // Outside any there is nobody to tell.
    let _ = SCOPE.try_with(|scope| scope.earn());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spendable(retries: &Retries) -> u32 {
        (0..).take_while(|_| retries.spend()).count().try_into().unwrap()
    }

    #[test]
    fn successes_earn_retries_back_and_no_more_than_there_were() {
        let retries = Retries::new(2, 3);
        (0..100).for_each(|_| retries.earn());
        assert_eq!(spendable(&retries), 2, "full from the start");
        (0..2).for_each(|_| retries.earn());
        assert_eq!(spendable(&retries), 0, "two of three");
        retries.earn();
        assert_eq!(spendable(&retries), 1);
        (0..100).for_each(|_| retries.earn());
        assert_eq!(spendable(&retries), 2);
    }

    #[test]
    fn extremes() {
        assert!(!Retries::new(0, 10).spend());
        let retries = Retries::new(u32::MAX, u32::MAX);
        assert!(retries.spend());
        retries.give_back();
        retries.give_back();
        assert_eq!(retries.left.into_inner(), retries.most);
        let never = Retries::new(1, 0);
        assert!(never.spend());
        never.earn();
        assert!(!never.spend(), "no success earns a retry");
    }

    #[test]
    fn scopes_around_grant_a_retry_or_none_is_spent() {
        let around = Arc::new(Scope::within(None, Budget::new().retries(1)));
        let inner = Scope::within(Some(Arc::clone(&around)), Budget::new().retries(2));
        assert!(inner.spend_retry());
        assert!(!inner.spend_retry(), "the one around has none left");
        assert_eq!(spendable(inner.retries.as_ref().unwrap()), 1, "given back");
    }
}
