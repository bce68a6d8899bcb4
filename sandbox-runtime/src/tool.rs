//! [`Tool`]: a function that is called once for each attempt, what its results mean, and what cancels it.
//!
//! The types that a [`Tool`] is made of have names here for those who keep one in a struct:
//!
//! ```
//! use sandbox_runtime::tool::{Tool, TypedHandler};
//!
//! struct Search<F> {
//!     tool: Tool<F, TypedHandler>,
//! }
//! ```

pub(crate) mod attempts;
pub(crate) mod error_type;
pub(crate) mod failure_return;
pub(crate) mod given;
pub(crate) mod handler;
pub(crate) mod keep;
pub(crate) mod label;
pub(crate) mod outcome;

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture, Pending};

use serde_json::Value;

use crate::failure::Failure;
use crate::sealed;
use crate::verdict::{ErrorVerdict, Verdict};

pub use crate::private::{Cloned, Delay, Once, Parameter, Status, TakeParameter};
pub use attempts::{Attempts, AttemptsByCaller, BeginAttempts, CanOwn, OneAttempt, RetriedAttempts};
pub use error_type::{AlwaysRetryDescribed, FromDisplayedErrorType, FromErrorType, FromWrappedError, PerVariant};
pub use failure_return::{FailureReturn, FromFailure, HoldFailure};
pub use given::{GivenBreaker, GivenPolicy, KeptBreaker, SharedBreaker};
pub use handler::{Handler, JsonHandler, Keeping, RetriedIsError, Returning, TypedHandler};
pub use keep::{Keep, KeepNothing, KeepOutcome, Keeps, Last};
pub use label::{NameLabel, ToolLabel};
pub use outcome::{AlwaysSuccess, DescribeError, FromReturnType, IgnoreIf, Outcome, Reader, RetryIf, UserFn};

/// A named tool with its own types: what the attribute makes of a function, to write by hand.
///
/// ```
/// # use sandbox_runtime::{execute_with_controls, CircuitBreaker, Policy, Tool};
/// # async fn fetch(query: String) -> Result<Vec<String>, std::io::Error> { Ok(vec![query]) }
/// static BREAKER: CircuitBreaker = CircuitBreaker::new(5);
///
/// # async fn search(query: String) -> Result<Vec<String>, std::io::Error> {
/// let hits = execute_with_controls(Policy::new(), &BREAKER, Tool::new("search", || fetch(query.clone()))).await?;
/// # Ok(hits) }
/// ```
///
/// The setters refine what results mean:
///
/// ```
/// # use sandbox_runtime::{execute_with_controls, CircuitBreaker, Policy, Tool};
/// # use std::io::{Error, ErrorKind};
/// # async fn fetch(query: &str) -> Result<Vec<String>, Error> { Ok(vec![query.into()]) }
/// # async fn search(query: &str, breaker: &CircuitBreaker) -> Result<Vec<String>, Error> {
/// let tool = Tool::new("search", || fetch(query))
///     // An index that is missing will be missing at the next attempt as well.
///     .retry_if(|error| error.kind() != ErrorKind::NotFound);
/// let hits = execute_with_controls(Policy::new(), breaker, tool).await?;
/// # Ok(hits) }
/// ```
#[derive(Clone, Copy)]
pub struct Tool<F, H = TypedHandler, K = Pending<()>, L = NameLabel> {
    pub(crate) label: L,
    pub(crate) function: F,
    pub(crate) handler: H,
    pub(crate) cancel: K,
}

impl<F> Tool<F> {
    /// A tool that returns a `Result<T, E>` with `E: From<SandboxError>`, or with `String` for `E`. `function` is called once for
    /// each attempt.
    ///
    /// The name may be one that is made at run time, such as `format!("{server}.{tool}")`. Such a name is kept for as long as the program
    /// runs, once for all tools that have it: it is to say which tool it is, and not which call.
    #[inline]
    pub fn new<A>(name: impl Into<Cow<'static, str>>, function: F) -> Self
    where
        F: FnMut() -> A,
        A: Future,
    {
        Tool {
            label: NameLabel::of(name.into()),
            function,
            handler: TypedHandler::FROM_RETURN_TYPE,
            cancel: std::future::pending(),
        }
    }
}

impl<F, C, S, K, L> Tool<F, TypedHandler<C, S>, K, L> {
    /// Takes from the type of the error what an error means, as the attribute does by itself: see [`ErrorVerdict`].
    ///
    /// Without it every error is retried. Replaces what [`classify`](Self::classify), [`retry_if`](Self::retry_if) and
    /// [`ignore_if`](Self::ignore_if) said; call it before them.
    ///
    /// ```
    /// # use sandbox_runtime::Tool;
    /// # use std::io;
    /// # async fn read() -> io::Result<String> { Ok(String::new()) }
    /// // A file that does not exist is the caller's fault.
    /// let tool = Tool::new("read", read).classify_by_error_type();
    /// ```
    #[inline]
    pub fn classify_by_error_type<A, T, E>(
        self,
    ) -> Tool<F, TypedHandler<PerVariant<AlwaysSuccess, FromErrorType>, S>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        E: ErrorVerdict,
    {
        self.with_reader(|_| PerVariant(AlwaysSuccess, FromErrorType))
    }

    /// Retries only the errors that `is_retryable` accepts; others end the call, as failures.
    ///
    /// Without it every error is retried. Replaces what [`classify`](Self::classify) and [`ignore_if`](Self::ignore_if) said about
    /// errors.
    #[inline]
    pub fn retry_if<P, A, T, E>(self, is_retryable: P) -> Tool<F, TypedHandler<RetryIf<P, C>, S>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        P: Fn(&E) -> bool,
    {
        self.with_reader(|inner| RetryIf { is_retryable, inner })
    }

    /// Treats the errors that `is_callers_fault` accepts, such as bad arguments, as the caller's fault: they are returned as
    /// they are, are not retried, and leave no mark on the breaker.
    ///
    /// A model that calls a healthy tool with bad arguments five times over must not have it switched off for everybody.
    /// About other errors [`retry_if`](Self::retry_if) or [`classify`](Self::classify) decides, if it was called before.
    ///
    /// ```
    /// # use sandbox_runtime::{Tool, Verdict};
    /// # use std::io;
    /// # async fn read() -> io::Result<String> { Ok(String::new()) }
    /// let tool = Tool::new("read", read).ignore_if(|error| Verdict::of_io_error(error) == Verdict::Ignore);
    /// ```
    #[inline]
    pub fn ignore_if<P, A, T, E>(self, is_callers_fault: P) -> Tool<F, TypedHandler<IgnoreIf<P, C>, S>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        P: Fn(&E) -> bool,
    {
        self.with_reader(|inner| IgnoreIf {
            is_callers_fault,
            inner,
        })
    }

    /// Decides what every outcome means. Replaces [`retry_if`](Self::retry_if), [`ignore_if`](Self::ignore_if) and
    /// [`keep_last_error`](Self::keep_last_error).
    ///
    /// ```
    /// # use sandbox_runtime::{Tool, Verdict};
    /// # use std::time::Duration;
    /// enum FetchError { Busy { retry_after: Duration }, BadRequest, Down }
    /// # async fn fetch() -> Result<String, FetchError> { Err(FetchError::Down) }
    ///
    /// let tool = Tool::new("fetch", fetch).classify(|result| match result {
    ///     Ok(_) => Verdict::Success,
    ///     Err(FetchError::Busy { retry_after }) => Verdict::Retry { after: Some(*retry_after) },
    ///     // The caller's fault: no mark against a healthy service.
    ///     Err(FetchError::BadRequest) => Verdict::Ignore,
    ///     Err(FetchError::Down) => Verdict::RETRY,
    /// });
    /// ```
    #[inline]
    pub fn classify<V, A>(self, verdict: V) -> Tool<F, TypedHandler<UserFn<V>, S>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future,
        V: Fn(&A::Output) -> Verdict,
    {
        self.with_reader(|_| UserFn(verdict))
    }

    /// Makes the call's result when the tool has none to return, instead of `From<SandboxError>`.
    ///
    /// For return types that cannot hold a [`SandboxError`](crate::SandboxError), and for tools that report more. A type
    /// that is not a `Result` needs [`classify`](Self::classify) as well.
    #[inline]
    pub fn on_failure<M, A>(self, make: M) -> Tool<F, TypedHandler<C, UserFn<M>>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future,
        M: Fn(Failure) -> A::Output,
    {
        self.with_handler(|handler| TypedHandler {
            reader: handler.reader,
            failure_return: UserFn(make),
        })
    }

    /// Keeps the text of an error that a retry follows, for [`Failure::last_error`] if the retry yields nothing.
    ///
    /// Without it nothing is kept, and a call allocates nothing; with it each such error is written once. Call it after
    /// [`classify`](Self::classify).
    #[inline]
    pub fn keep_last_error<A, T, E>(self) -> Tool<F, TypedHandler<DescribeError<C>, S>, K, L>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        self.with_reader(DescribeError)
    }

    pub(crate) fn with_reader<D>(self, reader: impl FnOnce(C) -> D) -> Tool<F, TypedHandler<D, S>, K, L> {
        self.with_handler(|handler| TypedHandler {
            reader: reader(handler.reader),
            failure_return: handler.failure_return,
        })
    }

    /// Ends the call when `cancel` resolves, before an attempt, during one, or in a delay.
    ///
    /// Any future will do: `token.cancelled()` of a `tokio_util` token, a channel's receiver. A cancelled call counts
    /// nothing on the breaker. It ends with [`SandboxError::Cancelled`](crate::SandboxError::Cancelled), or, when it was
    /// waiting to retry, with what the last attempt ended with.
    #[inline]
    pub fn cancelled_by<M>(self, cancel: M) -> Tool<F, TypedHandler<C, S>, M::IntoFuture, L>
    where
        M: IntoFuture<Output = ()>,
    {
        Tool {
            label: self.label,
            function: self.function,
            handler: self.handler,
            cancel: cancel.into_future(),
        }
    }
}

impl<F, H, K, L> Tool<F, H, K, L> {
    #[inline]
    pub(crate) fn with_handler<I>(self, handler: impl FnOnce(H) -> I) -> Tool<F, I, K, L> {
        Tool {
            label: self.label,
            function: self.function,
            handler: handler(self.handler),
            cancel: self.cancel,
        }
    }
}

impl<F, H, K, L: ToolLabel> fmt::Debug for Tool<F, H, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.label.name())
            .finish_non_exhaustive()
    }
}

/// A function that begins attempts: a closure that returns futures. For bounds; sealed.
pub trait Function: sealed::Function {
    /// One attempt.
    type Attempt: Future;
    /// Begins an attempt. `retry_possible` tells whether another may follow.
    fn begin(&mut self, retry_possible: bool) -> Self::Attempt;
}

impl<F, A> Function for F
where
    F: FnMut() -> A,
    A: Future,
{
    type Attempt = A;

    #[inline]
    fn begin(&mut self, _: bool) -> A {
        self()
    }
}

/// What [`execute_with_controls`](crate::execute_with_controls) runs: a [`Tool`], or a closure that makes futures of
/// `Result<serde_json::Value, String>`. For bounds; sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    label = "expected a `Tool`, or a closure that returns a future of `Result<serde_json::Value, String>`",
    note = "wrap a closure with other types in `Tool::new(\"name\", ..)`"
)]
pub trait IntoTool: sealed::IntoTool {
    /// Begins attempts.
    type Function: Function;
    /// Reads the results.
    type Handler;
    /// Resolves when the call is to end.
    type Cancel: Future<Output = ()>;
    /// What it is called.
    type Label: ToolLabel;
    /// The tool.
    fn into_tool(self) -> Tool<Self::Function, Self::Handler, Self::Cancel, Self::Label>;
}

impl<F, A> IntoTool for F
where
    F: FnMut() -> A,
    A: Future<Output = Result<Value, String>>,
{
    type Function = F;
    type Handler = JsonHandler;
    type Cancel = Pending<()>;
    type Label = NameLabel;

    #[inline]
    fn into_tool(self) -> Tool<F, JsonHandler> {
        Tool {
            label: NameLabel::of("tool".into()),
            function: self,
            handler: JsonHandler,
            cancel: std::future::pending(),
        }
    }
}

impl<F, H, K, L> sealed::IntoTool for Tool<F, H, K, L> {}

impl<F, H, K, L> IntoTool for Tool<F, H, K, L>
where
    F: Function,
    K: Future<Output = ()>,
    L: ToolLabel,
{
    type Function = F;
    type Handler = H;
    type Cancel = K;
    type Label = L;

    #[inline]
    fn into_tool(self) -> Self {
        self
    }
}
