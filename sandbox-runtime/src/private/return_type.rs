//! Finds out what a return type can do, by autoref: of two methods with the same name the compiler takes the one whose
//! receiver has more references, if its bounds hold. So a function's own return type decides, where the bounds of a generic
//! function could only ask for what all types have.

use std::fmt::Display;
use std::marker::PhantomData;

#[cfg(any(feature = "rmcp", feature = "rig"))]
use crate::tool::framework::{FrameworkError, FromErrorType, PerVariant};
use crate::tool::outcome::AlwaysSuccess;
use crate::tool::{DescribeError, FromReturnType, Outcome, TypedHandler};

/// The handler of a return type. Before the type stands what the expansion knows beside it: `tool` if the function is, or may
/// be, the tool of an MCP server, and `on_failure` if a function of the user makes what there is to return.
///
/// Without a feature, and with nothing known, it is what the return type itself says, without any of this module.
#[cfg(not(any(feature = "rmcp", feature = "rig")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __sandboxed_handler {
    ([$($tool:ident)?] $returned:ty) => {
        $crate::private::TypedHandler::FROM_RETURN_TYPE
    };
    ([$($tool:ident)?; on_failure] $returned:ty) => {
        $crate::__sandboxed_climb!([base described any] $returned)
    };
}

#[cfg(any(feature = "rmcp", feature = "rig"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __sandboxed_handler {
    ([] $returned:ty) => {
        $crate::__sandboxed_climb!([base frameworks] $returned)
    };
    ([tool] $returned:ty) => {
        $crate::__sandboxed_climb!([base frameworks tool] $returned)
    };
    ([; on_failure] $returned:ty) => {
        $crate::__sandboxed_climb!([base frameworks described any] $returned)
    };
    ([tool; on_failure] $returned:ty) => {
        $crate::__sandboxed_climb!([base frameworks tool described any] $returned)
    };
}

/// Takes the highest rung that the type reaches, of those in the modules that are named.
#[doc(hidden)]
#[macro_export]
macro_rules! __sandboxed_climb {
    ([$($rungs:ident)*] $returned:ty) => {{
        $(
            #[allow(unused_imports)]
            use $crate::private::rungs::$rungs::*;
        )*
        (&&&&&&&$crate::private::Probe::<$returned>::NEW).__sandboxed_handler()
    }};
}

/// Stands for the values of a type.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    pub const NEW: Self = Probe(PhantomData);
}

/// Stands for a type that has no name.
#[derive(Debug)]
pub struct Opaque;

/// The rungs, in scope without their names, so that they hide no name that the user has.
pub mod rungs {
    pub mod any {
        pub use crate::private::return_type::AnyType as _;
    }
    pub mod base {
        pub use crate::private::return_type::OutcomeType as _;
    }
    pub mod described {
        pub use crate::private::return_type::DisplayedError as _;
    }
    pub mod frameworks {
        #[cfg(any(feature = "rmcp", feature = "rig"))]
        pub use crate::private::return_type::ErrorOfFramework as _;
        #[cfg(feature = "rmcp")]
        pub use crate::private::return_type::mcp::{
            ResultType as _, ResultTypeOrAnyError as _, ResultTypeOrDisplayedError as _,
            ResultTypeOrErrorOfFramework as _,
        };
    }
    pub mod tool {
        #[cfg(feature = "rmcp")]
        pub use crate::private::return_type::mcp::{TextType as _, UnitType as _};
    }
}

/// Every type: whatever the tool returns, it has worked.
pub trait AnyType {
    fn __sandboxed_handler(&self) -> TypedHandler<AlwaysSuccess> {
        TypedHandler {
            reader: AlwaysSuccess,
            failure_return: FromReturnType,
        }
    }
}

impl<R> AnyType for Probe<R> {}

/// A type that says itself what its values mean.
pub trait OutcomeType {
    fn __sandboxed_handler(&self) -> TypedHandler {
        TypedHandler::FROM_RETURN_TYPE
    }
}

impl<R: Outcome> OutcomeType for &Probe<R> {}

/// An error that has a text as well.
pub trait DisplayedError {
    fn __sandboxed_handler(&self) -> TypedHandler<DescribeError<FromReturnType>> {
        TypedHandler {
            reader: DescribeError(FromReturnType),
            failure_return: FromReturnType,
        }
    }
}

impl<T, E: Display> DisplayedError for &&Probe<Result<T, E>> {}

/// Any answer, with an error of a framework.
#[cfg(any(feature = "rmcp", feature = "rig"))]
pub trait ErrorOfFramework {
    fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<AlwaysSuccess, FromErrorType>> {
        TypedHandler {
            reader: PerVariant(AlwaysSuccess, FromErrorType),
            failure_return: FromReturnType,
        }
    }
}

#[cfg(any(feature = "rmcp", feature = "rig"))]
impl<T, E: FrameworkError> ErrorOfFramework for &&&Probe<Result<T, E>> {}

#[cfg(feature = "rmcp")]
mod mcp {
    use std::fmt::Display;

    use super::Probe;
    use crate::mcp::outcome::{
        AlwaysRetry, AlwaysRetryDescribed, AsResult, AsText, FrameworkResult, FromIsError, Text, ToServer,
    };
    use crate::tool::framework::{FrameworkError, FromErrorType, PerVariant};
    use crate::tool::outcome::AlwaysSuccess;
    use crate::tool::{FromReturnType, TypedHandler};

    /// A result that holds a failure of the engine, and often one of the tool.
    pub trait ResultType {
        fn __sandboxed_handler(&self) -> TypedHandler<FromIsError> {
            TypedHandler {
                reader: FromIsError,
                failure_return: FromReturnType,
            }
        }
    }

    impl<T: FrameworkResult> ResultType for &&&Probe<T> {}

    pub trait ResultTypeOrAnyError {
        fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<FromIsError, AlwaysRetry>, AsResult> {
            TypedHandler {
                reader: PerVariant(FromIsError, AlwaysRetry),
                failure_return: AsResult,
            }
        }
    }

    impl<T: FrameworkResult, E> ResultTypeOrAnyError for &&&&Probe<Result<T, E>> {}

    pub trait ResultTypeOrDisplayedError {
        fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<FromIsError, AlwaysRetryDescribed>, AsResult> {
            TypedHandler {
                reader: PerVariant(FromIsError, AlwaysRetryDescribed),
                failure_return: AsResult,
            }
        }
    }

    impl<T: FrameworkResult, E: Display> ResultTypeOrDisplayedError for &&&&&Probe<Result<T, E>> {}

    pub trait ResultTypeOrErrorOfFramework {
        fn __sandboxed_handler(&self) -> TypedHandler<PerVariant<FromIsError, FromErrorType>, AsResult> {
            TypedHandler {
                reader: PerVariant(FromIsError, FromErrorType),
                failure_return: AsResult,
            }
        }
    }

    impl<T: FrameworkResult, E: FrameworkError> ResultTypeOrErrorOfFramework for &&&&&&Probe<Result<T, E>> {}

    /// A text, which is all that the model gets to read; nothing in it says that the tool has failed.
    pub trait TextType {
        fn __sandboxed_handler(&self) -> TypedHandler<AlwaysSuccess, AsText> {
            TypedHandler {
                reader: AlwaysSuccess,
                failure_return: AsText,
            }
        }
    }

    impl<T: Text> TextType for &&&Probe<T> {}

    /// Nothing: the failure is left to the server.
    pub trait UnitType {
        fn __sandboxed_handler(&self) -> TypedHandler<AlwaysSuccess, ToServer> {
            TypedHandler {
                reader: AlwaysSuccess,
                failure_return: ToServer,
            }
        }
    }

    impl UnitType for &&&Probe<()> {}
}
