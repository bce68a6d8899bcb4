//! What the answers and errors of agent frameworks mean, and who speaks in them. Each framework behind a feature of its own.

#[cfg(feature = "rmcp")]
pub(super) mod mcp;
#[cfg(feature = "rig")]
pub(super) mod rig;

use super::AlwaysSuccess;
use crate::outcome::{ByType, Classify, LastError, Typed};
use crate::verdict::Verdict;

/// An answer or an error that says what it means.
pub trait Telling {
    fn verdict(&self) -> Verdict;
}

/// As the value has it.
#[derive(Debug, Clone, Copy)]
pub struct ByValue;

impl<X: Telling> Classify<X> for ByValue {
    #[inline]
    fn verdict(&self, value: &X) -> Verdict {
        value.verdict()
    }
}

/// `Ok` by one classifier and `Err` by another.
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

/// The handler of `Result`s whose errors are a framework's.
type ErrorsTell = Typed<ByParts<AlwaysSuccess, ByValue>, ByType, LastError>;

fn errors_tell() -> ErrorsTell {
    Typed {
        classify: ByParts(AlwaysSuccess, ByValue),
        speak: ByType,
        note: LastError::default(),
    }
}
