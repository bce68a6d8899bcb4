//! [`Budget`]: limits for a whole run of an agent, shared by all the calls in it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Attachment, CallEnd, InScope};
use crate::clock::saturating_add;
use crate::failure::{Stop, UsedUp};
use crate::surroundings;

/// Limits for a whole run of an agent, shared by every sandboxed call inside it: a time by which all calls are over, how many calls
/// there may be, and how many retries they may make together.
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
/// - Each retry spends one of the retries, when its delay begins; [`successes_per_retry`](Self::successes_per_retry) successful
///   calls earn one back. When they are spent, calls end with what their last attempt ended with, so that retries of many
///   tools cannot overload a failing dependency. (This is the retry throttling of gRPC, and the token bucket of the AWS SDKs.)
/// - Budgets nest: a call obeys those of all scopes around it.
/// - Calls outside every scope are untouched.
///
/// A scope belongs to its task. [`tokio::spawn`] starts a task outside of it; [`Budget::inherit`] keeps the scope:
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
    calls: Option<u32>,
}

impl Budget {
    /// A budget that limits nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Budget {
            deadline: None,
            retries: None,
            successes_per_retry: 10,
            calls: None,
        }
    }

    /// Sets how many calls of tools the run may make together, whatever becomes of them. Default: no limit.
    ///
    /// Further ones end with [`SandboxError::CallBudgetSpent`](crate::SandboxError::CallBudgetSpent), which leaves no mark on any
    /// breaker, and from which the model reads that it should finish with what it has. A call counts once it makes its first attempt:
    /// one that is refused before does not, and retries do not. A call within a call counts as well.
    #[must_use]
    pub const fn calls(mut self, calls: u32) -> Self {
        self.calls = Some(calls);
        self
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
    pub fn scope<F: Future>(self, run: F) -> impl Future<Output = F::Output> {
        InScope::new(move || vec![Arc::new(RunLimits::starting_now(self)) as _], run)
    }

    /// Takes what the model of the run around the caller has still to read of it: that its calls, its time or its retries are used up,
    /// and what is left to do. `None` if nothing is, if a failure has said so, or if this was taken before.
    ///
    /// A failure of the engine [says it](crate::Failure::for_model) to the model by itself. An error that a tool returns stays as it is, and so
    /// does an answer; and an error type that is made from a [`SandboxError`](crate::SandboxError) has a text for programs, which does not
    /// say it. A program that writes to its model asks for this with each result of a tool, and adds it:
    ///
    /// ```
    /// # use sandbox_runtime::{Budget, sandboxed};
    /// #[sandboxed(backoff_base_ms = 1)]
    /// async fn search(query: String) -> Result<String, String> {
    ///     Err(format!("no index for {query:?}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// Budget::new()
    ///     .retries(1)
    ///     .scope(async {
    ///         let mut for_model = search("owls".into()).await.unwrap_or_else(|error| error);
    ///         if let Some(notice) = Budget::notice() {
    ///             for_model = format!("{for_model}\n\n{notice}");
    ///         }
    ///         assert_eq!(
    ///             for_model,
    ///             "no index for \"owls\"\n\nNo call that fails will be tried again in this run. Go on without it."
    ///         );
    ///         assert_eq!(Budget::notice(), None, "it is read once");
    ///     })
    ///     .await;
    /// # }
    /// ```
    ///
    /// Of runs within each other, the closest is meant: whoever asks writes to its model. Within a tool that a client of an MCP server has
    /// called, and outside of every scope, there is nothing to be told.
    #[must_use]
    pub fn notice() -> Option<&'static str> {
        surroundings::tell_used_up_around().map(UsedUp::notice)
    }

    /// Keeps `future` in the scope that this is called in, for a task of its own.
    pub fn inherit<F: Future>(future: F) -> impl Future<Output = F::Output> {
        surroundings::inherit(future)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// The limits of a run that has begun.
#[derive(Debug)]
struct RunLimits {
    ends: Option<Instant>,
    retries: Option<RetryTokens>,
    /// Calls that may still be made.
    calls: Option<AtomicU32>,
    /// Whether a failure has said that no tool is called any more, and that no retry is left.
    is_told: [AtomicBool; 2],
}

impl RunLimits {
    fn starting_now(budget: Budget) -> RunLimits {
        let successes_per_retry = budget.successes_per_retry;
        RunLimits {
            ends: budget.deadline.map(|deadline| saturating_add(Instant::now(), deadline)),
            retries: budget
                .retries
                .map(|retries| RetryTokens::new(retries, successes_per_retry)),
            calls: budget.calls.map(AtomicU32::new),
            is_told: Default::default(),
        }
    }
}

impl Attachment for RunLimits {
    fn ends(&self) -> Option<Instant> {
        self.ends
    }

    fn take_call(&self) -> bool {
        // Relaxed: a count by itself, which orders nothing else.
        let take = |calls: &AtomicU32| {
            calls
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
        };
        self.calls.as_ref().is_none_or(take)
    }

    fn return_call(&self) {
        if let Some(calls) = &self.calls {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take_retry(&self) -> bool {
        self.retries.as_ref().is_none_or(RetryTokens::withdraw)
    }

    fn return_retry(&self) {
        if let Some(retries) = &self.retries {
            retries.put_back();
        }
    }

    fn tell_used_up(&self, by: Option<Stop>) -> Option<Option<UsedUp>> {
        let is_over = || self.ends.is_some_and(|ends| ends <= Instant::now());
        let has_none = || {
            self.calls
                .as_ref()
                .is_some_and(|calls| calls.load(Ordering::Relaxed) == 0)
        };
        let has_denied = || self.retries.as_ref().is_some_and(RetryTokens::has_denied);
        let (used_up, is_told) = match by {
            Some(Stop::DeadlineExceeded) if is_over() => (UsedUp::Calls, &self.is_told[0]),
            Some(Stop::CallBudgetSpent) if has_none() => (UsedUp::Calls, &self.is_told[0]),
            None if is_over() || has_none() => (UsedUp::Calls, &self.is_told[0]),
            Some(Stop::RetryBudgetSpent) => (UsedUp::Retries, &self.is_told[1]),
            None if has_denied() => (UsedUp::Retries, &self.is_told[1]),
            _ => return Some(None),
        };
        // Relaxed: it orders nothing else.
        Some((!is_told.swap(true, Ordering::Relaxed)).then_some(used_up))
    }

    fn untell_used_up(&self, used_up: UsedUp) -> bool {
        let is_told = match used_up {
            UsedUp::Calls => &self.is_told[0],
            UsedUp::Retries => &self.is_told[1],
        };
        is_told.store(false, Ordering::Relaxed);
        true
    }

    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        if end.stop == Stop::Succeeded
            && let Some(retries) = &self.retries
        {
            retries.deposit();
        }
        is_reported
    }
}

/// The retries that are left, counted in the successes that earn them: whole numbers, so that nothing is lost to rounding.
#[derive(Debug)]
struct RetryTokens {
    available: AtomicU64,
    capacity: u64,
    /// What a retry takes.
    cost: u64,
    /// What a success adds: nothing, where no number of them earns a retry.
    credit: u64,
    has_denied: AtomicBool,
}

impl RetryTokens {
    fn new(retries: u32, successes_per_retry: u32) -> Self {
        let cost = u64::from(successes_per_retry.max(1));
        // Cannot overflow: two numbers of 32 bits.
        let capacity = u64::from(retries) * cost;
        RetryTokens {
            available: AtomicU64::new(capacity),
            capacity,
            cost,
            credit: u64::from(successes_per_retry != 0),
            has_denied: AtomicBool::new(false),
        }
    }

    fn withdraw(&self) -> bool {
        let is_granted = self.update(|available| available.checked_sub(self.cost));
        if !is_granted {
            // Relaxed: it orders nothing else.
            self.has_denied.store(true, Ordering::Relaxed);
        }
        is_granted
    }

    /// Tells whether a retry was asked for that was not left.
    fn has_denied(&self) -> bool {
        self.has_denied.load(Ordering::Relaxed)
    }

    fn put_back(&self) {
        self.update(|available| Some(available.saturating_add(self.cost).min(self.capacity)));
    }

    fn deposit(&self) {
        self.update(|available| (available < self.capacity).then(|| available + self.credit));
    }

    /// Relaxed: a count by itself, which orders nothing else.
    fn update(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        self.available
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawable(retries: &RetryTokens) -> u32 {
        (0..).take_while(|_| retries.withdraw()).count().try_into().unwrap()
    }

    #[test]
    fn successes_earn_retries_back_and_no_more_than_there_were() {
        let retries = RetryTokens::new(2, 3);
        (0..100).for_each(|_| retries.deposit());
        assert_eq!(withdrawable(&retries), 2, "full from the start");
        (0..2).for_each(|_| retries.deposit());
        assert_eq!(withdrawable(&retries), 0, "two of three");
        retries.deposit();
        assert_eq!(withdrawable(&retries), 1);
        (0..100).for_each(|_| retries.deposit());
        assert_eq!(withdrawable(&retries), 2);
    }

    #[test]
    fn extremes() {
        assert!(!RetryTokens::new(0, 10).withdraw());
        let retries = RetryTokens::new(u32::MAX, u32::MAX);
        assert!(retries.withdraw());
        retries.put_back();
        retries.put_back();
        assert_eq!(retries.available.into_inner(), retries.capacity);
        let never = RetryTokens::new(1, 0);
        assert!(never.withdraw());
        never.deposit();
        assert!(!never.withdraw(), "no success earns a retry");
    }
}
