//! Counting and judging in a window.

use loom::sync::Arc;

use super::{COOLDOWN, State, Watched, at_once, explore, explore_with_few_preemptions};
use crate::breaker::CircuitBreaker;
use crate::breaker::machine::Admission;
use crate::clock::Reading;

fn windowed(window: u32, failures: u32) -> Arc<Watched> {
    Watched::new(
        CircuitBreaker::windowed(window, f64::from(failures) / f64::from(window)),
        1,
    )
}

#[test]
fn results_that_fill_a_window_at_once_are_judged_together() {
    explore(|| {
        let watched = windowed(2, 2);
        let (one, other) = (watched.admit_now(0), watched.admit_now(0));
        at_once(&watched, move |it| it.fail(one, 0), |it| it.fail(other, 0));
        assert_eq!(watched.state(0), State::Open(10));
    });
    explore(|| {
        let watched = windowed(2, 1);
        let (good, bad) = (watched.admit_now(0), watched.admit_now(0));
        at_once(&watched, move |it| it.succeed(good, 0), |it| it.fail(bad, 0));
        assert_eq!(
            watched.state(0),
            State::Open(10),
            "judged at the success if that is the last"
        );
    });
    explore_with_few_preemptions(|| {
        let watched = windowed(3, 3);
        let [one, two, three] = [0; 3].map(|at| watched.admit_now(at));
        at_once(
            &watched,
            move |it| it.fail(one, 0),
            |it| at_once(it, move |it| it.fail(two, 0), |it| it.fail(three, 0)),
        );
        assert_eq!(watched.state(0), State::Open(10));
    });
}

#[test]
fn a_window_is_not_judged_by_what_it_held_before_a_reset() {
    explore(|| {
        let watched = windowed(2, 1);
        (0..2).for_each(|at| watched.record_failure(at));
        assert_eq!(watched.state(1), State::Open(10));
        watched.reset();
        at_once(&watched, |it| it.record_success(1), |it| it.record_success(1));
        assert_eq!(watched.state(1), State::Closed(0));
    });
}

#[test]
fn no_result_is_lost_in_a_full_window() {
    for (failures, expected) in [(3, State::Closed(2)), (2, State::Open(10))] {
        explore(move || {
            let watched = windowed(3, failures);
            (0..3).for_each(|at| watched.record_success(at));
            let (one, other) = (watched.admit_now(0), watched.admit_now(0));
            at_once(&watched, move |it| it.fail(one, 0), |it| it.fail(other, 0));
            assert_eq!(watched.state(0), expected);
        });
    }
}

#[test]
fn results_from_before_a_reset_move_nothing() {
    explore(|| {
        let watched = windowed(1, 1);
        let before = watched.admit_now(0);
        at_once(&watched, Watched::reset, |it| it.fail(before, 0));
        assert_eq!(watched.state(0), State::Closed(0));
        watched.record_success(0);
        assert_eq!(watched.state(0), State::Closed(0));
    });
}

#[test]
fn a_result_held_up_over_a_reset_stays_out_of_the_new_window() {
    explore(|| {
        let watched = windowed(1, 1);
        let before = watched.admit_now(0);
        at_once(
            &watched,
            move |it| it.fail(before, 0),
            |it| {
                it.reset();
                it.record_success(0);
            },
        );
        assert_eq!(watched.state(0), State::Closed(0));
    });
}

/// Both orders leave a failure as the latest result or open the breaker, so that it is open after one more.
#[test]
fn results_at_once_are_judged_one_after_the_other() {
    explore(|| {
        let watched = windowed(2, 2);
        watched.record_success(0);
        watched.record_failure(0);
        let (good, bad) = (watched.admit_now(0), watched.admit_now(0));
        at_once(&watched, move |it| it.fail(bad, 0), |it| it.succeed(good, 0));
        watched.record_failure(0);
        assert!(matches!(watched.state(0), State::Open(_)), "{:?}", watched.state(0));
    });
}

#[test]
fn a_failure_that_fills_a_window_of_one_opens_it_whatever_follows() {
    explore(|| {
        let watched = windowed(1, 1);
        let (good, bad) = (watched.admit_now(0), watched.admit_now(0));
        at_once(&watched, move |it| it.fail(bad, 0), |it| it.succeed(good, 0));
        assert_eq!(watched.state(0), State::Open(10));
    });
}

/// A window as a plain list would be judged.
#[derive(Debug, Clone, Copy)]
struct Rules {
    window: usize,
    failures: usize,
}

impl Rules {
    /// Returns every window of one to three results, with every list of earlier results that leaves the breaker closed:
    /// while the window fills and when it is full, and with either half next.
    fn all_with_results_before() -> Vec<(Rules, Vec<bool>)> {
        let all = (1..=3).flat_map(|window| (1..=window).map(move |failures| Rules { window, failures }));
        let with_results = all.flat_map(|rules| {
            let lists = (0..=rules.window + 1).flat_map(lists_of);
            lists.map(move |results| (rules, results))
        });
        with_results
            .filter(|(rules, results)| matches!(rules.state_after(results), State::Closed(_)))
            .collect()
    }

    fn breaker(self) -> Arc<Watched> {
        windowed(self.window.try_into().unwrap(), self.failures.try_into().unwrap())
    }

    fn state_after(self, results: &[bool]) -> State {
        let failures_at = |end: usize| {
            let latest = &results[end.saturating_sub(self.window)..end];
            latest.iter().filter(|failed| **failed).count()
        };
        if (self.window..=results.len()).any(|end| failures_at(end) >= self.failures) {
            State::Open(COOLDOWN.into())
        } else {
            State::Closed(failures_at(results.len()).try_into().unwrap())
        }
    }

    /// Returns the states while successes push all results out again: they show which results these are, and in which
    /// order.
    fn states_from(self, results: &[bool]) -> Vec<State> {
        let mut results = results.to_vec();
        let mut states = vec![self.state_after(&results)];
        for _ in 0..self.window {
            results.push(false);
            states.push(self.state_after(&results));
        }
        states
    }

    /// Does what [`states_from`](Self::states_from) does, with the breaker itself.
    fn states_of(self, watched: &Watched) -> Vec<State> {
        let mut states = vec![watched.state(0)];
        for _ in 0..self.window {
            record(watched, false);
            states.push(watched.state(0));
        }
        states
    }
}

fn lists_of(length: usize) -> impl Iterator<Item = Vec<bool>> {
    (0..1_u32 << length).map(move |bits| (0..length).map(|bit| bits >> bit & 1 == 1).collect())
}

fn record(watched: &Watched, failed: bool) {
    if let Some(admission) = watched.admit(0) {
        resolve(watched, admission, failed);
    }
}

/// Without the check of live admissions, which concerns probes: it would multiply the schedules.
fn resolve(watched: &Watched, admission: Admission, failed: bool) {
    if failed {
        watched.log(watched.machine.fail(admission, || Reading::ZERO));
    } else {
        watched.log(watched.machine.succeed(admission, || Reading::ZERO));
    }
}

fn one_of(expected: &[Vec<State>], states: &[State]) {
    assert!(
        expected.iter().any(|order| order == states),
        "{states:?}, not one of {expected:?}"
    );
}

#[test]
fn two_results_at_once_are_as_one_after_the_other() {
    for (rules, before) in Rules::all_with_results_before() {
        let after = |order: [bool; 2]| rules.states_from(&[&before[..], &order].concat());
        let expected = [[true, false], [false, true]].map(after);
        explore(move || {
            let watched = rules.breaker();
            before.iter().for_each(|failed| record(&watched, *failed));
            let (good, bad) = (watched.admit_now(0), watched.admit_now(0));
            at_once(
                &watched,
                move |it| resolve(it, bad, true),
                |it| resolve(it, good, false),
            );
            one_of(&expected, &rules.states_of(&watched));
        });
    }
}

/// Three at once, so that one of them can be held up while the others put a result into each half.
#[test]
fn three_results_at_once_are_as_one_after_the_other() {
    for (failures, recorded) in [(2, 0), (3, 1), (2, 2), (3, 3), (3, 4)] {
        let rules = Rules { window: 3, failures };
        let before = vec![false; recorded];
        let after = |order: [bool; 3]| rules.states_from(&[&before[..], &order].concat());
        let expected = [[true, true, false], [true, false, true], [false, true, true]].map(after);
        explore_with_few_preemptions(move || {
            let watched = rules.breaker();
            before.iter().for_each(|failed| record(&watched, *failed));
            let [one, two, three] = [0; 3].map(|at| watched.admit_now(at));
            at_once(
                &watched,
                move |it| resolve(it, one, true),
                |it| at_once(it, move |it| resolve(it, two, true), |it| resolve(it, three, false)),
            );
            one_of(&expected, &rules.states_of(&watched));
        });
    }
}

/// One is held up while the other writes to both halves and to the first one again.
#[test]
fn a_result_goes_between_those_of_another_thread() {
    for recorded in 0..=3 {
        let rules = Rules { window: 3, failures: 3 };
        let before = vec![false; recorded];
        let series = [true, false, true];
        let orders = (0..=series.len()).map(|position| {
            let (earlier, later) = series.split_at(position);
            rules.states_from(&[&before[..], earlier, &[true], later].concat())
        });
        let expected: Vec<_> = orders.collect();
        explore(move || {
            let watched = rules.breaker();
            before.iter().for_each(|failed| record(&watched, *failed));
            let one = watched.admit_now(0);
            let others = series.map(|failed| (watched.admit_now(0), failed));
            at_once(
                &watched,
                move |it| resolve(it, one, true),
                |it| {
                    others
                        .iter()
                        .for_each(|(admission, failed)| resolve(it, *admission, *failed))
                },
            );
            one_of(&expected, &rules.states_of(&watched));
        });
    }
}

/// The window holds one failure or none; never two, as if the halves were read at different moments.
#[test]
fn the_failures_counted_were_in_the_window_at_one_moment() {
    explore(|| {
        let watched = windowed(2, 2);
        record(&watched, true);
        record(&watched, false);
        let (counted, ()) = at_once(
            &watched,
            |it| it.failure_count(0),
            |it| [false, true].into_iter().for_each(|failed| record(it, failed)),
        );
        assert!(counted <= 1, "{counted}");
    });
}

/// Whatever the halves held in the generation before and in its own, and whichever half was next.
#[test]
fn a_result_held_up_over_a_reset_is_none_of_the_new_ones() {
    let rules = Rules { window: 2, failures: 2 };
    for earlier in 0..=2 {
        for before in 0..=2 {
            for new in lists_of(2) {
                let expected = rules.states_from(&new);
                explore(move || {
                    let watched = rules.breaker();
                    (0..earlier).for_each(|_| record(&watched, false));
                    watched.reset();
                    (0..before).for_each(|_| record(&watched, false));
                    let late = watched.admit_now(0);
                    at_once(
                        &watched,
                        move |it| resolve(it, late, true),
                        |it| {
                            it.reset();
                            new.iter().for_each(|failed| record(it, *failed));
                        },
                    );
                    assert_eq!(rules.states_of(&watched), expected);
                });
            }
        }
    }
}

#[test]
fn a_result_held_up_over_a_reset_is_not_among_two_new_ones_at_once() {
    let rules = Rules { window: 2, failures: 2 };
    let expected = [[true, false], [false, true]].map(|order| rules.states_from(&order));
    for before in 0..=1 {
        let expected = expected.clone();
        explore_with_few_preemptions(move || {
            let watched = rules.breaker();
            (0..before).for_each(|_| record(&watched, false));
            let late = watched.admit_now(0);
            at_once(
                &watched,
                move |it| resolve(it, late, true),
                |it| {
                    it.reset();
                    at_once(it, |it| record(it, true), |it| record(it, false))
                },
            );
            one_of(&expected, &rules.states_of(&watched));
        });
    }
}

#[test]
fn a_result_held_up_until_it_has_closed_again_stays_out_of_the_new_window() {
    explore(|| {
        let watched = windowed(1, 1);
        let late = watched.admit_now(0);
        at_once(
            &watched,
            move |it| resolve(it, late, true),
            |it| {
                it.record_failure(0);
                let probe = it.admit_now(10);
                it.succeed(probe, 10);
                it.record_success(10);
            },
        );
        assert_eq!(watched.state(10), State::Closed(0));
    });
}
