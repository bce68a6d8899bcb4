//! What the answers and errors of agent frameworks mean, and who speaks in them. Each framework behind a feature of its own.

#[cfg(feature = "rmcp")]
pub(super) mod mcp;
#[cfg(feature = "rig")]
mod rig;

use super::{AlwaysSuccess, Answers};
use crate::outcome::{ByType, Classify, Note, Typed};
use crate::verdict::Verdict;

/// An error that says more than that.
pub trait Fault {
    fn verdict(&self) -> Verdict;
    /// What a later failure is to tell of it, to models as well.
    fn text(&self) -> Option<String>;
}

/// Tells the text of an outcome that is a failure.
pub trait Recount<R> {
    fn failure(&self, outcome: &R) -> Option<String>;
}

impl<R> Recount<R> for AlwaysSuccess {
    fn failure(&self, _: &R) -> Option<String> {
        None
    }
}

/// As the error has it.
#[derive(Debug, Clone, Copy)]
pub struct ByFault;

impl<E: Fault> Classify<E> for ByFault {
    #[inline]
    fn verdict(&self, error: &E) -> Verdict {
        error.verdict()
    }
}

impl<E: Fault> Recount<E> for ByFault {
    fn failure(&self, error: &E) -> Option<String> {
        error.text()
    }
}

/// `Ok` by one and `Err` by another.
#[derive(Debug, Clone, Copy)]
pub struct ByParts<A, B>(A, B);

impl<T, E, A: Classify<T>, B: Classify<E>> Classify<Result<T, E>> for ByParts<A, B> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Ok(answer) => self.0.verdict(answer),
            Err(error) => self.1.verdict(error),
        }
    }
}

impl<T, E, A: Recount<T>, B: Recount<E>> Recount<Result<T, E>> for ByParts<A, B> {
    fn failure(&self, outcome: &Result<T, E>) -> Option<String> {
        match outcome {
            Ok(answer) => self.0.failure(answer),
            Err(error) => self.1.failure(error),
        }
    }
}

/// The text of the last failure, as `C` tells it.
#[derive(Debug, Clone)]
pub struct LastFailure<C> {
    by: C,
    text: Option<String>,
}

impl<C> LastFailure<C> {
    fn new(by: C) -> Self {
        LastFailure { by, text: None }
    }
}

impl<R, C: Recount<R>> Note<R> for LastFailure<C> {
    fn keep(&mut self, outcome: &R) {
        self.text = self.by.failure(outcome);
    }

    fn take(&mut self) -> Option<String> {
        self.text.take()
    }
}

/// A handler to which outcomes mean, and tell, what they do by `by`.
type Told<C, S> = Typed<C, S, LastFailure<C>>;

fn told<C: Copy, S>(by: C, speak: S) -> Told<C, S> {
    Typed {
        classify: by,
        speak,
        note: LastFailure::new(by),
    }
}

/// Any answer, beside an error of a framework's.
pub trait HandledAsFault {
    fn __sandboxed_handler(&self) -> Told<ByParts<AlwaysSuccess, ByFault>, ByType> {
        told(ByParts(AlwaysSuccess, ByFault), ByType)
    }
}

impl<T, E: Fault> HandledAsFault for &&Answers<Result<T, E>> {}

/// Likewise, for a function that speaks.
pub trait NotedByFault {
    fn __sandboxed_note(&self) -> LastFailure<ByParts<AlwaysSuccess, ByFault>> {
        LastFailure::new(ByParts(AlwaysSuccess, ByFault))
    }
}

impl<T, E: Fault> NotedByFault for &&Answers<Result<T, E>> {}
