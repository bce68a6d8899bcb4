//! Counting failures in a row that are forgotten.

use std::time::Duration;

use super::{State, Watched, at_once, explore, explore_with_few_preemptions};
use crate::breaker::CircuitBreaker;

/// A failure that comes more than this behind the last one begins a new row.
const FORGOTTEN_AFTER: u64 = 100;

/// Creates a breaker that has counted `failures` at 0.
fn after_failures(failures: u32, threshold: u32) -> loom::sync::Arc<Watched> {
    let breaker = CircuitBreaker::new(threshold).forget_after(Duration::from_millis(FORGOTTEN_AFTER));
    let watched = Watched::new(breaker, 1);
    for _ in 0..failures {
        watched.record_failure(0);
    }
    watched
}

/// Whichever begins the new row, the other is in it; neither meets the failures of the old one.
#[test]
fn two_failures_that_end_a_row_are_both_in_the_next() {
    for threshold in [2, 3, 200] {
        explore(move || {
            let watched = after_failures(1, threshold);
            let (one, other) = (watched.admit_now(102), watched.admit_now(102));
            at_once(&watched, move |it| it.fail(one, 102), |it| it.fail(other, 103));
            let expected = if threshold == 2 {
                // By the clock of the one that opened it.
                [State::Open(9), State::Open(10)]
            } else {
                [State::Closed(2); 2]
            };
            let state = watched.state(103);
            assert!(expected.contains(&state), "{state:?} with a threshold of {threshold}");
        });
    }
}

/// In one order the early one joins the old row, and so does the late one, 50 behind it; in the other the late one begins a row.
#[test]
fn a_failure_in_the_row_beside_one_that_comes_too_late_for_it() {
    explore(|| {
        let watched = after_failures(2, 4);
        let (early, late) = (watched.admit_now(100), watched.admit_now(150));
        at_once(&watched, move |it| it.fail(early, 100), |it| it.fail(late, 150));
        let state = watched.state(150);
        assert!([State::Open(10), State::Closed(2)].contains(&state), "{state:?}");
    });
}

#[test]
fn a_success_beside_a_failure_that_begins_a_row() {
    explore(|| {
        let watched = after_failures(1, 2);
        let (good, bad) = (watched.admit_now(200), watched.admit_now(200));
        at_once(&watched, move |it| it.succeed(good, 200), |it| it.fail(bad, 200));
        let state = watched.state(200);
        assert!([State::Closed(0), State::Closed(1)].contains(&state), "{state:?}");
        watched.record_success(200);
        assert_eq!(watched.state(200), State::Closed(0));
    });
}

#[test]
fn failures_of_a_row_that_is_not_forgotten_are_all_counted() {
    explore_with_few_preemptions(|| {
        let watched = after_failures(1, 5);
        let [one, two, three] = [50, 100, 100].map(|at| watched.admit_now(at));
        at_once(
            &watched,
            move |it| it.fail(one, 50),
            |it| at_once(it, move |it| it.fail(two, 100), |it| it.fail(three, 100)),
        );
        assert_eq!(watched.state(100), State::Closed(4));
    });
}

#[test]
fn a_count_is_that_of_one_row_or_of_the_next() {
    explore(|| {
        let watched = after_failures(2, 5);
        let bad = watched.admit_now(101);
        let ((), count) = at_once(&watched, move |it| it.fail(bad, 101), |it| it.failure_count(101));
        assert!([0, 1].contains(&count), "{count} failures");
        assert_eq!(watched.state(101), State::Closed(1));
    });
}

#[test]
fn a_reset_beside_a_failure_leaves_nothing_of_a_row() {
    explore(|| {
        let watched = after_failures(1, 2);
        let before = watched.admit_now(50);
        at_once(&watched, Watched::reset, |it| it.fail(before, 50));
        let state = watched.state(50);
        assert!([State::Closed(0), State::Open(10)].contains(&state), "{state:?}");
    });
}
