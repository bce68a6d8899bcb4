//! Results without a permit, resets and forced opening, while permits are resolved.

use super::{State, Watched, at_once, explore, explore_with_few_preemptions};
use crate::breaker::CircuitBreaker;

#[test]
fn a_reset_wins_over_probes_under_way() {
    explore_with_few_preemptions(|| {
        let watched = Watched::opened(2);
        let (good, bad) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, Watched::reset, move |it| {
            at_once(it, move |it| it.succeed(good, 10), |it| it.fail(bad, 10))
        });
        assert_eq!(watched.state(10), State::Closed(0));
        watched.record_failure(10);
        assert_eq!(watched.state(10), State::Open(10), "the cooldown has not grown");
    });
}

#[test]
fn forced_open_wins_over_all_that_is_under_way() {
    explore_with_few_preemptions(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        at_once(&watched, Watched::force_open, move |it| {
            at_once(it, move |it| it.succeed(probe, 10), |it| it.admit(20))
        });
        assert_eq!(watched.state(20), State::ForcedOpen);
        assert_eq!(watched.admit(1_000), None);
    });
}

/// In both orders: the success closes, and the probe's failure is of a generation that is over; or the success closes
/// what the failure opened.
#[test]
fn a_success_by_hand_closes_although_a_probe_fails() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        at_once(&watched, |it| it.record_success(10), |it| it.fail(probe, 10));
        assert_eq!(watched.state(10), State::Closed(0));
    });
}

#[test]
fn a_success_by_hand_closes_although_a_probe_is_being_admitted() {
    explore(|| {
        let watched = Watched::opened(1);
        at_once(&watched, |it| it.record_success(10), |it| it.admit_now(10));
        assert_eq!(watched.state(10), State::Closed(0));
    });
}

/// The failure opens it again before the attempt, which is then refused, or after it.
#[test]
fn a_failure_by_hand_opens_although_a_probe_is_being_admitted() {
    explore(|| {
        let watched = Watched::opened(1);
        at_once(&watched, |it| it.record_failure(10), |it| it.admit(10));
        assert_eq!(watched.state(10), State::Open(20));
    });
}

#[test]
fn a_failure_by_hand_counts_before_or_after_a_probe_closes() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(2), 1);
        watched.record_failure(0);
        watched.record_failure(0);
        let probe = watched.admit_now(10);
        at_once(&watched, |it| it.record_failure(10), |it| it.succeed(probe, 10));
        let state = watched.state(10);
        assert!([State::Open(20), State::Closed(1)].contains(&state), "{state:?}");
    });
}
