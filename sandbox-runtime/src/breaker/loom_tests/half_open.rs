//! Probes: which attempts are admitted, and whose result decides.

use super::{State, Watched, at_once, explore, explore_with_few_preemptions};
use crate::breaker::CircuitBreaker;

#[test]
fn two_attempts_at_once_do_not_both_get_the_only_slot() {
    explore(|| {
        let watched = Watched::opened(1);
        let (one, other) = at_once(&watched, |it| it.admit(10), |it| it.admit(10));
        assert!(one.is_some() != other.is_some(), "admitted: {one:?}, {other:?}");
    });
}

#[test]
fn two_of_three_attempts_at_once_get_the_two_slots() {
    explore_with_few_preemptions(|| {
        let watched = Watched::opened(2);
        let (one, (two, three)) = at_once(
            &watched,
            |it| it.admit(10),
            |it| at_once(it, |it| it.admit(10), |it| it.admit(10)),
        );
        let admitted = [one, two, three].into_iter().flatten().count();
        assert_eq!(admitted, 2);
    });
}

/// At different moments, so that the lease moves on while slots are taken.
#[test]
fn every_slot_comes_back_when_its_permit_does_and_more_if_they_were_too_few() {
    fn come_and_go(watched: &Watched, at: u64) -> bool {
        let admission = watched.admit(at);
        admission.inspect(|admission| watched.release(*admission)).is_some()
    }
    explore_with_few_preemptions(|| {
        let watched = Watched::opened(2);
        let (one, (two, three)) = at_once(
            &watched,
            |it| come_and_go(it, 10),
            |it| at_once(it, |it| come_and_go(it, 10), |it| come_and_go(it, 12)),
        );
        let slots = watched.free_slots(12);
        assert!([2, 4, 8].contains(&slots), "{slots} slots");
        assert!(slots > 2 || (one && two && three), "refused, and all are dropped");
    });
}

#[test]
fn a_probe_that_is_dropped_from_the_last_slot_doubles_the_slots_whoever_is_admitted_meanwhile() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        let (next, ()) = at_once(&watched, |it| it.admit(12), move |it| it.release(probe));
        assert_eq!(watched.free_slots(12), 2 - usize::from(next.is_some()));
    });
}

#[test]
fn two_probes_that_are_dropped_at_once_double_the_slots_once() {
    explore(|| {
        let watched = Watched::opened(2);
        let (one, other) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, move |it| it.release(one), move |it| it.release(other));
        assert_eq!(watched.free_slots(12), 4);
    });
}

#[test]
fn a_probe_that_is_dropped_while_another_one_fails_leaves_the_next_round_as_many_slots_as_ever() {
    explore(|| {
        let watched = Watched::opened(2);
        let (dropped, bad) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, move |it| it.release(dropped), move |it| it.fail(bad, 10));
        assert_eq!(watched.state(10), State::Open(20));
        assert_eq!(watched.free_slots(30), 2);
    });
}

#[test]
fn a_slot_is_free_again_or_not_yet_while_its_permit_is_dropped() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        let (next, ()) = at_once(&watched, |it| it.admit(12), |it| it.release(probe));
        if let Some(next) = next {
            watched.release(next);
        }
        watched.admit_now(12);
    });
}

#[test]
fn a_successful_probe_gives_its_slot_back_too() {
    explore(|| {
        let watched = Watched::opened(2);
        let (one, other) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, move |it| it.succeed(one, 12), |it| it.release(other));
        let second = watched.admit_now(12);
        let slots = 1 + watched.free_slots(12);
        assert!(
            [2, 4].contains(&slots),
            "{slots} slots: doubled if the other was dropped first"
        );
        watched.succeed(second, 12);
        assert_eq!(watched.state(12), State::Closed(0), "the second success closes it");
    });
}

#[test]
fn the_slot_of_a_silent_probe_is_given_away_once() {
    explore(|| {
        let watched = Watched::opened(1);
        let silent = watched.admit_now(10);
        assert_eq!(watched.admit(19), None);
        let (one, other) = at_once(&watched, |it| it.admit(20), |it| it.admit(20));
        assert!(one.is_some() != other.is_some(), "admitted: {one:?}, {other:?}");
        watched.succeed(silent, 20);
        assert_eq!(watched.state(20), State::HalfOpen, "the silent probe no longer counts");
        watched.succeed(one.or(other).unwrap(), 20);
        assert_eq!(watched.state(20), State::Closed(0));
    });
}

#[test]
fn a_slot_given_after_the_lease_ran_out_is_not_lost_at_once() {
    explore(|| {
        let watched = Watched::opened(2);
        watched.admit_now(10);
        let (one, other) = at_once(&watched, |it| it.admit(25), |it| it.admit(25));
        assert!(one.is_some() != other.is_some(), "admitted: {one:?}, {other:?}");
    });
}

#[test]
fn slots_are_kept_for_a_cooldown_from_the_latest_admission() {
    explore(|| {
        let watched = Watched::opened(3);
        watched.admit_now(10);
        at_once(&watched, |it| it.admit_now(12), |it| it.admit_now(14));
        assert_eq!(watched.admit(23), None);
        watched.admit_now(24);
    });
}

/// The success of a silent probe counts, or somebody else has its slot: never both.
#[test]
fn a_silent_probe_succeeds_before_or_after_its_slot_is_given_away() {
    explore(|| {
        let watched = Watched::opened(1);
        let silent = watched.admit_now(10);
        let (next, ()) = at_once(&watched, |it| it.admit_now(20), move |it| it.succeed(silent, 20));
        let given_away = next.is_probe() && next != silent;
        let expected = if given_away { State::HalfOpen } else { State::Closed(0) };
        assert_eq!(watched.state(20), expected);
    });
}

#[test]
fn a_silent_probe_fails_before_or_after_its_slot_is_given_away() {
    explore(|| {
        let watched = Watched::opened(1);
        let silent = watched.admit_now(10);
        let (next, ()) = at_once(&watched, |it| it.admit(20), move |it| it.fail(silent, 20));
        let expected = if next.is_some() {
            State::HalfOpen
        } else {
            State::Open(20)
        };
        assert_eq!(watched.state(20), expected);
    });
}

#[test]
fn a_dropped_probe_of_a_generation_that_is_over_frees_no_slot() {
    explore_with_few_preemptions(|| {
        let watched = Watched::opened(1);
        let silent = watched.admit_now(10);
        let (next, ((), third)) = at_once(
            &watched,
            |it| it.admit(20),
            move |it| at_once(it, move |it| it.release(silent), |it| it.admit(20)),
        );
        // Both, if it was dropped before its generation was over: its slot became two.
        let both = next == Some(silent) && third == Some(silent);
        assert!(
            both || next.is_some() != third.is_some(),
            "admitted: {next:?}, {third:?}"
        );
        assert_eq!(watched.admit(29), None);
        watched.admit_now(30);
    });
}

/// The second success closes the breaker and the failure opens it again: whichever is first decides.
#[test]
fn a_failing_and_a_succeeding_probe_end_in_one_state_or_the_other() {
    explore(|| {
        let watched = Watched::opened(2);
        let first = watched.admit_now(10);
        watched.succeed(first, 10);
        let (good, bad) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, move |it| it.succeed(good, 10), |it| it.fail(bad, 10));
        let state = watched.state(10);
        assert!([State::Closed(0), State::Open(20)].contains(&state), "{state:?}");
        assert!(watched.admit_now(30).is_probe() != (state == State::Closed(0)));
    });
}

#[test]
fn two_failing_probes_open_it_once() {
    explore(|| {
        let watched = Watched::opened(2);
        let (one, other) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, move |it| it.fail(one, 10), |it| it.fail(other, 10));
        assert_eq!(watched.state(10), State::Open(20), "doubled once");
    });
}

#[test]
fn results_from_before_it_opened_move_nothing_in_half_open() {
    explore_with_few_preemptions(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        let (good, bad) = (watched.admit_now(0), watched.admit_now(0));
        watched.record_failure(0);
        let (probe, _) = at_once(
            &watched,
            |it| it.admit_now(10),
            move |it| at_once(it, move |it| it.succeed(good, 10), |it| it.fail(bad, 10)),
        );
        assert_eq!(watched.state(10), State::HalfOpen);
        watched.succeed(probe, 10);
        assert_eq!(watched.state(10), State::Closed(0));
    });
}
