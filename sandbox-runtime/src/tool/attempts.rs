//! [`Attempts`]: what attempts can own.

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
