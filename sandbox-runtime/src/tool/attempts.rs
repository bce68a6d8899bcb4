//! How attempts begin where the attribute has made the function: what they can own ([`Attempts`]), and what begins them.

use std::future::{Future, Ready};
use std::marker::PhantomData;

use crate::sealed;
use crate::tool::Function;

/// The attempts of a call: several if there are retries, otherwise one. For messages of the compiler.
#[derive(Debug, Clone, Copy)]
pub struct Attempts<const RETRIED: bool>;

/// Tells that attempts can own an argument: one attempt any, several only clones. For messages of the compiler.
// A trait of `Attempts`, and not of the argument: for a type parameter the compiler would propose it as a bound. And methods,
// not functions with a bound: of what has no such method the compiler says no more than is written here.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be handed to a second attempt: it does not implement `Clone`",
    label = "every attempt needs an argument of its own",
    note = "derive `Clone` for a type of your own, or add the bound to a type parameter; else wrap the argument in an `Arc`, or \
            set `max_retries = 0`"
)]
pub trait CanOwn<T> {
    /// A clone, if attempts get one each.
    #[doc(hidden)]
    fn try_clone(argument: &T) -> Option<T>;

    /// An argument for an attempt: a clone of the one in the slot while another attempt may follow, then that one itself.
    #[doc(hidden)]
    #[inline]
    fn take_or_clone(slot: &mut Option<T>, retry_possible: bool) -> T {
        let clone = if retry_possible {
            slot.as_ref().and_then(Self::try_clone)
        } else {
            None
        };
        match clone.or_else(|| slot.take()) {
            Some(argument) => argument,
            None => unreachable!("there are no more attempts than the policy allows"),
        }
    }

    /// Keeps a receiver for the attempt that may follow the one that gets `receiver`: the clone goes to the earlier one.
    #[doc(hidden)]
    #[inline]
    fn keep(receiver: &mut T, kept: &mut Option<T>, retry_possible: bool) {
        if retry_possible {
            *kept = Self::try_clone(receiver).map(|clone| std::mem::replace(receiver, clone));
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T> CanOwn<T> for Attempts<false> {
    #[inline]
    fn try_clone(_: &T) -> Option<T> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone> CanOwn<T> for Attempts<true> {
    #[inline]
    fn try_clone(argument: &T) -> Option<T> {
        Some(argument.clone())
    }
}

/// The attempts of a call that has retries, and arguments of generic types: with the usual message about a bound that is
/// missing, in which the compiler proposes `Clone`.
#[derive(Debug, Clone, Copy)]
pub struct RetriedAttempts;

impl<T: Clone> CanOwn<T> for RetriedAttempts {
    #[inline]
    fn try_clone(argument: &T) -> Option<T> {
        Some(argument.clone())
    }
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
