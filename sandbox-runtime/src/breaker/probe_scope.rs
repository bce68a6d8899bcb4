//! [`ProbeScope`]: the probes whose tools this thread is polling, so that an attempt within one shares its slot.
//!
//! What a tool calls is polled within the tool, so its probe is found here. What runs beside it, in the same task or in
//! another one, is polled before or after.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use super::packed::Generation;

thread_local! {
    /// The probes from the outermost to the innermost.
    static PROBES: RefCell<Vec<Probe>> = const { RefCell::new(Vec::new()) };
}

/// A probe: the address of its breaker, and the half-open generation that admitted it.
type Probe = (usize, Generation);

/// Lasts for one poll of the tool of a probe.
#[derive(Debug)]
#[must_use = "the scope ends when this is dropped"]
pub(crate) struct ProbeScope {
    /// How many probes enclose the poll, with this one.
    depth: NonZeroUsize,
}

impl ProbeScope {
    /// Enters the scope. In a thread whose locals have been destroyed, nothing is entered.
    #[cold]
    pub(super) fn enter(breaker: usize, generation: Generation) -> ProbeScope {
        let push = |probes: &RefCell<Vec<Probe>>| {
            let mut probes = probes.borrow_mut();
            let depth = NonZeroUsize::MIN.saturating_add(probes.len());
            probes.push((breaker, generation));
            depth
        };
        ProbeScope {
            depth: PROBES.try_with(push).unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// Returns whether this thread is polling the tool of a probe of this breaker and generation.
    #[cold]
    pub(super) fn has(breaker: usize, generation: Generation) -> bool {
        let contains = |probes: &RefCell<Vec<Probe>>| probes.borrow().contains(&(breaker, generation));
        PROBES.try_with(contains).unwrap_or(false)
    }
}

impl Drop for ProbeScope {
    #[cold]
    fn drop(&mut self) {
        // Scopes end in the reverse order of their beginnings, for polls do.
        let _ = PROBES.try_with(|probes| probes.borrow_mut().truncate(self.depth.get() - 1));
    }
}
