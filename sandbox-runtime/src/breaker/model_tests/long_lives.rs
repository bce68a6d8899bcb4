//! What a short schedule cannot reach, step by step.

use std::time::Duration;

use super::model::NEVER;
use crate::breaker::CircuitBreaker;
use crate::breaker::machine::{Admission, Machine};
use crate::breaker::packed::State;
use crate::breaker::transition::{BreakerCause, Transition};
use crate::clock::Reading;

/// A closed machine with a cooldown of one millisecond.
fn machine(breaker: CircuitBreaker) -> Machine {
    Machine::new(breaker.cooldown(Duration::from_millis(1)).machine.settings())
}

fn reset(machine: &Machine, times: u32) {
    for _ in 0..times {
        machine.reset(|| Reading::ZERO);
    }
}

fn record_failure(machine: &Machine, at: u64) -> u32 {
    machine.record_failure(|| Reading::at(at));
    machine.failure_count(|| Reading::at(at))
}

fn admit(machine: &Machine, at: u64) -> Option<Admission> {
    machine
        .admit(Duration::ZERO, || Reading::at(at), |_| false, |_| ())
        .ok()
}

/// The model compares every transition; this shows what they look like.
#[test]
fn a_life_with_every_cause() {
    let machine = machine(CircuitBreaker::new(2));
    let mut life = Vec::new();
    let admit = |at: u64, life: &mut Vec<Transition>| {
        let admission = machine.admit(Duration::ZERO, || Reading::at(at), |_| false, |made| life.push(made));
        admission.expect("the cooldown is over")
    };
    life.extend(machine.record_failure(|| Reading::at(0)));
    life.extend(machine.record_failure(|| Reading::at(0)));
    let probe = admit(1, &mut life);
    life.extend(machine.fail(probe, || Reading::at(1)));
    let _silent = admit(2, &mut life);
    let probe = admit(3, &mut life);
    life.extend(machine.succeed(probe, || Reading::at(3)));
    life.extend(machine.force_open(|| Reading::at(3)));
    life.extend(machine.force_open(|| Reading::at(3)));
    life.extend(machine.record_failure(|| Reading::at(3)));
    life.extend(machine.reset(|| Reading::at(3)));
    life.extend(machine.reset(|| Reading::at(3)));
    for _ in 0..3 {
        life.extend(machine.record_failure(|| Reading::at(4)));
    }
    life.extend(machine.record_success(|| Reading::at(4)));

    let transition = |from, to, cause, failures, failed_probes| Transition {
        from,
        to,
        cause,
        failures,
        failed_probes,
    };
    let expected = [
        transition(State::Closed, State::Open, BreakerCause::ThresholdReached, 2, 0),
        transition(State::Open, State::HalfOpen, BreakerCause::CooldownOver, 2, 0),
        transition(State::HalfOpen, State::Open, BreakerCause::ProbeFailed, 2, 1),
        transition(State::Open, State::HalfOpen, BreakerCause::CooldownOver, 2, 1),
        transition(State::HalfOpen, State::HalfOpen, BreakerCause::ProbeSlotsLost, 2, 1),
        transition(State::HalfOpen, State::Closed, BreakerCause::ProbesSucceeded, 2, 1),
        transition(State::Closed, State::ForcedOpen, BreakerCause::ForcedOpen, 0, 0),
        transition(State::ForcedOpen, State::Closed, BreakerCause::Reset, 1, 0),
        transition(State::Closed, State::Open, BreakerCause::ThresholdReached, 2, 0),
        transition(State::Open, State::Closed, BreakerCause::RecordedByHand, 3, 0),
    ];
    assert_eq!(life, expected);
}

/// Half of all generations: from here on, the shorter way round the ring leads from an old one to the current one backwards.
const HALF_THE_GENERATIONS: u32 = 1 << 16;

#[test]
fn many_resets_without_a_failure_do_not_blind_it() {
    let machine = machine(CircuitBreaker::new(2));
    reset(&machine, HALF_THE_GENERATIONS + 1);
    assert_eq!(record_failure(&machine, 0), 1);
    assert_eq!(record_failure(&machine, 0), 2);
    assert_eq!(machine.state_at(|| Reading::at(0)).0, State::Open);
}

#[test]
fn many_openings_by_hand_leave_it_admitting_probes() {
    let machine = Machine::new(CircuitBreaker::new(1).cooldown(Duration::ZERO).machine.settings());
    for _ in 0..HALF_THE_GENERATIONS + 2 {
        record_failure(&machine, 0);
    }
    assert!(admit(&machine, 0).is_some_and(Admission::is_probe));
}

#[test]
fn a_permit_dropped_many_transitions_later_frees_no_slot_of_others() {
    let machine = machine(CircuitBreaker::new(1));
    record_failure(&machine, 0);
    let old = admit(&machine, 1).expect("the cooldown is over");
    reset(&machine, HALF_THE_GENERATIONS + 1);
    record_failure(&machine, 1);
    admit(&machine, 2).expect("the cooldown is over");
    machine.release(old);
    assert_eq!(admit(&machine, 2), None, "the only slot is taken");
}

#[test]
fn each_batch_that_gives_up_doubles_the_slots_until_the_next_transition() {
    let machine = machine(CircuitBreaker::new(1));
    let batch = |at: u64| {
        std::iter::from_fn(|| admit(&machine, at))
            .take(1_000_000)
            .collect::<Vec<_>>()
    };
    for round in 0..3 {
        record_failure(&machine, round);
        for slots in (0..16).map(|doublings| 1 << doublings).chain([65_535; 3]) {
            let probes = batch(round + 1);
            assert_eq!(probes.len(), slots);
            probes.into_iter().for_each(|probe| machine.release(probe));
        }
        let probes = batch(round + 1);
        // Ends the round: a success closes it.
        machine.succeed(probes[0], || Reading::at(round + 1));
        assert_eq!(machine.state_at(|| Reading::at(round + 1)).0, State::Closed);
        // Of a generation that is over.
        probes.into_iter().for_each(|probe| machine.release(probe));
    }
}

#[test]
fn probes_dropped_one_by_one_double_the_slots_once() {
    let machine = machine(CircuitBreaker::new(1));
    record_failure(&machine, 0);
    for _ in 0..10 {
        machine.release(admit(&machine, 1).expect("a slot is free"));
    }
    let admitted = std::iter::from_fn(|| admit(&machine, 1)).count();
    assert_eq!(admitted, 2, "nobody was refused");
}

/// By a clock that is hours behind, silent probes keep their slots for their lease: of the longest limit, rounded up to a
/// power of two.
#[test]
fn a_lease_of_another_clock_lasts_no_longer_than_one_of_this_clock() {
    for (limits, lease) in [
        ([0, 0], 1),
        ([0, 1_000], 1_025),
        ([1_024, 3], 1_025),
        ([1_025, 1_025], 2_049),
    ] {
        let machine = machine(CircuitBreaker::new(1).probes(2));
        record_failure(&machine, 0);
        for limit in limits.map(Duration::from_millis) {
            let probe = machine.admit(limit, || Reading::at(7_200_000), |_| false, |_| ());
            assert!(probe.is_ok_and(Admission::is_probe));
        }
        let refused_at = |at| machine.refusal(|| Reading::at(at), |_| false).is_some();
        assert!(refused_at(10), "two slots, two probes");
        assert!(refused_at(10 + lease - 1), "{limits:?}");
        assert!(!refused_at(10 + lease), "{limits:?}");
    }
}

#[test]
fn as_many_probes_as_can_be_asked_for_have_a_slot_each() {
    let machine = machine(CircuitBreaker::new(1).probes(u32::MAX));
    record_failure(&machine, 0);
    let probes: Vec<Admission> = (0..u16::MAX).map_while(|_| admit(&machine, 1)).collect();
    assert_eq!(probes.len(), usize::from(u16::MAX));
    assert_eq!(admit(&machine, 1), None);
    for probe in probes {
        assert_eq!(machine.state_at(|| Reading::at(1)).0, State::HalfOpen);
        machine.succeed(probe, || Reading::at(1));
    }
    assert_eq!(machine.state_at(|| Reading::at(1)).0, State::Closed);
}

#[test]
fn the_longest_window_holds_64_results_and_no_more() {
    let machine = machine(CircuitBreaker::windowed(64, 1.0));
    machine.record_success(|| Reading::at(0));
    for failures in 1..=63 {
        assert_eq!(record_failure(&machine, 0), failures);
    }
    assert_eq!(
        machine.state_at(|| Reading::at(0)).0,
        State::Closed,
        "63 failures and the success"
    );
    record_failure(&machine, 0);
    assert_eq!(
        machine.state_at(|| Reading::at(0)).0,
        State::Open,
        "the success has left the window"
    );
}

#[test]
fn a_cooldown_grows_through_31_failed_probes_and_never_past_the_clock() {
    for (cooldown, grown) in [(1, 1 << 31), (1 << 10, NEVER)] {
        let growing = CircuitBreaker::new(1)
            .cooldown(Duration::from_millis(cooldown))
            .cooldown_max(Duration::MAX);
        let machine = Machine::new(growing.machine.settings());
        record_failure(&machine, 0);
        for _ in 0..40 {
            let (_, left) = machine.state_at(|| Reading::ZERO);
            let probe = machine
                .admit(
                    Duration::ZERO,
                    || Reading::at(u64::try_from(left.as_millis()).unwrap()),
                    |_| false,
                    |_| (),
                )
                .expect("the cooldown is over");
            machine.fail(probe, || Reading::ZERO);
        }
        assert_eq!(machine.state_at(|| Reading::ZERO).1, Duration::from_millis(grown));
    }
}
