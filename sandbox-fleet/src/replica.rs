//! [`Replica`]: the task in the background by which a process tells the store what it knows, and learns what others know.

mod rates;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, ToolHandle, fleet};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use self::rates::Claims;
use crate::instruments::Happened;
use crate::settings::{Says, Settings};
use crate::status::Board;
use crate::store::{Beat, Found, Lease, Quorum, Shared, Store, StoreError, Trip, Versioned, millis};
use crate::tools::members;
use crate::view::View;
use crate::watched::{Act, Local, Look, Watched};

/// The time between two pulses: what a lost message would have told is known after it.
const PULSE: Duration = Duration::from_secs(1);
/// The longest that the store may take for a step.
const STEP: Duration = Duration::from_secs(1);
/// The time between two looks at a breaker that is open for all.
const LOOK: Duration = Duration::from_millis(250);
/// The longest that one replica alone tries a tool: another one may after it, if this one is silent.
const LONGEST_PROBE: Duration = Duration::from_secs(60);
/// How much longer a lease lasts for the store than for who has it.
const MARGIN: Duration = Duration::from_millis(500);
/// The most that is done about one breaker at a time.
const MOST_ACTS: usize = 8;

pub(crate) struct Replica<S> {
    pub(crate) store: Arc<S>,
    pub(crate) name: String,
    pub(crate) quorum: Quorum,
    pub(crate) window: Duration,
    pub(crate) board: Board,
    view: View,
    watched: HashMap<String, Watched>,
    claims: Claims,
    applied: Applied,
    /// Why those of the store are not in force, if they are not.
    problem: Option<String>,
    /// Whether the store has answered when it was last asked.
    is_told: bool,
    messages: Option<mpsc::Receiver<()>>,
    next_pulse: Instant,
    /// How often the store has not answered since it last did.
    failures: u32,
}

/// The settings in force here.
#[derive(Debug, Default)]
struct Applied {
    settings: Settings,
    version: u64,
    /// That of the store when they were read; 0 if they were given back to it since then.
    stamp: u64,
}

impl<S: Store> Replica<S> {
    pub(crate) fn new(store: Arc<S>, name: String, quorum: Quorum, window: Duration, board: Board) -> Self {
        Replica {
            store,
            name,
            quorum,
            window,
            board,
            view: View::default(),
            watched: HashMap::new(),
            claims: Claims::default(),
            applied: Applied::default(),
            problem: None,
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
        let is_held = |path: &String| self.watched.get(path).is_some_and(Watched::is_held);
        let held = members().into_iter().filter(|(path, ..)| is_held(path));
        // Before the breaker would let itself be tried.
        let held = held.map(|(.., breaker)| LOOK.min(fleet::cooldown(breaker) / 2).max(Duration::from_millis(1)));
        let next_look = held.min().map(|until| Instant::now() + until);
        let others = [next_look, self.next_claim().filter(|_| self.is_told)];
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
        for (path, tool, breaker) in members() {
            if self.is_told {
                self.follow(&path, tool, breaker).await;
            }
        }
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

    /// Has the settings of the service in force here.
    async fn follow_settings(&mut self) {
        let (version, stamp) = self.view.settings;
        if (version, stamp) == (self.applied.version, self.applied.stamp) {
            return;
        }
        let store = Arc::clone(&self.store);
        let Ok(found) = self.ask(store.settings()).await else {
            return;
        };
        let Some(now) = self.view.now() else { return };
        if found.version < self.applied.version {
            return self.give_back(&found).await;
        }
        match Settings::read(&found) {
            Ok(settings) => {
                let applied = settings.apply_after(&self.applied.settings, now);
                self.problem = applied.err().map(|error| error.to_string());
                self.applied.settings = settings;
            }
            Err(error) => self.problem = Some(error.0),
        }
        // Of what was told before they were read: if they have changed in between, they are read once more.
        (self.applied.version, self.applied.stamp) = (found.version, stamp);
        if let Some(problem) = &self.problem {
            tracing::error!(
                replica = self.name,
                problem,
                "settings of the service are not in force here"
            );
        }
    }

    /// The store has lost settings: it is an old copy, or was emptied. It gets back those that were in force, unless others are there by
    /// now.
    async fn give_back(&mut self, found: &Versioned) {
        let Ok(text) = self.applied.settings.written() else {
            return;
        };
        let version = self.applied.version + 1;
        let given = Versioned { version, text };
        let store = Arc::clone(&self.store);
        if self.ask(store.put_settings(found.version, &given)).await == Ok(true) {
            (self.applied.version, self.applied.stamp) = (version, 0);
            self.next_pulse = Instant::now();
            tracing::warn!(
                replica = self.name,
                version,
                "the store had lost settings, and has them again"
            );
        }
    }

    /// Does what is to be done about one breaker.
    async fn follow(&mut self, path: &str, tool: ToolHandle, breaker: &CircuitBreaker) {
        for _ in 0..MOST_ACTS {
            let Some(now) = self.view.now() else { return };
            let watched = self.watched.entry(path.to_owned()).or_default();
            let look = Look {
                local: local(breaker),
                is_wanted: watched.is_held() && fleet::is_wanted(breaker),
                shared: self.view.shared(path),
                now,
            };
            let act = watched.look(look, millis(self.window));
            if act == Act::Nothing || !self.carry_out(act, tool, breaker, path, now).await {
                return;
            }
        }
    }

    /// Carries an act out. `false` if there is nothing to be done after it now.
    async fn carry_out(&mut self, act: Act, tool: ToolHandle, breaker: &CircuitBreaker, path: &str, now: u64) -> bool {
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
            Act::TakeLease => return self.take_lease(act, path, tool, now).await,
            Act::Settle { is_well } => {
                let open_for = (!is_well).then(|| cooldown_left(breaker));
                let found = Found {
                    tool: path.to_owned(),
                    epoch: self.watched.get(path).map(Watched::epoch).unwrap_or_default(),
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

    fn next_end_of_lease(&self) -> Option<Instant> {
        let now = self.view.now()?;
        let leases = self.watched.values().filter_map(Watched::lease);
        let left = leases
            .filter_map(|lease| lease.checked_sub(now))
            .filter(|left| *left > 0);
        Some(Instant::now() + Duration::from_millis(left.min()?))
    }

    fn end_leases(&mut self) {
        let Some(now) = self.view.now() else { return };
        for (path, _, breaker) in members() {
            if let Some(watched) = self.watched.get_mut(&path)
                && let Some(Act::OpenFor(millis)) = watched.ends_lease(local(breaker), now)
            {
                fleet::open_for(breaker, Duration::from_millis(millis));
            }
        }
    }

    async fn report(&mut self, act: Act, path: &str, breaker: &CircuitBreaker) -> bool {
        let trip = Trip {
            tool: path.to_owned(),
            replica: self.name.clone(),
            window: self.window,
            cooldown: cooldown_left(breaker),
            quorum: self.quorum,
        };
        let store = Arc::clone(&self.store);
        let shared = self.ask(store.report_trip(&trip)).await;
        self.learn(act, path, shared)
    }

    async fn take_lease(&mut self, act: Act, path: &str, tool: ToolHandle, now: u64) -> bool {
        let lasts = fleet::time_limit(tool).min(LONGEST_PROBE) + PULSE;
        // By this replica's clock, which began before the store's: nobody else may try it while this one still does.
        let lease = Lease {
            tool: path.to_owned(),
            epoch: self.watched.get(path).map(Watched::epoch).unwrap_or_default(),
            replica: self.name.clone(),
            lasts: lasts + MARGIN,
        };
        let store = Arc::clone(&self.store);
        let taken = self.ask(store.take_lease(&lease)).await;
        let Some(is_taken) = self.told(act, path, taken) else {
            return false;
        };
        if let Some(watched) = self.watched.get_mut(path) {
            watched.leased(is_taken.then(|| now + millis(lasts)));
        }
        is_taken
    }

    /// What the store has answered to an act; `None` if it has not.
    fn told<T>(&mut self, act: Act, path: &str, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                if let Some(watched) = self.watched.get_mut(path) {
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

    /// What it says of itself to operators.
    fn says(&self) -> String {
        let says = Says {
            settings: self.applied.version,
            problem: self.problem.clone(),
            unknown: self.applied.settings.unknown(),
        };
        says.written()
    }

    fn show(&self) {
        self.board.show(
            &self.view,
            self.is_told,
            self.applied.version,
            self.problem.as_deref(),
            &self.watched,
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
