//! Every transition is returned once, to one of the threads that raced for it.

use super::{Watched, at_once, explore};
use crate::breaker::CircuitBreaker;
use crate::breaker::packed::State;
use crate::breaker::transition::{BreakerCause, Transition};
use crate::clock::Reading;

fn transition(from: State, to: State, cause: BreakerCause, failures: u32) -> Transition {
    Transition {
        from,
        to,
        cause,
        failures,
        failed_probes: 0,
    }
}

#[test]
fn failures_that_race_to_open_it() {
    let opened = transition(State::Closed, State::Open, BreakerCause::ThresholdReached, 2);
    for breaker in [|| CircuitBreaker::new(2), || CircuitBreaker::windowed(2, 1.0)] {
        explore(move || {
            let watched = Watched::new(breaker(), 1);
            let (one, other) = (watched.admit_now(0), watched.admit_now(0));
            at_once(&watched, move |it| it.fail(one, 0), |it| it.fail(other, 0));
            assert_eq!(watched.take_transitions(), [opened]);
        });
    }
}

/// Both threads may find the threshold reached; the failures are those that the one that opened it had counted.
#[test]
fn failures_of_which_each_would_open_it() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        let (one, other) = (watched.admit_now(0), watched.admit_now(0));
        at_once(&watched, move |it| it.fail(one, 0), |it| it.fail(other, 0));
        let transitions = watched.take_transitions();
        let opened_after = |failures| {
            [transition(
                State::Closed,
                State::Open,
                BreakerCause::ThresholdReached,
                failures,
            )]
        };
        assert!(
            transitions == opened_after(1) || transitions == opened_after(2),
            "{transitions:?}"
        );
    });
}

#[test]
fn attempts_that_race_to_probe_it() {
    explore(|| {
        let watched = Watched::opened(1);
        watched.take_transitions();
        at_once(&watched, |it| it.admit(10), |it| it.admit(10));
        let half_opened = transition(State::Open, State::HalfOpen, BreakerCause::CooldownOver, 1);
        assert_eq!(watched.take_transitions(), [half_opened]);
    });
}

#[test]
fn attempts_that_race_for_a_lost_slot() {
    explore(|| {
        let watched = Watched::opened(1);
        watched.admit_now(10);
        watched.take_transitions();
        at_once(&watched, |it| it.admit(20), |it| it.admit(20));
        let begun_again = transition(State::HalfOpen, State::HalfOpen, BreakerCause::ProbeSlotsLost, 1);
        assert_eq!(watched.take_transitions(), [begun_again]);
    });
}

#[test]
fn probes_that_race_to_close_it() {
    explore(|| {
        let watched = Watched::opened(2);
        let (one, other) = (watched.admit_now(10), watched.admit_now(10));
        watched.take_transitions();
        at_once(&watched, move |it| it.succeed(one, 10), |it| it.succeed(other, 10));
        let closed = transition(State::HalfOpen, State::Closed, BreakerCause::ProbesSucceeded, 1);
        assert_eq!(watched.take_transitions(), [closed]);
    });
}

#[test]
fn a_probe_and_a_success_by_hand_that_race_to_close_it() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        watched.take_transitions();
        at_once(&watched, move |it| it.succeed(probe, 10), |it| it.record_success(10));
        let transitions = watched.take_transitions();
        let closed_by = |cause| [transition(State::HalfOpen, State::Closed, cause, 1)];
        assert!(
            transitions == closed_by(BreakerCause::ProbesSucceeded)
                || transitions == closed_by(BreakerCause::RecordedByHand),
            "{transitions:?}"
        );
    });
}

/// In one order the reset finds the breaker closed, in the other one forced open.
#[test]
fn a_reset_beside_a_forced_opening() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        at_once(&watched, Watched::reset, |it| it.force_open());
        let forced = transition(State::Closed, State::ForcedOpen, BreakerCause::ForcedOpen, 0);
        let reset = transition(State::ForcedOpen, State::Closed, BreakerCause::Reset, 0);
        let transitions = watched.take_transitions();
        assert!(transitions.contains(&forced), "{transitions:?}");
        let is_closed = watched.state(0) == super::State::Closed(0);
        assert_eq!(transitions.contains(&reset), is_closed, "{transitions:?}");
        assert_eq!(transitions.len(), 1 + usize::from(is_closed), "{transitions:?}");
    });
}

#[test]
fn a_cooldown_that_begins_again_by_a_clock_that_is_behind_is_not_a_transition() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        watched.record_failure(1_000);
        watched.take_transitions();
        at_once(&watched, |it| it.admit(0), |it| it.admit(2));
        assert_eq!(watched.take_transitions(), []);
        let end = 10
            + if watched.state(2) == super::State::Open(10) {
                2
            } else {
                0
            };
        assert!(watched.admit(end - 1).is_none(), "the cooldown is over early");
        assert!(watched.admit_now(end).is_probe());
    });
}

/// By the clock that is ahead the cooldown is over, begun again or not. Whoever asks for the probe slot first gets it.
#[test]
fn a_caller_by_each_of_two_clocks() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        watched.record_failure(1_000);
        let (behind, ahead) = at_once(&watched, |it| it.admit(0), |it| it.admit(1_010));
        assert!(behind.is_some() != ahead.is_some(), "admitted: {behind:?}, {ahead:?}");
    });
}

/// Its end takes two writes, and a failure by hand is counted in the same word as the second.
#[test]
fn a_failure_by_hand_while_it_opens_is_counted_and_shortens_no_cooldown() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        let record_failure = |it: &Watched| {
            it.log(it.machine.record_failure(|| Reading::with_nanos(0, 900_000)));
        };
        at_once(&watched, record_failure, |it| record_failure(it));
        let state_at = |nanos| watched.machine.state_at(|| Reading::with_nanos(10, nanos)).0;
        assert_eq!((state_at(899_999), state_at(900_000)), (State::Open, State::HalfOpen));
        assert_eq!(watched.take_transitions().len(), 1);
        assert!([1, 2].contains(&watched.failure_count(0)));
    });
}
