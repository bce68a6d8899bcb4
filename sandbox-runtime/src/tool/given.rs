//! What the user names in the attribute by an expression: a breaker, a policy.
//!
//! Both are found by methods and not by functions with a bound: of what has no such method the compiler says no more than is
//! written here.

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use crate::breaker::CircuitBreaker;
use crate::config::SandboxConfig;
use crate::policy::Policy;

/// What a call keeps of the breaker that it was given: as little as it can, so that whatever the breaker was found in is free
/// again while the tool runs.
#[derive(Debug)]
pub enum KeptBreaker<'b> {
    /// By reference.
    Borrowed(&'b CircuitBreaker),
    /// Shared with others.
    Shared(Arc<CircuitBreaker>),
}

impl Deref for KeptBreaker<'_> {
    type Target = CircuitBreaker;

    #[inline]
    fn deref(&self) -> &CircuitBreaker {
        match self {
            KeptBreaker::Borrowed(breaker) => breaker,
            KeptBreaker::Shared(breaker) => breaker,
        }
    }
}

/// A breaker by reference, or one that can be shared.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a breaker",
    label = "expected a `&CircuitBreaker` or an `Arc<CircuitBreaker>`",
    note = "if it contains one, dereference it: `breaker = &*..`",
    note = "if it has one for each key, name the key: `breaker = HOSTS.of(&key)`"
)]
pub trait GivenBreaker<'b> {
    /// What is kept of it.
    fn given(self) -> KeptBreaker<'b>;
}

macro_rules! borrowed {
    ($($reference:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<'b> GivenBreaker<'b> for $reference {
            #[inline]
            fn given(self) -> KeptBreaker<'b> {
                KeptBreaker::Borrowed(self)
            }
        }
    )*};
}

borrowed!(
    &'b CircuitBreaker,
    &'b &'b CircuitBreaker,
    &'b &'b mut CircuitBreaker,
    &'b Box<CircuitBreaker>
);

#[diagnostic::do_not_recommend]
impl<'b, F: FnOnce() -> CircuitBreaker> GivenBreaker<'b> for &'b LazyLock<CircuitBreaker, F> {
    #[inline]
    fn given(self) -> KeptBreaker<'b> {
        KeptBreaker::Borrowed(self)
    }
}

#[diagnostic::do_not_recommend]
impl<'b> GivenBreaker<'b> for Arc<CircuitBreaker> {
    #[inline]
    fn given(self) -> KeptBreaker<'b> {
        KeptBreaker::Shared(self)
    }
}

/// The reference may be into something that is locked.
#[diagnostic::do_not_recommend]
impl<'b> GivenBreaker<'b> for &Arc<CircuitBreaker> {
    #[inline]
    fn given(self) -> KeptBreaker<'b> {
        KeptBreaker::Shared(Arc::clone(self))
    }
}

/// A breaker that can be shared, beside a `self` that is lent for writing.
#[diagnostic::on_unimplemented(
    message = "a breaker cannot be borrowed from a `&mut self` that the tool uses as a whole",
    label = "`self` is lent to the tool",
    note = "keep the breaker in an `Arc<CircuitBreaker>`, of which the call keeps a share"
)]
pub trait SharedBreaker {
    /// What is kept of it.
    fn given(self) -> KeptBreaker<'static>;
}

#[diagnostic::do_not_recommend]
impl SharedBreaker for Arc<CircuitBreaker> {
    #[inline]
    fn given(self) -> KeptBreaker<'static> {
        KeptBreaker::Shared(self)
    }
}

#[diagnostic::do_not_recommend]
impl SharedBreaker for &Arc<CircuitBreaker> {
    #[inline]
    fn given(self) -> KeptBreaker<'static> {
        KeptBreaker::Shared(Arc::clone(self))
    }
}

/// Settings by value or by reference.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy",
    label = "expected a `Policy` or a `SandboxConfig`, by value or by reference"
)]
pub trait GivenPolicy {
    /// The policy.
    fn given(self) -> Policy;
}

macro_rules! policies {
    ($($policy:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl GivenPolicy for $policy {
            fn given(self) -> Policy {
                self.into()
            }
        }
    )*};
}

policies!(Policy, &Policy, SandboxConfig, &SandboxConfig);
