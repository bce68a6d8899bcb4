//! [`Tool`]: a function that is called once for each attempt, what its results mean, and what cancels it.

use std::fmt;
use std::future::{Future, IntoFuture, Pending};

use serde_json::Value;

use crate::failure::Failure;
use crate::outcome::{By, ByType, IgnoreIf, LastError, Report, RetryIf, Typed};
use crate::verdict::Verdict;

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
pub struct Tool<F, H, K = Pending<()>, N = Text> {
    pub(crate) name: N,
    pub(crate) function: F,
    pub(crate) handler: H,
    pub(crate) cancel: K,
}

impl<F> Tool<F, Typed<ByType, ByType>> {
    /// A tool of any `Result<T, E>` with `E: From<SandboxError>`, or with `String` for `E`. `function` is called once for each attempt.
    #[inline]
    pub fn new<A>(name: &'static str, function: F) -> Self
    where
        F: FnMut() -> A,
        A: Future,
    {
        Tool {
            name: Text(name),
            function,
            handler: Typed::BY_TYPE,
            cancel: std::future::pending(),
        }
    }
}

impl<F, C, S, M, K, N> Tool<F, Typed<C, S, M>, K, N> {
    /// Retries only the errors that `retryable` accepts; others end the call, as failures.
    ///
    /// Without it every error is retried. Replaces what [`classify`](Self::classify) and [`ignore_if`](Self::ignore_if) say of
    /// errors.
    #[inline]
    #[expect(clippy::type_complexity, reason = "only what it adds to the tool's type is new")]
    pub fn retry_if<P, A, T, E>(self, retryable: P) -> Tool<F, Typed<RetryIf<P, C>, S, M>, K, N>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        P: Fn(&E) -> bool,
    {
        self.classified(|otherwise| RetryIf { retryable, otherwise })
    }

    /// Takes the errors that `callers_fault` accepts for the caller's fault, such as bad arguments: they are given back as
    /// they are, are not retried, and leave no mark on the breaker.
    ///
    /// A model that calls a healthy tool with bad arguments five times over must not have it switched off for everybody.
    /// What other errors mean, [`retry_if`](Self::retry_if) or [`classify`](Self::classify) says, if it was called before.
    ///
    /// ```
    /// # use sandbox_runtime::{Tool, Verdict};
    /// # use std::io;
    /// # async fn read() -> io::Result<String> { Ok(String::new()) }
    /// let tool = Tool::new("read", read).ignore_if(|error| Verdict::of_io_error(error) == Verdict::Ignore);
    /// ```
    #[inline]
    #[expect(clippy::type_complexity, reason = "only what it adds to the tool's type is new")]
    pub fn ignore_if<P, A, T, E>(self, callers_fault: P) -> Tool<F, Typed<IgnoreIf<P, C>, S, M>, K, N>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        P: Fn(&E) -> bool,
    {
        self.classified(|otherwise| IgnoreIf {
            callers_fault,
            otherwise,
        })
    }

    /// Says of every outcome what it means. Replaces [`retry_if`](Self::retry_if) and [`ignore_if`](Self::ignore_if).
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
    ///     // The caller's fault: no mark against a service that is well.
    ///     Err(FetchError::BadRequest) => Verdict::Ignore,
    ///     Err(FetchError::Down) => Verdict::RETRY,
    /// });
    /// ```
    #[inline]
    pub fn classify<V, A>(self, verdict: V) -> Tool<F, Typed<By<V>, S, M>, K, N>
    where
        F: Function<Attempt = A>,
        A: Future,
        V: Fn(&A::Output) -> Verdict,
    {
        self.classified(|_| By(verdict))
    }

    fn classified<D>(self, by: impl FnOnce(C) -> D) -> Tool<F, Typed<D, S, M>, K, N> {
        self.handled(|Typed { classify, speak, note }| Typed {
            classify: by(classify),
            speak,
            note,
        })
    }

    /// Makes the call's result when the engine has to speak for the tool, instead of `From<SandboxError>`.
    ///
    /// For return types that have no place for a [`SandboxError`](crate::SandboxError), and for tools that say more. A type
    /// that is no `Result` needs [`classify`](Self::classify) as well.
    #[inline]
    pub fn on_failure<S2, A>(self, speak: S2) -> Tool<F, Typed<C, By<S2>, M>, K, N>
    where
        F: Function<Attempt = A>,
        A: Future,
        S2: Fn(Failure) -> A::Output,
    {
        let speak = By(speak);
        self.handled(|Typed { classify, note, .. }| Typed { classify, speak, note })
    }

    /// Keeps the text of an error that a retry follows, for [`Failure::last_error`] should the retry come to nothing.
    ///
    /// Without it nothing is kept, and a call allocates nothing; with it each such error is written once.
    #[inline]
    pub fn keep_last_error<A, T, E>(self) -> Tool<F, Typed<C, S, LastError>, K, N>
    where
        F: Function<Attempt = A>,
        A: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        self.noted(LastError::default())
    }

    /// For [`private`](crate::private): with a note of the engine's.
    #[doc(hidden)]
    pub fn noted<L>(self, note: L) -> Tool<F, Typed<C, S, L>, K, N> {
        self.handled(|Typed { classify, speak, .. }| Typed { classify, speak, note })
    }

    /// For [`private`](crate::private): with a handler of the engine's.
    #[doc(hidden)]
    #[inline]
    pub fn handled_by<I>(self, handler: I) -> Tool<F, I, K, N> {
        self.handled(|_| handler)
    }

    /// Ends the call when `cancel` resolves, before an attempt, during one, or in a delay.
    ///
    /// Any future will do: `token.cancelled()` of a `tokio_util` token, a channel's receiver. A cancelled call counts
    /// nothing on the breaker. It ends with [`SandboxError::Cancelled`](crate::SandboxError::Cancelled), or, when it was
    /// waiting to retry, with what the last attempt ended with.
    #[inline]
    pub fn cancelled_by<L>(self, cancel: L) -> Tool<F, Typed<C, S, M>, L::IntoFuture, N>
    where
        L: IntoFuture<Output = ()>,
    {
        Tool {
            name: self.name,
            function: self.function,
            handler: self.handler,
            cancel: cancel.into_future(),
        }
    }
}

impl<F, H, K, N> Tool<F, H, K, N> {
    #[inline]
    fn handled<I>(self, handler: impl FnOnce(H) -> I) -> Tool<F, I, K, N> {
        Tool {
            name: self.name,
            function: self.function,
            handler: handler(self.handler),
            cancel: self.cancel,
        }
    }
}

impl<F, H, K, N: ToolName> fmt::Debug for Tool<F, H, K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.name.text())
            .finish_non_exhaustive()
    }
}

/// A function that begins attempts: a closure that returns futures. For bounds; not to be implemented.
pub trait Function {
    /// One attempt.
    type Attempt: Future;
    /// Begins an attempt. `more`: whether another may follow.
    fn begin(&mut self, more: bool) -> Self::Attempt;
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

/// What a tool is called. For bounds; not to be implemented.
pub trait ToolName {
    /// The name.
    fn text(&self) -> &'static str;
}

/// A name without a lifetime in its type: with one, even `'static`, the compiler could not tell whether the future of a call
/// by hand is `Send`.
#[derive(Debug, Clone, Copy)]
pub struct Text(pub &'static str);

impl ToolName for Text {
    fn text(&self) -> &'static str {
        self.0
    }
}

/// What [`execute_with_controls`](crate::execute_with_controls) runs: a [`Tool`], or a closure that makes futures of
/// `Result<serde_json::Value, String>`. For bounds; not to be implemented.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    label = "expected a `Tool`, or a closure that returns a future of `Result<serde_json::Value, String>`",
    note = "wrap a closure with other types in `Tool::new(\"name\", ..)`"
)]
pub trait IntoTool {
    /// Begins attempts.
    type Function: Function;
    /// Reads the results.
    type Handler;
    /// Resolves when the call is to end.
    type Cancel: Future<Output = ()>;
    /// What it is called.
    type Name: ToolName;
    /// The tool.
    fn into_tool(self) -> Tool<Self::Function, Self::Handler, Self::Cancel, Self::Name>;
}

impl<F, A> IntoTool for F
where
    F: FnMut() -> A,
    A: Future<Output = Result<Value, String>>,
{
    type Function = F;
    type Handler = Report;
    type Cancel = Pending<()>;
    type Name = Text;

    #[inline]
    fn into_tool(self) -> Tool<F, Report> {
        Tool {
            name: Text("tool"),
            function: self,
            handler: Report,
            cancel: std::future::pending(),
        }
    }
}

impl<F, H, K, N> IntoTool for Tool<F, H, K, N>
where
    F: Function,
    K: Future<Output = ()>,
    N: ToolName,
{
    type Function = F;
    type Handler = H;
    type Cancel = K;
    type Name = N;

    #[inline]
    fn into_tool(self) -> Self {
        self
    }
}
