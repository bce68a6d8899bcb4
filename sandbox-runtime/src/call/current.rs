//! [`Attempt`]: what a tool can know of the attempt that it runs in, and how the thread knows which one that is.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::injected::LostAnswer;
use crate::clock::saturating_add;
use crate::policy::Policy;

/// The attempt that runs now, as the tool sees it: for idempotency keys, for limits of its own, and for logs.
///
/// ```
/// use sandbox_runtime::{Attempt, sandboxed};
/// # async fn post(key: &str, amount: u32) -> Result<(), String> { Ok(()) }
///
/// #[sandboxed(timeout_ms = 5_000, max_retries = 2)]
/// async fn pay(amount: u32) -> Result<(), String> {
///     // The same key for all attempts of a call: the dependency can tell a retry from another payment.
///     let key = Attempt::current().map(|attempt| attempt.call_id().to_string());
///     post(&key.unwrap_or_default(), amount).await
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() { pay(1).await.unwrap(); }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    call_id: CallId,
    number: u32,
    ends: Option<Instant>,
}

impl Attempt {
    /// The attempt of the innermost sandboxed call whose tool this is called in; `None` outside of all of them. A task that the
    /// tool has spawned is outside.
    #[must_use]
    pub fn current() -> Option<Attempt> {
        CURRENT.try_with(Current::attempt).ok()?
    }

    /// The call that the attempt belongs to. All attempts of a call have the same, and so have its failures.
    #[must_use]
    pub const fn call_id(&self) -> CallId {
        self.call_id
    }

    /// Which attempt of the call it is, counted from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How long the attempt may still take: until its time limit, the deadline of the call or the end of its run, whichever comes
    /// first. `None` without a limit. The limit of an attempt begins when it first has to wait.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let ends = self.ends?;
        Some(ends.saturating_duration_since(Instant::now()))
    }
}

/// The identity of a call: the same for all its attempts, and another one for every other call, of other processes too.
///
/// Displays as 32 hexadecimal digits, and serializes as that text. It is not a secret: whoever knows one can guess others of
/// the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    /// An identity that no other call of the process has.
    pub(crate) fn new() -> CallId {
        // Relaxed: a count by itself, which orders nothing else.
        static CALLS: AtomicU64 = AtomicU64::new(1);
        CallId(CALLS.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The standard library has no other random number, and this one suffices: it tells processes apart.
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
        write!(f, "{:016x}{:016x}", *PROCESS, self.0)
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

thread_local! {
    static CURRENT: Current = const { Current::outside() };
}

/// What a thread knows of the innermost attempt that it polls. A first poll writes two words and no more: every call pays for
/// them, and few ask.
struct Current {
    /// The id of the call, once somebody has asked for it.
    call_id: Cell<u64>,
    /// The number of the attempt above, and below the milliseconds that it has from now on: see [`Limit`].
    attempt: Cell<u64>,
    /// When an attempt that has waited before ends.
    ends: Cell<Option<Instant>>,
}

/// A call whose id nobody has asked for.
const UNASKED: u64 = 0;
/// Outside of every attempt.
const OUTSIDE: u64 = 0;
const UNLIMITED_MS: u32 = u32::MAX;
/// The attempt ends at a time that is kept beside.
const ENDS_AT_MS: u32 = u32::MAX - 1;

/// The attempt that a thread is about to poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polled {
    pub(super) call_id: Option<CallId>,
    pub(super) number: u32,
    pub(super) limit: Limit,
    /// Set if a fault is to lose the answer.
    pub(super) lost_answer: Option<LostAnswer>,
}

impl Polled {
    /// The first attempt of a call that nothing surrounds.
    #[inline(always)]
    pub(super) fn first(policy: &Policy) -> Polled {
        let limit = policy
            .deadline
            .map_or(policy.timeout, |deadline| deadline.min(policy.timeout));
        Polled {
            call_id: None,
            number: 1,
            limit: Limit::Within(limit),
            lost_answer: None,
        }
    }
}

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// So long, from when it first has to wait.
    Within(Duration),
    /// It has waited, and ends then.
    At(Instant),
}

impl Limit {
    #[inline]
    fn millis(self) -> u32 {
        match self {
            Limit::Within(limit) => {
                let millis = u32::try_from(limit.as_millis()).unwrap_or(UNLIMITED_MS);
                if millis == ENDS_AT_MS { UNLIMITED_MS } else { millis }
            }
            Limit::At(_) => ENDS_AT_MS,
        }
    }
}

impl Current {
    const fn outside() -> Current {
        Current {
            call_id: Cell::new(UNASKED),
            attempt: Cell::new(OUTSIDE),
            ends: Cell::new(None),
        }
    }

    fn attempt(&self) -> Option<Attempt> {
        let attempt = self.attempt.get();
        if attempt == OUTSIDE {
            return None;
        }
        if self.call_id.get() == UNASKED {
            self.call_id.set(CallId::new().0);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
        let (number, millis) = ((attempt >> 32) as u32, attempt as u32);
        Some(Attempt {
            call_id: CallId(self.call_id.get()),
            number,
            ends: match millis {
                UNLIMITED_MS => None,
                ENDS_AT_MS => self.ends.get(),
                millis => Some(saturating_add(Instant::now(), Duration::from_millis(millis.into()))),
            },
        })
    }
}

/// The attempt that the thread polled before, to return to.
#[derive(Debug)]
pub(super) struct Outer {
    call_id: u64,
    attempt: u64,
    ends: Option<Option<Instant>>,
}

/// Notes that the thread polls the tool of an attempt from now on.
#[inline]
pub(super) fn enter(polled: Polled) -> Outer {
    CURRENT.with(|current| {
        let millis = polled.limit.millis();
        let attempt = u64::from(polled.number) << 32 | u64::from(millis);
        Outer {
            call_id: current.call_id.replace(polled.call_id.map_or(UNASKED, |id| id.0)),
            attempt: current.attempt.replace(attempt),
            ends: match polled.limit {
                Limit::Within(_) => None,
                Limit::At(ends) => Some(current.ends.replace(Some(ends))),
            },
        }
    })
}

impl Outer {
    /// Returns to it, and returns the id of the call that is left if somebody knows it.
    #[inline]
    pub(super) fn enter_again(self) -> Option<CallId> {
        CURRENT.with(|current| {
            let left = current.call_id.replace(self.call_id);
            current.attempt.set(self.attempt);
            if let Some(ends) = self.ends {
                current.ends.set(ends);
            }
            (left != UNASKED).then_some(CallId(left))
        })
    }
}
