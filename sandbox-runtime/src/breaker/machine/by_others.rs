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
