//! How an expansion hands arguments to attempts, and its constants to a call.

use std::future::{Future, Pending};

use crate::breaker::CircuitBreaker;
use crate::call::{CallControls, CallState};
use crate::policy::Policy;
use crate::sealed;
use crate::site::SiteRef;
use crate::tool::label::{SiteLabel, SiteLabelBesideBreaker};
use crate::tool::outcome::Classified;
use crate::tool::{Function, Tool, ToolLabel, TypedHandler};
use crate::verdict::Verdict;

/// The tool of an annotated function that has a breaker of its own.
#[inline]
pub fn tool<F, A, H, L>(site: L, function: F, handler: H) -> Tool<WithArguments<F>, H, Pending<()>, SiteLabel<L>>
where
    F: FnMut(bool) -> A,
    A: Future,
    L: Fn() -> SiteRef,
{
    Tool {
        label: SiteLabel(site),
        function: WithArguments(function),
        handler,
        cancel: std::future::pending(),
    }
}

/// The tool of an annotated function that names a breaker.
#[inline]
pub fn tool_beside_breaker<F, A, H, L>(
    site: L,
    function: F,
    handler: H,
) -> Tool<WithArguments<F>, H, Pending<()>, SiteLabelBesideBreaker<L>>
where
    F: FnMut(bool) -> A,
    A: Future,
    L: Fn() -> SiteRef,
{
    Tool {
        label: SiteLabelBesideBreaker(site),
        function: WithArguments(function),
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

/// A function that is told whether another attempt may follow, because it has arguments to hand to attempts.
#[derive(Debug)]
pub struct WithArguments<F>(F);

impl<F> sealed::Function for WithArguments<F> {}

impl<F, A> Function for WithArguments<F>
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
    K: Future<Output = ()>,
    L: ToolLabel,
{
    CallState::new(CallControls::new(config, breaker, tool).0)
}

/// Names the return type in the body of an attempt, so that `?`, `return` and coercions know it. Never called.
pub fn returned<R>() -> R {
    unreachable!("only its type is used")
}

/// Stands for a function that returns `R`, where attempts are made by a loop of the caller. Never called.
pub fn ready<R>(_retry_possible: bool) -> std::future::Ready<R> {
    unreachable!("only its type is used")
}

/// An argument for an attempt: a clone of the one in the slot while another attempt may follow, then that one itself.
#[inline]
pub fn take_or_clone<const RETRIED: bool, T: ArgumentPerAttempt<RETRIED>>(
    slot: &mut Option<T>,
    retry_possible: bool,
) -> T {
    let clone = if retry_possible {
        slot.as_ref().and_then(T::try_clone)
    } else {
        None
    };
    match clone.or_else(|| slot.take()) {
        Some(argument) => argument,
        None => unreachable!("there are no more attempts than the policy allows"),
    }
}

/// An argument that every attempt can have: of any type when there is only one attempt, of a `Clone` type otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be handed to a second attempt: it does not implement `Clone`",
    label = "every attempt needs an argument of its own",
    note = "derive `Clone`, wrap the argument in an `Arc`, or set `max_retries = 0`"
)]
pub trait ArgumentPerAttempt<const RETRIED: bool>: Sized {
    fn try_clone(&self) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T> ArgumentPerAttempt<false> for T {
    #[inline]
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone> ArgumentPerAttempt<true> for T {
    #[inline]
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}
