//! How an expansion hands arguments to attempts, and its constants to a call.

use std::future::{Future, Pending};

use crate::breaker::CircuitBreaker;
use crate::call::{CallControls, CallState};
use crate::policy::Policy;
use crate::site::Compiled;
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

/// The policy of an annotated function, as a function that returns it: it takes no place in the future of a call, where a reference
/// would take eight bytes.
#[derive(Debug, Clone, Copy)]
pub struct CompiledPolicy<F>(pub F);

impl<F: Fn() -> Compiled> From<CompiledPolicy<F>> for Policy {
    #[inline]
    fn from(policy: CompiledPolicy<F>) -> Policy {
        (policy.0)().policy
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
