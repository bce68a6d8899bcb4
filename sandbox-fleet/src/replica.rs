//! [`Replica`]: the task in the background by which a process tells the store what it knows, and learns what others know.

mod breakers;
mod rates;
mod settings;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::fleet;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use self::rates::Claims;
use self::settings::Applied;
use crate::followed::Followed;
use crate::instruments::Happened;
use crate::status::Board;
use crate::store::{Beat, Quorum, Store, StoreError};
use crate::view::View;

/// The time between two pulses: what a lost message would have told is known after it.
const PULSE: Duration = Duration::from_secs(1);
/// The longest that the store may take for a step.
const STEP: Duration = Duration::from_secs(1);

pub(crate) struct Replica<S> {
    pub(crate) store: Arc<S>,
    pub(crate) name: String,
    pub(crate) quorum: Quorum,
    pub(crate) window: Duration,
    pub(crate) board: Board,
    view: View,
    followed: Followed,
    claims: Claims,
    applied: Applied,
    /// Whether the store has answered when it was last asked.
    is_told: bool,
    messages: Option<mpsc::Receiver<()>>,
    next_pulse: Instant,
    /// How often the store has not answered since it last did.
    failures: u32,
}

impl<S: Store> Replica<S> {
    pub(crate) fn new(
        store: Arc<S>,
        name: String,
        quorum: Quorum,
        window: Duration,
        followed: Followed,
        board: Board,
    ) -> Self {
        Replica {
            store,
            name,
            quorum,
            window,
            board,
            view: View::default(),
            followed,
            claims: Claims::default(),
            applied: Applied::default(),
            is_told: true,
            messages: None,
            next_pulse: Instant::now(),
            failures: 0,
        }
    }

    /// Tells and learns until it is to leave.
    pub(crate) async fn run(mut self, mut leave: oneshot::Receiver<()>) {
        loop {
            // Before the turn: what changes during it is not missed.
            let changed = fleet::changed();
            self.turn().await;
            let next = self.next_turn();
            tokio::select! {
                biased;
                _ = &mut leave => break,
                () = changed => {}
                message = next_message(&mut self.messages) => self.on_message(message),
                () = sleep_until(next) => {}
            }
        }
        // If the store cannot be reached, it finds out by the missing heartbeats.
        let _ = timeout(STEP, self.give_back_rates()).await;
        let _ = timeout(STEP, self.store.leave(&self.name)).await;
    }

    fn on_message(&mut self, message: Option<()>) {
        match message {
            Some(()) => self.next_pulse = Instant::now(),
            None => self.messages = None,
        }
    }

    fn next_turn(&self) -> Instant {
        let others = [self.next_look(), self.next_claim().filter(|_| self.is_told)];
        others.into_iter().flatten().fold(self.next_pulse, Instant::min)
    }

    /// Does all that is to be done now.
    pub(crate) async fn turn(&mut self) {
        if Instant::now() >= self.next_pulse {
            self.pulse().await;
        }
        if self.is_told {
            self.follow_settings().await;
        }
        self.follow_breakers().await;
        self.follow_rates().await;
        self.end_leases();
        self.show();
    }

    async fn pulse(&mut self) {
        let store = Arc::clone(&self.store);
        if self.messages.is_none() {
            self.messages = self.ask(store.subscribe()).await.ok();
        }
        let beat = Beat {
            replica: self.name.clone(),
            says: self.says(),
        };
        match self.ask(store.pulse(&beat)).await {
            Ok(pulse) => {
                self.view.hear(pulse);
                self.answered();
                self.next_pulse = Instant::now() + PULSE;
            }
            Err(error) => self.unanswered(&error),
        }
    }

    fn answered(&mut self) {
        self.failures = 0;
        if !self.is_told {
            self.is_told = true;
            self.claims.store_is_back();
            self.board.count(Happened::Recovered);
            tracing::info!(replica = self.name, "the store answers again");
        }
    }

    /// Notes that the store has not answered, and asks it again soon: later and later, and not at the same time as other replicas.
    fn unanswered(&mut self, error: &StoreError) {
        self.failures += 1;
        // Its connection may have stayed with a server that another one has replaced, and nothing is told there any more.
        self.messages = None;
        let longest = Duration::from_millis(50 << self.failures.min(4));
        self.next_pulse = Instant::now() + longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        if self.is_told {
            self.is_told = false;
            self.board.count(Happened::Degraded);
            tracing::warn!(replica = self.name, %error, "the store does not answer; calls go on by what this replica knows");
        }
    }

    /// Asks the store, and does not wait for ever. Leases that are over in the meantime end on time.
    async fn ask<T>(&mut self, step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut step = pin!(timeout(STEP, step));
        loop {
            let ends = self.next_end_of_lease();
            tokio::select! {
                biased;
                answer = &mut step => {
                    return answer.unwrap_or_else(|_| Err(StoreError(format!("the store has not answered within {STEP:?}"))));
                }
                () = at(ends) => self.end_leases(),
            }
        }
    }

    fn show(&self) {
        self.board.show(
            &self.view,
            self.is_told,
            self.applied.version,
            self.applied.problem.as_deref(),
            &self.followed,
        );
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn next_message(messages: &mut Option<mpsc::Receiver<()>>) -> Option<()> {
    match messages {
        Some(messages) => messages.recv().await,
        None => std::future::pending().await,
    }
}
