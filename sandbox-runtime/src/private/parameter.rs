//! Finds out how attempts can have the parameters of an MCP tool for themselves, in the way of
//! [`return_type`](super::return_type): by cloning them, or by reading them again from the client's request.

use std::fmt;
use std::marker::PhantomData;

use super::return_type::ladder;
use crate::tool::attempts::Attempts;

ladder!(ParameterProbe > ReadParameter > WrappedParameter > AnyParameter);

/// A variable of type `T`, from a parameter of type `W`.
pub fn parameter<W, T>(_: &T) -> ParameterProbe<(W, T)> {
    ParameterProbe::NEW
}

/// A variable that attempts get, and how. `Q` is the type that a message is about.
pub struct Parameter<T, Q, H> {
    value: Option<T>,
    how: H,
    about: PhantomData<fn() -> Q>,
}

impl<T, Q, H> Parameter<T, Q, H> {
    fn new(value: T, how: H) -> Self {
        Parameter {
            value: Some(value),
            how,
            about: PhantomData,
        }
    }
}

impl<T, Q, H: fmt::Debug> fmt::Debug for Parameter<T, Q, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameter")
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}

/// By a clone for each attempt.
#[derive(Debug)]
pub struct Cloned;

/// From the request, if there is one: all that the parameter was, and then the variable's part of it.
#[cfg(feature = "rmcp")]
pub struct Read<W, T> {
    request: Option<std::sync::Arc<rmcp::model::JsonObject>>,
    part: fn(W) -> T,
}

#[cfg(feature = "rmcp")]
impl<W, T> fmt::Debug for Read<W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").finish_non_exhaustive()
    }
}

/// Not at all.
#[derive(Debug)]
pub struct Once;

/// Tells whether a second attempt can have a parameter, too.
pub trait CanRepeat {
    fn can_repeat(&self) -> bool;
}

impl CanRepeat for Cloned {
    #[inline]
    fn can_repeat(&self) -> bool {
        true
    }
}

/// What the policy allows is one attempt, or the compiler has reported it.
impl CanRepeat for Once {
    fn can_repeat(&self) -> bool {
        true
    }
}

impl<T, Q, H: CanRepeat> Parameter<T, Q, H> {
    #[inline]
    pub fn can_repeat(&self) -> bool {
        self.how.can_repeat()
    }
}

impl<W, T: Clone> ParameterProbe<(W, T)> {
    pub fn __sandboxed_parameter(&self, _: Option<&str>, value: T, _: fn(W) -> T) -> Parameter<T, (), Cloned> {
        Parameter::new(value, Cloned)
    }
}

#[cfg(feature = "rmcp")]
mod of_request {
    use rmcp::handler::server::wrapper::Parameters;
    use rmcp::model::JsonObject;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::{CanRepeat, Once, Parameter, Read, ReadParameter, TakeParameter, WrappedParameter};
    use crate::surroundings;
    use crate::tool::attempts::Attempts;

    impl<Q: DeserializeOwned, T> ReadParameter<(Parameters<Q>, T)> {
        pub fn __sandboxed_parameter(
            &self,
            tool: Option<&str>,
            value: T,
            part: fn(Parameters<Q>) -> T,
        ) -> Parameter<T, (), Read<Parameters<Q>, T>> {
            let request = tool.and_then(surroundings::claim_arguments);
            Parameter::new(value, Read { request, part })
        }
    }

    impl<W, Q> WrappedParameter<(W, Parameters<Q>)> {
        pub fn __sandboxed_parameter(
            &self,
            _: Option<&str>,
            value: Parameters<Q>,
            _: fn(W) -> Parameters<Q>,
        ) -> Parameter<Parameters<Q>, Q, Once> {
            Parameter::new(value, Once)
        }
    }

    impl<W: DeserializeOwned, T, const RETRIED: bool> TakeParameter<T, (), Read<W, T>> for Attempts<RETRIED> {
        fn take(parameter: &mut Parameter<T, (), Read<W, T>>, _: bool) -> T {
            if let Some(value) = parameter.value.take() {
                return value;
            }
            let Read { request, part } = &parameter.how;
            let Some(arguments) = request else {
                unreachable!("a call that cannot read its arguments again makes one attempt");
            };
            match serde_json::from_value(Value::Object(JsonObject::clone(arguments))) {
                Ok(whole) => part(whole),
                Err(error) => panic!("the arguments cannot be read again: {error}"),
            }
        }
    }

    impl<W, T> CanRepeat for Read<W, T> {
        fn can_repeat(&self) -> bool {
            self.request.is_some()
        }
    }
}

impl<W, T> AnyParameter<(W, T)> {
    pub fn __sandboxed_parameter(&self, _: Option<&str>, value: T, _: fn(W) -> T) -> Parameter<T, T, Once> {
        Parameter::new(value, Once)
    }
}

/// Tells how attempts get a parameter. For messages of the compiler.
#[diagnostic::on_unimplemented(
    message = "`{Q}` cannot be handed to a second attempt: it does not implement `Clone`",
    label = "every attempt needs parameters of its own",
    note = "derive `Clone` for `{Q}`, or set `max_retries = 0`; tools of rmcp need neither if `{Q}` implements `Deserialize` and \
            the feature `rmcp` is on: their parameters are read again from the request"
)]
pub trait TakeParameter<T, Q, H> {
    /// The parameter for an attempt.
    #[doc(hidden)]
    fn take(parameter: &mut Parameter<T, Q, H>, retry_possible: bool) -> T;
}

/// Of a trait with one implementation that fits, the compiler would say that the types do not match. This one makes two of it.
#[derive(Debug)]
pub enum Never {}

#[diagnostic::do_not_recommend]
impl<T, const RETRIED: bool> TakeParameter<T, (), Never> for Attempts<RETRIED> {
    fn take(_: &mut Parameter<T, (), Never>, _: bool) -> T {
        unreachable!("there is no such parameter")
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone, const RETRIED: bool> TakeParameter<T, (), Cloned> for Attempts<RETRIED> {
    #[inline]
    fn take(parameter: &mut Parameter<T, (), Cloned>, retry_possible: bool) -> T {
        let clone = if retry_possible { parameter.value.clone() } else { None };
        owned(clone.or_else(|| parameter.value.take()))
    }
}

#[diagnostic::do_not_recommend]
impl<T, Q> TakeParameter<T, Q, Once> for Attempts<false> {
    #[inline]
    fn take(parameter: &mut Parameter<T, Q, Once>, _: bool) -> T {
        owned(parameter.value.take())
    }
}

fn owned<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => unreachable!("there are no more attempts than the policy allows"),
    }
}
