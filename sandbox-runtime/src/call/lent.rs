//! [`LentAttempt`]: an attempt by itself, for arguments that attempts borrow one after the other.
//!
//! A closure could not lend its arguments to the futures that it returns, and an `AsyncFnMut` in the call would borrow from
//! the field beside it. So the function under the attribute has the loop, around the same engine.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::attempt::AttemptState;
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
            begin: Some(begin),
        }
    }
}

pin_project! {
    /// Resolves to what the caller gets, or to nothing once the next attempt may begin.
    #[must_use = "futures do nothing unless polled"]
    pub struct LentAttempt<'c, S, F, T: Future> where S: Controls {
        state: Pin<&'c mut CallState<S>>,
        begin: Option<F>,
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
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        if this.attempt.is_new() {
            this.state.as_mut().look_around();
        } else if this.state.as_mut().enters_surroundings() {
            this.attempt.tighten_limit(this.state.as_mut());
        }
        this.state.as_mut().poll_began();
        let poll = self.as_mut().poll_attempt(cx);
        self.project().state.as_mut().poll_ended();
        poll
    }
}

impl<S, F, T> LentAttempt<'_, S, F, T>
where
    S: Controls,
    S::Handler: Handler<T::Output>,
    F: FnOnce(bool) -> T,
    T: Future,
{
    fn poll_attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let mut this = self.project();
        let mut end = None;
        loop {
            if this.attempt.is_admitted()
                && let Some(begin) = this.begin.take()
            {
                let retry_possible = this.state.retry_possible();
                let begin = || begin(retry_possible);
                let next = (this.state.probe_scope(), this.state.polled());
                match this.attempt.as_mut().start(this.state.as_mut(), next, begin, cx) {
                    Ok(outcome) => {
                        let returned = this.state.as_mut().finish_successfully(outcome);
                        return Poll::Ready(ControlFlow::Break(returned));
                    }
                    Err(other) => end = Some(other),
                }
            }
            let next = ready!(this.attempt.as_mut().poll(this.state.as_mut(), end.take(), cx));
            if next.is_break() || this.begin.is_none() {
                return Poll::Ready(next);
            }
        }
    }
}
