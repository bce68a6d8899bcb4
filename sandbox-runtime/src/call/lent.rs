//! [`LentAttempt`]: an attempt by itself, for arguments that attempts borrow one after the other.
//!
//! A closure could not lend its arguments to the futures that it returns, and an `AsyncFnMut` in the call would borrow from
//! the field beside it. So the function under the attribute has the loop, around the same engine.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::attempt::AttemptState;
use super::paths::{self, Attempting, Begin, Parts};
use super::{CallState, Controls, Returned};
use crate::tool::Handler;

impl<S: Controls> CallState<S> {
    /// One attempt, from the question to the breaker to the moment when the next may begin. `begin` makes its future; it is
    /// told whether another attempt may follow.
    #[inline]
    pub fn attempt<F, T>(self: Pin<&mut Self>, begin: F) -> LentAttempt<'_, S, F, T>
    where
        F: FnOnce(bool) -> T,
        T: Future,
    {
        LentAttempt {
            attempt: AttemptState::new(self.is_admitted()),
            state: self,
            begin: BeginOnce(Some(begin)),
        }
    }
}

pin_project! {
    /// Resolves to what the caller gets, or to nothing once the next attempt may begin.
    #[must_use = "futures do nothing unless polled"]
    pub struct LentAttempt<'c, S, F, T: Future> where S: Controls {
        state: Pin<&'c mut CallState<S>>,
        begin: BeginOnce<F>,
        #[pin]
        attempt: AttemptState<T, S>,
    }
}

impl<S: Controls, F, T: Future> fmt::Debug for LentAttempt<'_, S, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LentAttempt").finish_non_exhaustive()
    }
}

impl<S, F, T> Future for LentAttempt<'_, S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: FnOnce(bool) -> T,
    T: Future,
{
    type Output = ControlFlow<Returned<S, T::Output>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        paths::poll(self, cx)
    }
}

impl<S, F, T> Attempting for LentAttempt<'_, S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: FnOnce(bool) -> T,
    T: Future,
{
    type Controls = S;
    type Begin = BeginOnce<F>;
    type Output = ControlFlow<Returned<S, T::Output>>;

    #[inline(always)]
    fn parts(self: Pin<&mut Self>) -> Parts<'_, S, BeginOnce<F>> {
        let this = self.project();
        Parts {
            attempt: this.attempt,
            begin: this.begin,
            state: this.state.as_mut(),
        }
    }

    #[inline(always)]
    fn returned(returned: Returned<S, T::Output>) -> Self::Output {
        ControlFlow::Break(returned)
    }

    #[inline(always)]
    fn left_to_others(begin: &BeginOnce<F>) -> Option<Self::Output> {
        begin.0.is_none().then_some(ControlFlow::Continue(()))
    }
}

/// Begins one attempt.
pub(super) struct BeginOnce<F>(Option<F>);

impl<F, T> Begin for BeginOnce<F>
where
    F: FnOnce(bool) -> T,
    T: Future,
{
    type Attempt = T;

    #[inline(always)]
    fn begin(&mut self, retry_possible: bool) -> T {
        match self.0.take() {
            Some(begin) => begin(retry_possible),
            None => unreachable!("the loop of the function begins the next one"),
        }
    }
}
