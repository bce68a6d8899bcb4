//! The tools that every contestant runs, one for each scenario, and what tells whether they ran.

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
    static DOWN: Cell<bool> = const { Cell::new(false) };
    static IN_FLIGHT: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// How often [`counted`] and [`flaky`] have run on this thread.
#[must_use]
pub fn runs() -> u64 {
    RUNS.get()
}

/// Makes [`counted`] fail on this thread, or succeed again.
pub fn set_down(down: bool) {
    DOWN.set(down);
}

/// The most calls of [`in_flight`] that were pending at once on this thread since the last time this was asked.
#[must_use]
pub fn take_peak() -> usize {
    PEAK.replace(0)
}

/// Is ready when it is first polled.
///
/// # Errors
///
/// None.
pub async fn ready(argument: u64) -> Result<u64, String> {
    Ok(argument)
}

/// Wakes itself and is ready when it is polled again.
///
/// # Errors
///
/// None.
pub async fn pending_once(argument: u64) -> Result<u64, String> {
    PendOnce { pended: false }.await;
    Ok(argument)
}

/// [`ready`] for loops that await it in line: it is made by a call, and its value is unknown to the compiler, which could leave it
/// out otherwise.
///
/// # Errors
///
/// None.
#[inline(never)]
pub async fn ready_opaque(argument: u64) -> Result<u64, String> {
    Ok(black_box(argument))
}

/// [`pending_once`] for loops that await it in line, as [`ready_opaque`].
///
/// # Errors
///
/// None.
#[inline(never)]
pub async fn pending_once_opaque(argument: u64) -> Result<u64, String> {
    PendOnce { pended: false }.await;
    Ok(black_box(argument))
}

/// Fails at once, with an error that costs nothing to make.
///
/// # Errors
///
/// Always.
pub async fn failing(_: u64) -> Result<u64, String> {
    Err(String::new())
}

/// Is ready at once, counts how often it ran, and fails while it is [down](set_down).
///
/// # Errors
///
/// While it is down.
pub async fn counted(argument: u64) -> Result<u64, String> {
    RUNS.set(RUNS.get() + 1);
    if DOWN.get() { Err(String::new()) } else { Ok(argument) }
}

/// Fails every other time, the first time first, and counts how often it ran.
///
/// # Errors
///
/// Every other time.
pub async fn flaky(argument: u64) -> Result<u64, String> {
    let runs = RUNS.get();
    RUNS.set(runs + 1);
    if runs.is_multiple_of(2) {
        Err(String::new())
    } else {
        Ok(argument)
    }
}

/// [`pending_once`] that counts how many of it are pending at once.
///
/// # Errors
///
/// None.
pub async fn in_flight(argument: u64) -> Result<u64, String> {
    let now = IN_FLIGHT.get() + 1;
    IN_FLIGHT.set(now);
    PEAK.set(PEAK.get().max(now));
    PendOnce { pended: false }.await;
    IN_FLIGHT.set(IN_FLIGHT.get() - 1);
    Ok(argument)
}

struct PendOnce {
    pended: bool,
}

impl Future for PendOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.pended {
            return Poll::Ready(());
        }
        self.pended = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
