//! [`Injected`]: what happens to an attempt before its tool, or in its place. Without the feature `faults` the types here have no
//! values, and what the engine does with them takes no instruction and no place.

#[cfg(feature = "faults")]
mod possible;

#[cfg(feature = "faults")]
pub(crate) use possible::{Injected, LostAnswer};

#[cfg(not(feature = "faults"))]
pub(crate) use impossible::{Injected, LostAnswer};

#[cfg(not(feature = "faults"))]
mod impossible {
    use std::future::Future;
    use std::ops::ControlFlow;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use crate::call::attempt::{AttemptState, PollEnd};
    use crate::call::{CallState, Controls, Returned};
    use crate::failure::Refusal;
    use crate::tool::Handler;

    #[derive(Debug)]
    pub(crate) enum Injected {}

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum LostAnswer {}

    impl Injected {
        pub(crate) fn poll<R>(&mut self, _: &mut Context<'_>) -> Poll<Option<PollEnd<R>>> {
            match *self {}
        }
    }

    impl LostAnswer {
        pub(crate) fn hang(self) -> Injected {
            match self {}
        }
    }

    impl<T: Future, S: Controls> AttemptState<T, S> {
        /// Handles what a poll ended with, or polls: nothing comes before a tool.
        #[inline(always)]
        pub(crate) fn poll(
            self: Pin<&mut Self>,
            state: Pin<&mut CallState<S>>,
            end: Option<PollEnd<T::Output>>,
            cx: &mut Context<'_>,
        ) -> Poll<ControlFlow<Returned<S, T::Output>>>
        where
            S::Handler: Handler<T::Output>,
        {
            self.poll_next(state, end, cx)
        }
    }

    impl<S: Controls> CallState<S> {
        #[inline(always)]
        #[expect(clippy::unnecessary_wraps, reason = "with the feature, an attempt may be refused")]
        pub(crate) fn inject(self: Pin<&mut Self>) -> Result<(), Refusal> {
            Ok(())
        }

        #[inline(always)]
        pub(crate) fn injected(&self) -> Option<Injected> {
            None
        }

        #[inline(always)]
        pub(crate) fn lost_answer(&self) -> Option<LostAnswer> {
            None
        }
    }
}
