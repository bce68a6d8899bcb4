//! Finds out what a return type can do, by autoref: of two methods with the same name the compiler takes the one whose
//! receiver has more references, if its bounds hold. So a function's own return type decides, and not what can be said of
//! all types at once.

use std::fmt::Display;
use std::marker::PhantomData;

use crate::outcome::{ByType, Classify, LastError, Outcome, Typed, Unnoted};
use crate::verdict::Verdict;

/// Stands for the values of a type.
#[derive(Debug)]
pub struct Answers<R>(PhantomData<fn() -> R>);

impl<R> Answers<R> {
    pub const NEW: Self = Answers(PhantomData);
}

/// Stands for a type that has no name.
#[derive(Debug)]
pub struct Opaque;

/// The ways to a handler, in scope without their names, so that they hide none of the user's.
pub mod handlers {
    pub use super::{HandledAsAny as _, HandledAsOutcome as _};
    #[cfg(any(feature = "rmcp", feature = "rig"))]
    pub use crate::private::frameworks::HandledAsFault as _;
    #[cfg(feature = "rmcp")]
    pub use crate::private::frameworks::mcp::handlers::*;
}

/// The ways to a note, likewise.
pub mod notes {
    pub use super::{NotNoted as _, NotedByDisplay as _};
    #[cfg(any(feature = "rmcp", feature = "rig"))]
    pub use crate::private::frameworks::NotedByFault as _;
}

/// A type that says of itself what its values mean.
pub trait HandledAsOutcome {
    fn __sandboxed_handler(&self) -> Typed<ByType, ByType> {
        Typed::BY_TYPE
    }
}

impl<R: Outcome> HandledAsOutcome for &Answers<R> {}

/// Any other type: whatever the tool returns, it has worked. Another function has to speak for it.
pub trait HandledAsAny {
    fn __sandboxed_handler(&self) -> Typed<AlwaysSuccess, ByType> {
        Typed {
            classify: AlwaysSuccess,
            speak: ByType,
            note: Unnoted,
        }
    }
}

impl<R> HandledAsAny for Answers<R> {}

/// Errors with a text: it is kept for [`Failure::last_error`](crate::Failure::last_error).
pub trait NotedByDisplay {
    fn __sandboxed_note(&self) -> LastError {
        LastError::default()
    }
}

impl<T, E: Display> NotedByDisplay for &Answers<Result<T, E>> {}

/// Anything else.
pub trait NotNoted {
    fn __sandboxed_note(&self) -> Unnoted {
        Unnoted
    }
}

impl<R> NotNoted for Answers<R> {}

/// Whatever a tool returns, it has worked.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysSuccess;

impl<R> Classify<R> for AlwaysSuccess {
    #[inline]
    fn verdict(&self, _: &R) -> Verdict {
        Verdict::Success
    }
}
