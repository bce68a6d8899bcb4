//! Finds out what a return type can do, by dereferencing: of the methods with one name the compiler takes the first on the way
//! whose bounds hold. So a function's own return type decides, where the bounds of a generic function could only ask for what
//! all types have.

use std::error::Error;
use std::fmt::Display;
use std::marker::PhantomData;

use crate::tool::error_type::{
    AlwaysRetryDescribed, FromDisplayedErrorType, FromErrorType, FromWrappedError, PerVariant,
};
use crate::tool::keep::{KeepNothing, KeepOutcome};
use crate::tool::outcome::AlwaysSuccess;
use crate::tool::{FromReturnType, Outcome, TypedHandler};
use crate::verdict::ErrorVerdict;

/// The handler of a return type. Before the type stands what the expansion knows beside it: `tool` if the function is, or may
/// be, the tool of an MCP server, and `on_failure` if a function of the user makes what there is to return.
#[cfg(not(feature = "rmcp"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __sandboxed_handler {
    ([$($tool:ident)?] $returned:ty) => {
        $crate::private::Probe::<$returned>::NEW.__sandboxed_handler()
    };
    ([$($tool:ident)?; on_failure] $returned:ty) => {
        $crate::private::OutcomeProbe::<$returned>::NEW.__sandboxed_outcome($crate::__sandboxed_handler!([] $returned))
    };
}

#[cfg(feature = "rmcp")]
#[doc(hidden)]
#[macro_export]
macro_rules! __sandboxed_handler {
    ([] $returned:ty) => {
        $crate::private::AnswerProbe::<$returned>::NEW
            .__sandboxed_answer($crate::private::Probe::<$returned>::NEW.__sandboxed_handler())
    };
    ([tool] $returned:ty) => {
        $crate::private::ToolAnswerProbe::<$returned>::NEW
            .__sandboxed_answer($crate::private::Probe::<$returned>::NEW.__sandboxed_handler())
    };
    ([$($tool:ident)?; on_failure] $returned:ty) => {
        $crate::private::OutcomeProbe::<$returned>::NEW
            .__sandboxed_outcome($crate::__sandboxed_handler!([$($tool)?] $returned))
    };
}

/// Stands for a type that has no name. Nothing is known of it, so that it is not `Send` either.
#[derive(Debug)]
pub struct Opaque(PhantomData<*const ()>);

/// Types that stand for the values of `R`, each of which dereferences to the next.
macro_rules! ladder {
    ($rung:ident $(> $($rest:tt)*)?) => {
        #[derive(Debug)]
        pub struct $rung<R>(PhantomData<fn() -> R>);

        impl<R> $rung<R> {
            pub const NEW: Self = $rung(PhantomData);
        }

        $(ladder!(@ $rung $($rest)*);)?
    };
    (@ $rung:ident $next:ident $($rest:tt)*) => {
        impl<R> std::ops::Deref for $rung<R> {
            type Target = $next<R>;

            fn deref(&self) -> &$next<R> {
                &$next::NEW
            }
        }

        ladder!($next $($rest)*);
    };
}

pub(crate) use ladder;

// Each rung adds about one in a hundred to the time to check a crate of tools.
ladder!(Probe > StatedError > WrappedError > DisplayedError > AnyType);

const fn per_variant<B>(errors: B) -> TypedHandler<PerVariant<AlwaysSuccess, B>> {
    TypedHandler {
        reader: PerVariant(AlwaysSuccess, errors),
        failure_return: FromReturnType,
    }
}

/// An error whose type states what its values mean, and that has a text as well.
impl<T, E: ErrorVerdict + Display> Probe<Result<T, E>> {
    pub fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<AlwaysSuccess, FromDisplayedErrorType>> {
        per_variant(FromDisplayedErrorType)
    }
}

impl<T, E: ErrorVerdict> StatedError<Result<T, E>> {
    pub fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<AlwaysSuccess, FromErrorType>> {
        per_variant(FromErrorType)
    }
}

/// An error within a type such as `anyhow::Error`.
impl<T, E: AsRef<dyn Error + 'static>> WrappedError<Result<T, E>> {
    pub fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<AlwaysSuccess, FromWrappedError>> {
        per_variant(FromWrappedError)
    }
}

impl<T, E: Display> DisplayedError<Result<T, E>> {
    pub fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<AlwaysSuccess, AlwaysRetryDescribed>> {
        per_variant(AlwaysRetryDescribed)
    }
}

/// The engine asks for what such a type lacks.
impl<R> AnyType<R> {
    pub fn __sandboxed_handler(&self) -> TypedHandler {
        TypedHandler::FROM_RETURN_TYPE
    }
}

ladder!(OutcomeProbe > AnyOutcome);

/// A type that says itself what its values mean.
impl<R: Outcome> OutcomeProbe<R> {
    pub fn __sandboxed_outcome<H>(&self, handler: H) -> H {
        handler
    }
}

/// Whatever the tool returns, it has worked.
impl<R> AnyOutcome<R> {
    pub fn __sandboxed_outcome<H>(&self, _: H) -> TypedHandler<AlwaysSuccess> {
        TypedHandler {
            reader: AlwaysSuccess,
            failure_return: FromReturnType,
        }
    }
}

ladder!(KeepProbe > AnyKept);

/// A type that a call can hold while it waits.
impl<R: Send> KeepProbe<R> {
    pub fn __sandboxed_keep(&self) -> KeepOutcome {
        KeepOutcome
    }
}

/// A call that held the value during a delay could not be `Send`.
impl<R> AnyKept<R> {
    pub fn __sandboxed_keep(&self) -> KeepNothing {
        KeepNothing
    }
}
