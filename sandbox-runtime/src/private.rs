//! All that generated code may name. Not part of the public API: it changes without notice.

mod argument;
mod check;
mod error_verdict;
#[cfg(feature = "rmcp")]
mod mcp_return_type;
mod parameter;
mod return_type;

pub use inventory;
pub use std::boxed::Box;
pub use std::clone::Clone;
pub use std::module_path;
pub use std::ops::ControlFlow::Break;
pub use std::option::Option::{None, Some};
pub use std::pin::pin;
pub use std::primitive::{f64, u32, u64};

pub use argument::{CompiledPolicy, Moved, boxed, call, classify, kept_receiver, opaque, returned, tool};
pub use check::{
    NO_TIMEOUT_MS, breaker, check, check_cooldowns, check_slow_call, count, failure_rate, forget_ms, jitter, millis,
    probes, rate_scope, retries, scope, slow_call_ms, threshold, window,
};
pub use error_verdict::{
    Delay, Known, KnownError, KnownType, KnownWrapper, Status, is_status_safe_to_retry, source, verdict_of_status,
    verdict_of_status_after,
};
#[cfg(feature = "rmcp")]
pub use mcp_return_type::{AnswerProbe, AnyAnswer, ErrorReader, ResultAnswer, ToolAnswerProbe, UnitAnswer};
#[cfg(feature = "rmcp")]
pub use parameter::Read;
pub use parameter::{
    AnyParameter, CanRepeat, Cloned, Never, Once, Parameter, ParameterProbe, ReadParameter, TakeParameter,
    WrappedParameter, parameter,
};
pub use return_type::{
    AnyKept, AnyOutcome, AnyType, DisplayedError, KeepProbe, Opaque, OutcomeProbe, Probe, StatedError, WrappedError,
};

pub use crate::__sandboxed_handler as handler;
pub use crate::breaker::CircuitBreaker;
pub use crate::call::{CallControls, CallState, Controls, LentAttempt};
pub use crate::execute::execute_tool as execute_with_controls;
#[cfg(feature = "rmcp")]
pub use crate::mcp::outcome::{
    AlwaysRetry, AsResult, AsText, FrameworkResult, FromIsError, RetryIsError, Text, ToServer,
};
pub use crate::policy::Policy;
pub use crate::site::{Compiled, SiteRef, ToolInfo, ToolSite};
pub use crate::tool::attempts::{Attempts, CanOwn, RetriedAttempts, attempts, attempts_by_caller, one_attempt};
pub use crate::tool::error_type::{AlwaysRetryDescribed, FromDisplayedErrorType, FromWrappedError};
pub use crate::tool::given::{GivenBreaker, GivenPolicy, SharedBreaker};
pub use crate::tool::handler::{Repeating, RetriedIsError, Returning, repeated_if};
pub use crate::tool::keep::KeepNothing;
pub use crate::tool::label::{NameRef, NamedLabel, SiteLabel, SiteLabelBesideBreaker};
pub use crate::tool::outcome::Classified;
pub use crate::tool::{FromReturnType, TypedHandler};
pub use crate::verdict::{ErrorVerdict, Verdict};
