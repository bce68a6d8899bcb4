//! What others do to the breaker: the replicas of the service, which agree on what they have found out.

use std::time::Duration;

use super::Machine;
use crate::breaker::packed::State;
use crate::breaker::settings::TripRule;
use crate::breaker::transition::{BreakerCause, Transition};
use crate::clock::{Reading, Tick};
use crate::sync::Word;

impl<W: Word> Machine<W> {
    /// Opens the breaker for so long, or sets for how much longer it is open, which is not a transition. At most for one
    /// cooldown: an end that lies further away is taken for that of another clock.
    ///
    /// Whoever has forced it open alone closes it, and one that never opens by itself does not by others either.
    pub(in crate::breaker) fn open_for(&self, lasts: Duration, now: impl Fn() -> Reading) -> Option<Transition> {
        if self.settings.trip_rule == TripRule::Disabled {
            return None;
        }
        loop {
            let (current, now) = (self.load_state(), now());
            let exponent = current.backoff_exponent();
            let lasts = Tick::rounded_up(lasts).min(self.settings.cooldown_at(exponent));
            match current.state() {
                State::ForcedOpen => return None,
                State::Open => {
                    if self.try_end_after(current, lasts, now) {
                        return None;
                    }
                }
                State::Closed | State::HalfOpen => {
                    let failures = self.failures_in(current, || now);
                    let transition = self.open(current, exponent, lasts, now, BreakerCause::Fleet, failures);
                    if transition.is_some() {
                        return transition;
                    }
                }
            }
        }
    }

    /// Closes the breaker, unless it is forced open. One that is closed already keeps its counts: they are of what it has found out
    /// itself since then.
    pub(in crate::breaker) fn close(&self, now: impl Fn() -> Reading) -> Option<Transition> {
        loop {
            let current = self.load_state();
            match current.state() {
                State::Closed | State::ForcedOpen => return None,
                State::Open | State::HalfOpen => {
                    let transition = self.try_close(current, BreakerCause::Fleet, &now);
                    if transition.is_some() {
                        return transition;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::CircuitBreaker;
    use crate::breaker::machine::Machine as AnyMachine;

    const COOLDOWN: u64 = 10;

    fn machine(breaker: CircuitBreaker) -> AnyMachine {
        AnyMachine::new(breaker.cooldown(Duration::from_millis(COOLDOWN)).machine.settings())
    }

    fn state_at(machine: &AnyMachine, millis: u64, nanos: u32) -> (State, Duration) {
        machine.state_at(|| Reading::with_nanos(millis, nanos))
    }

    fn open(millis: u64) -> (State, Duration) {
        (State::Open, Duration::from_millis(millis))
    }

    const TO_BE_TRIED: (State, Duration) = (State::HalfOpen, Duration::ZERO);

    /// By a clock that does not stand at a whole millisecond, when it is opened and when its end is set again.
    #[test]
    fn it_is_open_for_as_long_as_they_say_to_the_nanosecond() {
        let machine = machine(CircuitBreaker::new(1));
        let open_for = |lasts, millis, nanos| {
            machine.open_for(Duration::from_millis(lasts), || Reading::with_nanos(millis, nanos));
            assert_eq!(
                state_at(&machine, millis, nanos).1,
                Duration::from_millis(lasts),
                "shown at once"
            );
        };
        for (lasts, millis, nanos) in [(7, 0, 900_000), (5, 6, 100), (5, 8, 999_999), (0, 9, 5)] {
            open_for(lasts, millis, nanos);
            if lasts > 0 {
                assert_eq!(
                    state_at(&machine, millis + lasts, nanos - 1),
                    open(1),
                    "a nanosecond before"
                );
            }
            assert_eq!(state_at(&machine, millis + lasts, nanos), TO_BE_TRIED);
        }
    }

    /// Also if nobody looks at it in between.
    #[test]
    fn nobody_keeps_it_open_for_longer_than_one_cooldown() {
        let machine = machine(CircuitBreaker::new(1));
        for begins in [0, 5] {
            machine.open_for(Duration::MAX, || Reading::at(begins));
            assert_eq!(state_at(&machine, begins + COOLDOWN - 1, 0), open(1));
            assert_eq!(state_at(&machine, begins + COOLDOWN, 0), TO_BE_TRIED);
        }
    }

    #[test]
    fn whoever_chose_that_it_never_opens_or_never_closes_is_not_overruled() {
        let now = || Reading::at(0);
        for (breaker, state) in [
            (CircuitBreaker::disabled(), State::Closed),
            (CircuitBreaker::new(0), State::ForcedOpen),
        ] {
            let machine = machine(breaker);
            assert_eq!(machine.open_for(Duration::MAX, now), None);
            assert_eq!(machine.close(now), None);
            assert_eq!(state_at(&machine, 0, 0).0, state);
        }
    }

    /// It may have closed by its own probe and counted since: that is later knowledge than what others tell.
    #[test]
    fn a_closed_one_keeps_its_counts_when_others_close_it() {
        let (machine, now) = (machine(CircuitBreaker::new(3)), || Reading::at(0));
        machine.record_failure(now);
        assert_eq!(machine.close(now), None);
        assert_eq!(machine.failure_count(now), 1);
    }
}
