//! How an expansion hands arguments to attempts, and its constants to a call.

use std::future::{Future, Pending, Ready};
use std::marker::PhantomData;

use crate::breaker::CircuitBreaker;
use crate::call::{CallControls, CallState};
use crate::policy::Policy;
use crate::sealed;
use crate::tool::keep::Keeps;
use crate::tool::outcome::Classified;
use crate::tool::{Function, Tool, ToolLabel, TypedHandler};
use crate::verdict::Verdict;

/// The tool of an annotated function.
#[inline]
pub fn tool<L: ToolLabel, F: Function, H>(label: L, function: F, handler: H) -> Tool<F, H, Pending<()>, L> {
    Tool {
        label,
        function,
        handler,
        cancel: std::future::pending(),
    }
}

/// [`Tool::classify`] for a reader of any type, which still reads the text of an outcome.
#[inline]
pub fn classify<F, C, S, K, L, V, A>(
    tool: Tool<F, TypedHandler<C, S>, K, L>,
    verdict: V,
) -> Tool<F, TypedHandler<Classified<V, C>, S>, K, L>
where
    F: Function<Attempt = A>,
    A: Future,
    V: Fn(&A::Output) -> Verdict,
{
    tool.with_reader(|inner| Classified { verdict, inner })
}

/// A function that begins every attempt. It is told whether another may follow, because it has arguments to hand to them.
#[inline]
pub fn attempts<F: FnMut(bool) -> A, A: Future>(begin: F) -> BeginAttempts<F> {
    BeginAttempts(begin)
}

/// See [`attempts`].
#[derive(Debug)]
pub struct BeginAttempts<F>(F);

impl<F> sealed::Function for BeginAttempts<F> {}

impl<F, A> Function for BeginAttempts<F>
where
    F: FnMut(bool) -> A,
    A: Future,
{
    type Attempt = A;

    #[inline]
    fn begin(&mut self, retry_possible: bool) -> A {
        (self.0)(retry_possible)
    }
}

/// A function that begins the only attempt, and gives its arguments away.
#[inline]
pub fn one_attempt<F: FnOnce() -> A, A: Future>(begin: F) -> OneAttempt<F> {
    OneAttempt(Some(begin))
}

/// See [`one_attempt`].
#[derive(Debug)]
pub struct OneAttempt<F>(Option<F>);

impl<F> sealed::Function for OneAttempt<F> {}

impl<F, A> Function for OneAttempt<F>
where
    F: FnOnce() -> A,
    A: Future,
{
    type Attempt = A;

    #[inline]
    fn begin(&mut self, _retry_possible: bool) -> A {
        match self.0.take() {
            Some(begin) => begin(),
            None => unreachable!("the policy allows one attempt"),
        }
    }
}

/// Stands for the function of a tool that returns `R`, where attempts are made by a loop of the caller. It is never called.
#[inline]
pub fn attempts_by_caller<R>() -> AttemptsByCaller<R> {
    AttemptsByCaller(PhantomData)
}

/// See [`attempts_by_caller`].
#[derive(Debug)]
pub struct AttemptsByCaller<R>(PhantomData<fn() -> R>);

impl<R> sealed::Function for AttemptsByCaller<R> {}

impl<R> Function for AttemptsByCaller<R> {
    type Attempt = Ready<R>;

    fn begin(&mut self, _retry_possible: bool) -> Ready<R> {
        unreachable!("only its type is used")
    }
}

/// A constant policy as a closure that captures nothing: it takes no place in the future of a call, where a reference would
/// take eight bytes.
#[derive(Debug, Clone, Copy)]
pub struct ConstFn<F>(F);

#[inline]
pub const fn constant<F: Fn() -> Policy>(policy: F) -> ConstFn<F> {
    ConstFn(policy)
}

impl<F: Fn() -> Policy> From<ConstFn<F>> for Policy {
    #[inline]
    fn from(policy: ConstFn<F>) -> Policy {
        (policy.0)()
    }
}

/// A call whose attempts are made by a loop of the caller.
#[inline]
pub fn call<'b, C, F, H, K, L>(
    config: C,
    breaker: &'b CircuitBreaker,
    tool: Tool<F, H, K, L>,
) -> CallState<CallControls<C, L::Breaker<'b>, H, K, L>>
where
    C: Into<Policy> + Copy,
    H: Keeps,
    K: Future<Output = ()>,
    L: ToolLabel,
{
    CallState::new(CallControls::new(config, breaker, tool).0)
}

/// The future that a function returns, of an attempt. A function and not a call on the spot: the closure is called once, and may
/// lend what it owns to the future.
#[inline]
pub fn boxed<A, F: FnOnce() -> A>(begin: F) -> A {
    begin()
}

/// The same for a future that has no name, with what it resolves to.
#[inline]
pub fn opaque<R, A: Future<Output = R>, F: FnOnce() -> A>(begin: F) -> A {
    begin()
}

/// Names the return type in the body of an attempt, so that `?`, `return` and coercions know it. Never called.
pub fn returned<R>() -> R {
    unreachable!("only its type is used")
}

/// A value that a block owns once it mentions it: by its method a type that is `Copy` is moved, too.
#[derive(Debug)]
pub struct Moved<T>(pub T);

impl<T> Moved<T> {
    #[inline]
    pub fn out(self) -> T {
        self.0
    }
}

/// The receiver that was kept.
#[inline]
pub fn kept_receiver<T>(kept: &mut Option<T>) -> T {
    match kept.take() {
        Some(receiver) => receiver,
        None => unreachable!("there are no more attempts than the policy allows"),
    }
}
