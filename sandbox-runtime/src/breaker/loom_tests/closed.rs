//! Counting failures in a row.

use super::{State, Watched, at_once, explore, explore_with_few_preemptions};
use crate::breaker::CircuitBreaker;

#[test]
fn failures_at_once_are_all_counted() {
    explore_with_few_preemptions(|| {
        let watched = Watched::new(CircuitBreaker::new(4), 1);
        let [one, two, three] = [0; 3].map(|at| watched.admit_now(at));
        at_once(
            &watched,
            move |it| it.fail(one, 0),
            |it| at_once(it, move |it| it.fail(two, 0), |it| it.fail(three, 0)),
        );
        assert_eq!(watched.state(0), State::Closed(3));
    });
}

#[test]
fn failures_at_once_open_it_once() {
    for threshold in [2, 3] {
        explore_with_few_preemptions(move || {
            let watched = Watched::new(CircuitBreaker::new(threshold), 1);
            let [one, two, three] = [0; 3].map(|at| watched.admit_now(at));
            at_once(
                &watched,
                move |it| it.fail(one, 0),
                |it| at_once(it, move |it| it.fail(two, 0), |it| it.fail(three, 0)),
            );
            assert_eq!(
                watched.state(0),
                State::Open(10),
                "the first cooldown, not a doubled one"
            );
            assert_eq!(watched.failure_count(0), threshold);
        });
    }
}

/// After the success the failure is the first in a row; before it, it is the second.
#[test]
fn a_success_ends_the_row_before_or_after_a_failure() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(2), 1);
        watched.record_failure(0);
        let (good, bad) = (watched.admit_now(0), watched.admit_now(0));
        at_once(&watched, move |it| it.succeed(good, 0), |it| it.fail(bad, 0));
        let state = watched.state(0);
        assert!([State::Closed(1), State::Open(10)].contains(&state), "{state:?}");
    });
}

#[test]
fn results_from_before_a_reset_move_nothing() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        let before = watched.admit_now(0);
        at_once(&watched, Watched::reset, |it| it.fail(before, 0));
        assert_eq!(watched.state(0), State::Closed(0));
        watched.record_success(0);
        assert_eq!(watched.state(0), State::Closed(0));
    });
}
