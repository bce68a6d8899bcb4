//! Readers for the answers and errors of agent frameworks.

use crate::sealed;
use crate::tool::outcome::Reader;
use crate::verdict::Verdict;

/// An error of a framework, which says more than that it is one.
pub trait FrameworkError {
    /// What it means.
    fn verdict(&self) -> Verdict;
    /// What a later failure reports of it, to models as well.
    fn text(&self) -> Option<String>;
}

/// Reads an error's meaning from its type.
#[derive(Debug, Clone, Copy)]
pub struct FromErrorType;

impl sealed::Reader for FromErrorType {}

impl<E: FrameworkError> Reader<E> for FromErrorType {
    #[inline]
    fn verdict(&self, error: &E) -> Verdict {
        error.verdict()
    }

    fn text(&self, error: &E) -> Option<String> {
        error.text()
    }
}

/// Reads `Ok` by one reader and `Err` by another.
#[derive(Debug, Clone, Copy)]
pub struct PerVariant<A, B>(pub(crate) A, pub(crate) B);

impl<A, B> sealed::Reader for PerVariant<A, B> {}

impl<T, E, A: Reader<T>, B: Reader<E>> Reader<Result<T, E>> for PerVariant<A, B> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Ok(answer) => self.0.verdict(answer),
            Err(error) => self.1.verdict(error),
        }
    }

    fn text(&self, outcome: &Result<T, E>) -> Option<String> {
        match outcome {
            Ok(answer) => self.0.text(answer),
            Err(error) => self.1.text(error),
        }
    }
}
