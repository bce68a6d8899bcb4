//! What generated code may name, and nothing else. No part of the public API: it changes without notice.

use std::time::Duration;

pub use crate::breaker::CircuitBreaker;
pub use crate::execute::execute_with_controls;
pub use crate::policy::Policy;
pub use crate::tool::Tool;

pub use std::option::Option::Some;

use crate::policy::PolicyError;

/// A length of time given to the attribute.
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The breaker of a function that asks for no other.
pub const fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(CircuitBreaker::DEFAULT_THRESHOLD)
}

/// The policy itself, if it is valid; evaluated in a constant, so that an invalid one does not compile.
#[expect(clippy::panic, reason = "a panic in a constant is a compile error")]
pub const fn valid(policy: Policy) -> Policy {
    match policy.validate() {
        Ok(()) => policy,
        Err(PolicyError::ZeroTimeout) => {
            panic!("`timeout_ms` is 0, so that every attempt would time out; set at least 1")
        }
        Err(PolicyError::BackoffBaseOverMax { .. }) => panic!("`backoff_base_ms` is longer than `backoff_max_ms`"),
        Err(PolicyError::DeadlineWithinTimeout { .. }) => panic!("`deadline_ms` is not longer than `timeout_ms`"),
    }
}

/// Whether `policy` can hand its arguments to a second attempt.
pub const fn retries(policy: &Policy) -> bool {
    policy.max_retries > 0
}

/// Names the return type in the body of an attempt, so that `?`, `return` and coercions know it. Never called.
pub fn returned<R>() -> R {
    unreachable!("only its type is used")
}

/// The arguments of a sandboxed function: every attempt gets them as the caller gave them.
///
/// They are cloned while a further attempt may follow; the last one gets them themselves.
#[derive(Debug)]
pub struct Arguments<A, F> {
    /// `None` once the last attempt has them.
    original: Option<A>,
    copy: F,
    retries_left: u32,
}

impl<A, F: Fn(&A) -> Option<A>> Arguments<A, F> {
    #[inline]
    pub fn new(policy: &Policy, original: A, copy: F) -> Self {
        Arguments {
            original: Some(original),
            copy,
            retries_left: policy.max_retries,
        }
    }

    /// The arguments of the next attempt.
    #[inline]
    pub fn take(&mut self) -> A {
        if self.retries_left > 0 {
            self.retries_left -= 1;
            if let Some(copy) = self.original.as_ref().and_then(&self.copy) {
                return copy;
            }
        }
        match self.original.take() {
            Some(original) => original,
            None => unreachable!("there are no more attempts than the policy allows"),
        }
    }
}

/// An argument that can be handed to every attempt: any type when there is but one, a `Clone` type otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be handed to a second attempt: it does not implement `Clone`",
    label = "every attempt needs an argument of its own",
    note = "derive `Clone`, wrap the argument in an `Arc`, or set `max_retries = 0`"
)]
pub trait Reusable<const RETRIED: bool>: Sized {
    fn copy(&self) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T> Reusable<false> for T {
    #[inline]
    fn copy(&self) -> Option<Self> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Reusable<true> for T {
    #[inline]
    fn copy(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// A copy of one argument.
#[inline]
pub fn copy<const RETRIED: bool, T: Reusable<RETRIED>>(argument: &T) -> Option<T> {
    argument.copy()
}
