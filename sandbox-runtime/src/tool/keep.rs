//! [`Keep`]: what a call keeps of an outcome while it waits to retry.

use std::convert::Infallible;

use crate::sealed;

/// What the last attempt has left to return.
#[derive(Debug)]
pub enum Last<R> {
    /// What it returned.
    Outcome(R),
    /// It returned something that the call does not keep.
    Lost,
    /// It reached its time limit.
    TimedOut,
    /// A fault was injected in its place: it returned nothing, and would have returned an error.
    #[cfg(feature = "faults")]
    Injected,
}

/// What a call keeps during a delay of what its last attempt has left, to return that should there be no further one. For
/// bounds; sealed.
pub trait Keep: sealed::Keep {
    /// What is kept.
    type Kept<R>;

    /// Keeps what it can.
    fn keep<R>(last: Last<R>) -> Self::Kept<R>;

    /// What is left.
    fn give_back<R>(kept: Self::Kept<R>) -> Last<R>;
}

/// The handlers, which decide what a call keeps, and know whether there is something to hand to a further attempt.
pub trait Keeps: sealed::Handler {
    /// What it is.
    type Keep: Keep;

    /// Tells whether there are arguments for a further attempt.
    #[inline]
    fn has_arguments(&self) -> bool {
        true
    }
}

/// Keeps the outcome as it is. The call is `Send` only if the outcome is.
#[derive(Debug, Clone, Copy)]
pub struct KeepOutcome;

impl sealed::Keep for KeepOutcome {}

impl Keep for KeepOutcome {
    type Kept<R> = Last<R>;

    #[inline]
    fn keep<R>(last: Last<R>) -> Last<R> {
        last
    }

    #[inline]
    fn give_back<R>(kept: Last<R>) -> Last<R> {
        kept
    }
}

/// Keeps nothing of an outcome: for one that is not `Send`, and for a call that makes no further attempt. A call that ends in a
/// delay then returns a failure of the engine.
#[derive(Debug, Clone, Copy)]
pub struct KeepNothing;

impl sealed::Keep for KeepNothing {}

impl Keep for KeepNothing {
    type Kept<R> = Last<Infallible>;

    #[inline]
    fn keep<R>(last: Last<R>) -> Last<Infallible> {
        match last {
            Last::Outcome(_) | Last::Lost => Last::Lost,
            Last::TimedOut => Last::TimedOut,
            #[cfg(feature = "faults")]
            Last::Injected => Last::Injected,
        }
    }

    #[inline]
    fn give_back<R>(kept: Last<Infallible>) -> Last<R> {
        match kept {
            Last::Outcome(never) => match never {},
            Last::Lost => Last::Lost,
            Last::TimedOut => Last::TimedOut,
            #[cfg(feature = "faults")]
            Last::Injected => Last::Injected,
        }
    }
}
