//! [`ToolLabel`]: what a tool is called, and whether it has a site of its own.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::breaker::CircuitBreaker;
use crate::sealed;
use crate::site::{Compiled, SiteRef};

/// What a tool is called. For bounds; sealed.
pub trait ToolLabel: sealed::ToolLabel {
    /// What a call keeps to find its breaker.
    #[expect(private_bounds, reason = "sealed: only the engine asks")]
    type Breaker<'b>: BreakerRef;

    /// The name that failures have for the tool.
    fn name(&self) -> &'static str;

    /// What a call keeps of the breaker that it was given.
    fn breaker<'b>(&self, given: &'b CircuitBreaker) -> Self::Breaker<'b>;

    /// The site of an annotated function.
    #[doc(hidden)]
    fn site(&self) -> Option<SiteRef> {
        None
    }
}

/// A way to the breaker of a call.
pub(crate) trait BreakerRef {
    fn get(&self) -> &CircuitBreaker;
}

impl BreakerRef for &CircuitBreaker {
    #[inline]
    fn get(&self) -> &CircuitBreaker {
        self
    }
}

/// The name of a tool that was written by hand. Its type has no lifetime: with one, even `'static`, the compiler could not
/// tell whether the future of a call is `Send`.
#[derive(Debug, Clone, Copy)]
pub struct NameLabel(&'static str);

impl NameLabel {
    #[inline]
    pub(crate) fn of(name: Cow<'static, str>) -> NameLabel {
        NameLabel(match name {
            Cow::Borrowed(name) => name,
            Cow::Owned(name) => kept(name),
        })
    }
}

/// The same name for as long as the program runs: failures and events have it, and it is shared by all that have it.
#[cold]
fn kept(name: String) -> &'static str {
    static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    // Nothing panics while it is locked.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    match kept.get(&*name) {
        Some(name) => name,
        None => {
            let name = Box::leak(name.into_boxed_str());
            kept.insert(name);
            name
        }
    }
}

impl sealed::ToolLabel for NameLabel {}

impl ToolLabel for NameLabel {
    type Breaker<'b> = &'b CircuitBreaker;

    fn name(&self) -> &'static str {
        self.0
    }

    #[inline]
    fn breaker<'b>(&self, given: &'b CircuitBreaker) -> &'b CircuitBreaker {
        given
    }
}

/// The site of an annotated function whose breaker is that of the site, as a function that returns it: it takes no place in the
/// future of a call, and neither does the breaker.
#[derive(Debug, Clone, Copy)]
pub struct SiteLabel<F>(pub F);

impl<F> sealed::ToolLabel for SiteLabel<F> {}

impl<F: Fn() -> Compiled + Copy> ToolLabel for SiteLabel<F> {
    type Breaker<'b> = SiteLabel<F>;

    fn name(&self) -> &'static str {
        (self.0)().site.0.info.name
    }

    #[inline]
    fn breaker(&self, _: &CircuitBreaker) -> SiteLabel<F> {
        *self
    }

    fn site(&self) -> Option<SiteRef> {
        Some((self.0)().site)
    }
}

impl<F: Fn() -> Compiled> BreakerRef for SiteLabel<F> {
    #[inline]
    fn get(&self) -> &CircuitBreaker {
        &self.0().site.0.breaker
    }
}

/// The site of an annotated function that names a breaker.
#[derive(Debug, Clone, Copy)]
pub struct SiteLabelBesideBreaker<F>(pub F);

impl<F> sealed::ToolLabel for SiteLabelBesideBreaker<F> {}

impl<F: Fn() -> Compiled> ToolLabel for SiteLabelBesideBreaker<F> {
    type Breaker<'b> = &'b CircuitBreaker;

    fn name(&self) -> &'static str {
        (self.0)().site.0.info.name
    }

    #[inline]
    fn breaker<'b>(&self, given: &'b CircuitBreaker) -> &'b CircuitBreaker {
        given
    }

    fn site(&self) -> Option<SiteRef> {
        Some((self.0)().site)
    }
}

/// A name that is a constant of a type. As the type of [`SiteRef`], this has no lifetime.
#[derive(Debug, Clone, Copy)]
pub struct NameRef(pub &'static str);

/// Another label with a name that a static cannot hold, such as a constant of a trait.
#[derive(Debug, Clone, Copy)]
pub struct NamedLabel<L, N>(pub L, pub N);

impl<L, N> sealed::ToolLabel for NamedLabel<L, N> {}

impl<L: ToolLabel, N: Fn() -> NameRef> ToolLabel for NamedLabel<L, N> {
    type Breaker<'b> = L::Breaker<'b>;

    fn name(&self) -> &'static str {
        (self.1)().0
    }

    #[inline]
    fn breaker<'b>(&self, given: &'b CircuitBreaker) -> L::Breaker<'b> {
        self.0.breaker(given)
    }

    fn site(&self) -> Option<SiteRef> {
        self.0.site()
    }
}
