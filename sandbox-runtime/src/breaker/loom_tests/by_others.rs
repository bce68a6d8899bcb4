//! The fleet opens and closes the breaker, while attempts are admitted and resolved and operators act.

use super::{State, Watched, at_once, explore, explore_with_few_preemptions};
use crate::breaker::CircuitBreaker;
use crate::breaker::packed;
use crate::breaker::transition::{BreakerCause, Transition};
use crate::clock::Reading;

/// Requires that the transitions, in some order, lead from one state to the other, each from where the one before it led.
fn assert_chain(transitions: Vec<Transition>, from: packed::State, to: packed::State) {
    fn is_chain(left: &[Transition], from: packed::State, to: packed::State) -> bool {
        let goes_on_by = |position: usize| {
            let mut others = left.to_vec();
            let next = others.swap_remove(position);
            next.from == from && is_chain(&others, next.to, to)
        };
        left.is_empty() && from == to || (0..left.len()).any(goes_on_by)
    }
    assert!(
        is_chain(&transitions, from, to),
        "no chain from {from:?} to {to:?}: {transitions:?}"
    );
}

fn causes(transitions: &[Transition]) -> Vec<BreakerCause> {
    transitions.iter().map(|transition| transition.cause).collect()
}

/// Whichever comes first, it is open for as long as others have said: what the success has closed, they open.
#[test]
fn it_is_opened_although_a_probe_succeeds() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        watched.take_transitions();
        at_once(&watched, |it| it.open_for(5, 10), |it| it.succeed(probe, 10));
        assert_eq!(watched.state(10), State::Open(5));
        let transitions = watched.take_transitions();
        assert_chain(transitions, packed::State::HalfOpen, packed::State::Open);
        assert_eq!(watched.free_slots(15), 1, "the next round has its slot");
    });
}

/// Whichever comes first, it opens once, and others say for how long.
#[test]
fn it_is_opened_once_although_a_probe_fails() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        watched.take_transitions();
        at_once(&watched, |it| it.open_for(1_000, 10), |it| it.fail(probe, 10));
        let longest = match *causes(&watched.take_transitions()) {
            [BreakerCause::ProbeFailed] => 20,
            [BreakerCause::Fleet] => 10,
            ref causes => panic!("it opened by {causes:?}"),
        };
        assert_eq!(
            watched.state(10),
            State::Open(longest),
            "one cooldown: doubled if the probe's failure counts"
        );
        assert_eq!(watched.free_slots(10 + u64::try_from(longest).unwrap()), 1);
    });
}

#[test]
fn a_slot_that_is_free_again_while_it_is_opened_is_not_one_of_the_next_round() {
    explore(|| {
        let watched = Watched::opened(2);
        let (dropped, _silent) = (watched.admit_now(10), watched.admit_now(10));
        at_once(&watched, |it| it.open_for(5, 10), move |it| it.release(dropped));
        assert_eq!(watched.state(10), State::Open(5));
        assert_eq!(watched.free_slots(15), 2);
    });
}

/// The attempt is refused, or it is a probe of a round that is over: its result does not count.
#[test]
fn an_attempt_that_is_admitted_while_it_is_opened_decides_nothing() {
    explore(|| {
        let watched = Watched::opened(1);
        watched.take_transitions();
        let (admission, ()) = at_once(&watched, |it| it.admit(10), |it| it.open_for(5, 10));
        if let Some(admission) = admission {
            watched.succeed(admission, 10);
        }
        assert_eq!(watched.state(10), State::Open(5));
        let transitions = watched.take_transitions();
        assert!([0, 2].contains(&transitions.len()), "{transitions:?}");
        assert_chain(transitions, packed::State::Open, packed::State::Open);
        assert_eq!(watched.free_slots(15), 1);
    });
}

/// Its cooldown is ended for the next attempt to be the probe: of two, one is.
#[test]
fn a_cooldown_that_is_ended_lets_one_attempt_probe() {
    explore_with_few_preemptions(|| {
        let watched = Watched::opened(1);
        watched.take_transitions();
        let ((), (one, other)) = at_once(
            &watched,
            |it| it.open_for(0, 5),
            |it| at_once(it, |it| it.admit(5), |it| it.admit(5)),
        );
        let admitted = usize::from(one.is_some()) + usize::from(other.is_some());
        assert_eq!(admitted + watched.free_slots(5), 1);
        assert_eq!(causes(&watched.take_transitions()), [BreakerCause::CooldownOver]);
    });
}

#[test]
fn results_from_before_it_is_opened_do_not_count() {
    for breaker in [|| CircuitBreaker::new(1), || CircuitBreaker::windowed(1, 1.0)] {
        explore(move || {
            let watched = Watched::new(breaker(), 1);
            let bad = watched.admit_now(0);
            at_once(&watched, |it| it.open_for(5, 0), move |it| it.fail(bad, 0));
            assert_eq!(watched.state(0), State::Open(5));
            assert_eq!(watched.failure_count(0), 1, "the threshold, and nothing on top");
            let transitions = watched.take_transitions();
            assert_eq!(transitions.len(), 1, "{transitions:?}");
        });
    }
}

/// Their ends take two writes each, so that the one that is set may have the nanoseconds of the other.
#[test]
fn of_two_that_open_it_one_sets_the_end_and_one_reports() {
    explore(|| {
        let watched = Watched::new(CircuitBreaker::new(1), 1);
        let open_for = |it: &Watched, lasts, nanos| {
            let now = || Reading::with_nanos(0, nanos);
            it.log(it.machine.open_for(super::Duration::from_millis(lasts), now));
        };
        at_once(&watched, move |it| open_for(it, 3, 100), |it| open_for(it, 7, 900));
        let state_at = |millis, nanos| watched.machine.state_at(|| Reading::with_nanos(millis, nanos)).0;
        let ends = [(3, 100), (3, 900), (7, 100), (7, 900)];
        let is_end = |&&(millis, nanos): &&(u64, u32)| {
            state_at(millis, nanos - 1) == packed::State::Open && state_at(millis, nanos) == packed::State::HalfOpen
        };
        assert_eq!(ends.iter().filter(is_end).count(), 1);
        assert_eq!(causes(&watched.take_transitions()), [BreakerCause::Fleet]);
    });
}

#[test]
fn a_failure_by_hand_is_counted_while_it_is_held_open() {
    explore(|| {
        let watched = Watched::opened(1);
        at_once(&watched, |it| it.open_for(7, 5), |it| it.record_failure(5));
        assert_eq!((watched.state(5), watched.failure_count(5)), (State::Open(7), 2));
    });
}

#[test]
fn it_is_opened_before_or_after_a_reset() {
    explore(|| {
        let watched = Watched::opened(1);
        watched.take_transitions();
        at_once(&watched, |it| it.open_for(5, 10), |it| it.reset());
        let is_closed = watched.state(10) == State::Closed(0);
        assert!(is_closed || watched.state(10) == State::Open(5));
        let last = if is_closed {
            packed::State::Closed
        } else {
            packed::State::Open
        };
        assert_chain(watched.take_transitions(), packed::State::Open, last);
    });
}

/// Whoever has forced it open alone closes it.
#[test]
fn forced_open_wins_over_a_fleet_that_opens_and_one_that_closes() {
    explore(|| {
        let watched = Watched::opened(1);
        watched.take_transitions();
        at_once(&watched, |it| it.close(10), |it| it.force_open());
        assert_eq!(watched.state(10), State::ForcedOpen);
        assert_chain(
            watched.take_transitions(),
            packed::State::Open,
            packed::State::ForcedOpen,
        );
    });
    explore(|| {
        let watched = Watched::opened(1);
        watched.take_transitions();
        at_once(&watched, |it| it.open_for(5, 10), |it| it.force_open());
        assert_eq!(watched.state(10), State::ForcedOpen);
        assert_eq!(causes(&watched.take_transitions()), [BreakerCause::ForcedOpen]);
    });
}

/// In both orders: its failure is of a generation that is over, or it opens what others close.
#[test]
fn it_is_closed_although_a_probe_fails() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        watched.take_transitions();
        at_once(&watched, |it| it.close(10), |it| it.fail(probe, 10));
        assert_eq!(watched.state(10), State::Closed(0));
        assert_chain(
            watched.take_transitions(),
            packed::State::HalfOpen,
            packed::State::Closed,
        );
        watched.record_failure(10);
        assert_eq!(watched.state(10), State::Open(10), "the cooldown has not grown");
    });
}

#[test]
fn it_is_closed_once_although_a_probe_succeeds() {
    explore(|| {
        let watched = Watched::opened(1);
        let probe = watched.admit_now(10);
        watched.take_transitions();
        at_once(&watched, |it| it.close(10), |it| it.succeed(probe, 10));
        assert_eq!(watched.state(10), State::Closed(0));
        let causes = causes(&watched.take_transitions());
        assert!(
            causes == [BreakerCause::Fleet] || causes == [BreakerCause::ProbesSucceeded],
            "{causes:?}"
        );
    });
}

/// The attempt is a probe of a round that is over, and does not count, or is one of the closed state, and does.
#[test]
fn it_is_closed_although_a_probe_is_being_admitted() {
    explore(|| {
        let watched = Watched::opened(1);
        let (admission, ()) = at_once(&watched, |it| it.admit_now(10), |it| it.close(10));
        assert_eq!(watched.state(10), State::Closed(0));
        watched.fail(admission, 10);
        let expected = match admission.is_probe() {
            true => State::Closed(0),
            false => State::Open(10),
        };
        assert_eq!(watched.state(10), expected);
    });
}
