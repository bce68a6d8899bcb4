//! [`Call`]: one sandboxed call as a future.
//!
//! Outer to inner: cancellation and deadline, retry, breaker, time limit, tool.

mod admitting;
mod attempt;
mod controls;
pub(crate) mod current;
mod deadline;
mod end;
mod guard;
mod injected;
mod lent;
mod limited;
mod marks;
pub(crate) mod nested;
mod owed;
mod paths;
mod rare;
mod recording;
mod retry;
mod stand_in;
mod state;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use attempt::AttemptState;
use paths::{Attempting, Begin, Parts};

pub use controls::{CallControls, Controls};
pub use lent::LentAttempt;
pub use state::CallState;

use crate::tool::keep::{Keep, Keeps};
use crate::tool::{Function, Handler};

/// What the caller of a call gets.
type Returned<S, R> = <<S as Controls>::Handler as Handler<R>>::Returned;

/// What decides what a call keeps.
type KeepOf<S> = <<S as Controls>::Handler as Keeps>::Keep;

/// What a call keeps of an outcome.
type Kept<S, R> = <KeepOf<S> as Keep>::Kept<R>;

pin_project! {
    /// The future of a call.
    // By hand and not an `async` block, which would keep the parts twice: as it was given them, and pinned.
    pub(crate) struct Call<S, F, T: Future> where S: Controls {
        // Before the state, which drops the admission: the slot of a probe is free once the tool is gone, not before.
        #[pin]
        attempt: AttemptState<T, S>,
        function: F,
        #[pin]
        state: CallState<S>,
    }
}

impl<S: Controls, F, T: Future> Call<S, F, T> {
    #[inline(always)]
    pub(crate) fn new(controls: S, function: F) -> Self {
        Call {
            state: CallState::new(controls),
            function,
            attempt: AttemptState::new(false),
        }
    }
}

impl<S, F, T> Future for Call<S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: Function<Attempt = T>,
    T: Future,
{
    type Output = Returned<S, T::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        paths::poll(self, cx)
    }
}

impl<S, F, T> Attempting for Call<S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: Function<Attempt = T>,
    T: Future,
{
    type Controls = S;
    type Begin = F;
    type Output = Returned<S, T::Output>;

    #[inline(always)]
    fn parts(self: Pin<&mut Self>) -> Parts<'_, S, F> {
        let this = self.project();
        Parts {
            attempt: this.attempt,
            begin: this.function,
            state: this.state,
        }
    }

    #[inline(always)]
    fn returned(returned: Self::Output) -> Self::Output {
        returned
    }

    #[inline(always)]
    fn left_to_others(_: &F) -> Option<Self::Output> {
        None
    }
}

/// All attempts of a call.
impl<F: Function> Begin for F {
    type Attempt = F::Attempt;

    #[inline(always)]
    fn begin(&mut self, retry_possible: bool) -> F::Attempt {
        Function::begin(self, retry_possible)
    }
}
