//! What does a replica do about the breakers that take part?

use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, fleet};
use tokio::time::Instant;

use super::{PULSE, Replica};
use crate::followed::Breaker;
use crate::store::{Found, Lease, Shared, Store, StoreError, Trip, millis};
use crate::watched::{Act, Local, Look};

/// The time between two looks at a breaker that is open for all.
const LOOK: Duration = Duration::from_millis(250);
/// The longest that one replica alone tries a tool: another one may after it, if this one is silent.
const LONGEST_PROBE: Duration = Duration::from_secs(60);
/// How much longer a lease lasts for the store than for who has it.
const MARGIN: Duration = Duration::from_millis(500);
/// The most that is done about one breaker at a time.
const MOST_ACTS: usize = 8;

impl<S: Store> Replica<S> {
    /// When the next breaker that is open for all is to be looked at: before it would let itself be tried.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let held = self.followed.iter().filter(|(_, member)| member.watched.is_held());
        let looks = held.map(|(_, member)| LOOK.min(fleet::cooldown(&member.breaker) / 2));
        let soonest = looks.min()?.max(Duration::from_millis(1));
        Some(Instant::now() + soonest)
    }

    /// Does what is to be done about all of them. Keys may be many: those that are left when it is time for a pulse are the first of the
    /// next turn.
    pub(super) async fn follow_breakers(&mut self) {
        self.followed.meet(&self.view);
        for path in self.followed.in_turn() {
            if !self.is_told {
                return;
            }
            let is_late = || Instant::now() >= self.next_pulse;
            if self.followed.key(&path).is_some() && is_late() {
                return self.followed.goes_on_with(path);
            }
            self.follow(&path).await;
        }
    }

    /// Does what is to be done about one.
    async fn follow(&mut self, path: &str) {
        let Some(breaker) = self.followed.breaker(path) else {
            return;
        };
        for _ in 0..MOST_ACTS {
            let (Some(now), Some(watched)) = (self.view.now(), self.followed.watched(path)) else {
                return;
            };
            let look = Look {
                local: local(&breaker),
                is_wanted: watched.is_held() && fleet::is_wanted(&breaker),
                shared: self.view.shared(path),
                now,
            };
            let act = watched.look(look, millis(self.window));
            if act == Act::Nothing || !self.carry_out(act, &breaker, path, now).await {
                return;
            }
        }
    }

    /// Carries an act out. `false` if there is nothing to be done after it now.
    async fn carry_out(&mut self, act: Act, breaker: &Breaker, path: &str, now: u64) -> bool {
        match act {
            Act::Nothing => return false,
            Act::OpenFor(millis) => {
                fleet::open_for(breaker, Duration::from_millis(millis));
                return false;
            }
            Act::Try => fleet::open_for(breaker, Duration::ZERO),
            Act::Close => fleet::close(breaker),
            Act::Report => return self.report(act, path, breaker).await,
            Act::Withdraw => {
                let (store, name) = (Arc::clone(&self.store), self.name.clone());
                let withdrawn = self.ask(store.withdraw_trip(path, &name)).await;
                return self.told(act, path, withdrawn).is_some();
            }
            Act::TakeLease => return self.take_lease(act, path, breaker, now).await,
            Act::Settle { is_well } => {
                let open_for = (!is_well).then(|| cooldown_left(breaker));
                let found = Found {
                    tool: path.to_owned(),
                    epoch: self.epoch(path),
                    replica: self.name.clone(),
                    open_for,
                };
                let store = Arc::clone(&self.store);
                let settled = self.ask(store.settle(&found)).await;
                return self.learn(act, path, settled);
            }
        }
        true
    }

    fn epoch(&mut self, path: &str) -> u64 {
        self.followed.watched(path).map_or(0, |watched| watched.epoch())
    }

    pub(super) fn next_end_of_lease(&self) -> Option<Instant> {
        let now = self.view.now()?;
        let ends = self.followed.next_end_of_lease(now)?;
        Some(Instant::now() + Duration::from_millis(ends - now))
    }

    pub(super) fn end_leases(&mut self) {
        let Some(now) = self.view.now() else { return };
        for member in self.followed.members() {
            let ended = member.watched.ends_lease(local(&member.breaker), now);
            if let Some(Act::OpenFor(millis)) = ended {
                fleet::open_for(&member.breaker, Duration::from_millis(millis));
            }
        }
    }

    async fn report(&mut self, act: Act, path: &str, breaker: &Breaker) -> bool {
        let trip = Trip {
            tool: path.to_owned(),
            replica: self.name.clone(),
            window: self.window,
            cooldown: cooldown_left(breaker),
            quorum: self.quorum,
            most: breaker.most(),
        };
        let store = Arc::clone(&self.store);
        let shared = self.ask(store.report_trip(&trip)).await;
        self.learn(act, path, shared)
    }

    async fn take_lease(&mut self, act: Act, path: &str, breaker: &Breaker, now: u64) -> bool {
        let lasts = breaker.longest_attempt().min(LONGEST_PROBE) + PULSE;
        // By this replica's clock, which began before the store's: nobody else may try it while this one still does.
        let lease = Lease {
            tool: path.to_owned(),
            epoch: self.epoch(path),
            replica: self.name.clone(),
            lasts: lasts + MARGIN,
        };
        let store = Arc::clone(&self.store);
        let taken = self.ask(store.take_lease(&lease)).await;
        let Some(is_taken) = self.told(act, path, taken) else {
            return false;
        };
        if let Some(watched) = self.followed.watched(path) {
            watched.leased(is_taken.then(|| now + millis(lasts)));
        }
        is_taken
    }

    /// What the store has answered to an act; `None` if it has not.
    fn told<T>(&mut self, act: Act, path: &str, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                if let Some(watched) = self.followed.watched(path) {
                    watched.failed(act);
                }
                self.unanswered(&error);
                None
            }
        }
    }

    fn learn(&mut self, act: Act, path: &str, answer: Result<Shared, StoreError>) -> bool {
        let Some(shared) = self.told(act, path, answer) else {
            return false;
        };
        self.view.hear_of(path, shared);
        true
    }
}

fn local(breaker: &CircuitBreaker) -> Local {
    match breaker.state() {
        BreakerState::Closed => Local::Closed,
        BreakerState::Open { .. } => Local::Open,
        BreakerState::HalfOpen => Local::HalfOpen,
        BreakerState::ForcedOpen => Local::ForcedOpen,
    }
}

fn cooldown_left(breaker: &CircuitBreaker) -> Duration {
    match breaker.state() {
        BreakerState::Open { retry_after } => retry_after,
        _ => fleet::cooldown(breaker),
    }
}
