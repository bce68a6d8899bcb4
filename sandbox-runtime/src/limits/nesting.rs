//! The limits among whose places this thread is polling the tools of calls, so that a call within one shares its place.
//!
//! Without it, a tool that calls itself would wait for itself.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Limits;

/// The limits of the tool that is polled innermost, by their address, and how many tools are polled around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Innermost {
    /// 0 if no tool is polled.
    limits: usize,
    around: usize,
}

const NONE: Innermost = Innermost { limits: 0, around: 0 };

thread_local! {
    // By itself, because it needs no destructor: then it is reached by few instructions.
    static INNERMOST: Cell<Innermost> = const { Cell::new(NONE) };
    /// Those of the tools around it.
    static AROUND: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Tells whether this thread polls the tool of a call that has a place among these.
#[inline]
pub(super) fn is_within(limits: &Arc<Limits>) -> bool {
    let innermost = INNERMOST.get();
    innermost.limits == address(limits) || innermost.around > 0 && is_around(limits)
}

#[cold]
fn is_around(limits: &Arc<Limits>) -> bool {
    AROUND
        .try_with(|around| around.borrow().contains(&address(limits)))
        .unwrap_or(false)
}

/// This thread begins to poll the tool of a call with a place.
#[inline]
pub(super) fn enter(limits: &Arc<Limits>) {
    let limits = address(limits);
    match INNERMOST.get() {
        NONE => INNERMOST.set(Innermost { limits, around: 0 }),
        outer => enter_within(outer, limits),
    }
}

/// In a thread whose locals have been destroyed, nothing is noted.
#[cold]
fn enter_within(outer: Innermost, limits: usize) {
    let _ = AROUND.try_with(|around| {
        around.borrow_mut().push(outer.limits);
        let around = outer.around + 1;
        INNERMOST.set(Innermost { limits, around });
    });
}

/// The poll is over.
#[inline]
pub(super) fn leave(limits: &Arc<Limits>) {
    let innermost = INNERMOST.get();
    if innermost.around > 0 {
        leave_within(innermost, address(limits));
    } else if innermost.limits == address(limits) {
        INNERMOST.set(NONE);
    }
}

#[cold]
fn leave_within(innermost: Innermost, limits: usize) {
    let _ = AROUND.try_with(|all_around| {
        let mut all_around = all_around.borrow_mut();
        let next = if innermost.limits == limits {
            all_around.pop()
        } else {
            let last = all_around.iter().rposition(|other| *other == limits);
            last.map(|last| all_around.remove(last)).map(|_| innermost.limits)
        };
        if let Some(limits) = next {
            let around = all_around.len();
            INNERMOST.set(Innermost { limits, around });
        }
    });
}

fn address(limits: &Arc<Limits>) -> usize {
    Arc::as_ptr(limits).addr()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// In whatever order polls begin and end, a thread is within the limits whose polls have not ended.
        #[test]
        fn a_thread_is_within_what_it_has_entered_and_not_left(steps in proptest::collection::vec((any::<bool>(), 0_usize..3), 0..24)) {
            let limits: [_; 3] = std::array::from_fn(|_| Arc::new(Limits::new()));
            let mut entered = Vec::new();
            for (enters, which) in steps {
                match enters {
                    true => {
                        enter(&limits[which]);
                        entered.push(which);
                    }
                    false => {
                        leave(&limits[which]);
                        if let Some(last) = entered.iter().rposition(|other| *other == which) {
                            entered.remove(last);
                        }
                    }
                }
                let within = [0, 1, 2].map(|which| is_within(&limits[which]));
                prop_assert_eq!(within, [0, 1, 2].map(|which| entered.contains(&which)), "entered: {:?}", entered);
            }
            for which in entered {
                leave(&limits[which]);
            }
            prop_assert_eq!(INNERMOST.get(), NONE, "all have been left");
        }
    }
}
