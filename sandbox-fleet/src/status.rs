//! [`FleetStatus`]: what a replica knows of the others, for people and for data.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbox_runtime::fleet::{self, InFleet};
use sandbox_runtime::{BreakerState, CircuitBreaker, ToolHandle};
use serde::Serialize;
use tokio::time::Instant;

use crate::followed::{Breaker, Followed};
#[cfg(feature = "metrics")]
use crate::instruments;
use crate::instruments::Happened;
use crate::store::millis;
use crate::tools::path;
use crate::view::View;

/// What a replica knows at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FleetStatus {
    /// Its name.
    pub replica: String,
    /// How many replicas are live.
    pub live: u32,
    /// How old that is, in milliseconds; `None` before the store has answered.
    pub view_age_ms: Option<u64>,
    /// Whether the store has answered when it was last asked.
    pub is_told: bool,
    /// The version of the settings that are in force here.
    pub settings: u64,
    /// Why the settings of the service are not, if they are not.
    pub problem: Option<String>,
    /// How often the store has stopped to answer.
    pub degraded: u64,
    /// How often it has answered again.
    pub recovered: u64,
    /// The tools that have a breaker of their own.
    pub tools: Vec<ToolInFleet>,
    /// Of the maps of breakers that take part, the keys that do: those whose breakers are not closed, here or for all, as far as there is a
    /// place for them.
    pub keys: Vec<KeyInFleet>,
}

/// A tool in this replica and in the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolInFleet {
    /// Its path, by which replicas know it.
    pub path: String,
    /// Its breaker here: `closed`, `open`, `half_open` or `forced_open`.
    pub here: &'static str,
    /// Whether it is open for all.
    pub is_open_for_all: bool,
    /// How often it has opened and closed for all.
    pub epoch: u64,
    /// Whether this replica is the one that may try it.
    pub has_lease: bool,
    /// How many attempts of the rate that all replicas share begin in this one; `None` if the tool has no such rate.
    pub share: Option<u32>,
}

/// A key of a map of breakers in this replica and in the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyInFleet {
    /// What the map is called.
    pub map: &'static str,
    /// The key, as it is displayed.
    pub key: String,
    /// Its breaker here: `closed`, `open`, `half_open` or `forced_open`.
    pub here: &'static str,
    /// Whether it is open for all.
    pub is_open_for_all: bool,
    /// Greater each time that it has opened or closed for all; 0 if it never has, as far as this replica knows.
    pub epoch: u64,
    /// Whether this replica is the one that may try it.
    pub has_lease: bool,
}

/// What the task in the background shows to others.
#[derive(Debug, Clone)]
pub(crate) struct Board(Arc<Mutex<Shown>>);

#[derive(Debug)]
struct Shown {
    status: FleetStatus,
    told: Option<Instant>,
}

impl Board {
    pub(crate) fn new(replica: String) -> Board {
        let status = FleetStatus {
            replica,
            live: 0,
            view_age_ms: None,
            is_told: false,
            settings: 0,
            problem: None,
            degraded: 0,
            recovered: 0,
            tools: Vec::new(),
            keys: Vec::new(),
        };
        Board(Arc::new(Mutex::new(Shown { status, told: None })))
    }

    pub(crate) fn count(&self, happened: Happened) {
        #[cfg(feature = "metrics")]
        instruments::count(happened);
        let status = &mut self.locked().status;
        match happened {
            Happened::Degraded => status.degraded += 1,
            Happened::Recovered => status.recovered += 1,
        }
    }

    pub(crate) fn show(&self, view: &View, is_told: bool, settings: u64, problem: Option<&str>, followed: &Followed) {
        #[cfg(feature = "metrics")]
        view.age().into_iter().for_each(instruments::age);
        let mut shown = self.locked();
        shown.told = view.age().and_then(|age| Instant::now().checked_sub(age));
        let status = &mut shown.status;
        status.live = view.live;
        status.is_told = is_told && view.age().is_some();
        status.settings = settings;
        status.problem = problem.map(str::to_owned);
        (status.tools, status.keys) = (Vec::new(), Vec::new());
        for (path, member) in followed.iter() {
            let (shared, here) = (view.shared(path), state(&member.breaker));
            let (is_open_for_all, epoch) = (shared.open_until.is_some(), shared.epoch);
            let has_lease = member.watched.lease().is_some();
            match member.breaker {
                Breaker::Tool(tool, _) => status.tools.push(ToolInFleet {
                    path: path.to_owned(),
                    here,
                    is_open_for_all,
                    epoch,
                    has_lease,
                    share: fleet::share(tool),
                }),
                Breaker::Key(..) => status.keys.extend(followed.key(path).map(|(map, key)| KeyInFleet {
                    map,
                    key: key.to_owned(),
                    here,
                    is_open_for_all,
                    epoch,
                    has_lease,
                })),
            }
        }
    }

    pub(crate) fn status(&self) -> FleetStatus {
        let shown = self.locked();
        let age = shown.told.map(|told| told.elapsed());
        FleetStatus {
            view_age_ms: age.map(millis),
            ..shown.status.clone()
        }
    }

    /// What the status of tools tells of the fleet.
    pub(crate) fn view(&self) -> Arc<dyn fleet::View> {
        Arc::new(self.clone())
    }

    #[cfg(feature = "opentelemetry")]
    pub(crate) fn times(&self, happened: Happened) -> u64 {
        let status = &self.locked().status;
        match happened {
            Happened::Degraded => status.degraded,
            Happened::Recovered => status.recovered,
        }
    }

    /// How old the view is.
    pub(crate) fn view_age(&self) -> Option<Duration> {
        self.locked().told.map(|told| told.elapsed())
    }

    fn locked(&self) -> MutexGuard<'_, Shown> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fleet::View for Board {
    fn of(&self, tool: ToolHandle) -> Option<InFleet> {
        let (path, shown) = (path(tool), self.locked());
        let found = shown.status.tools.iter().find(|found| found.path == path)?;
        let age = millis(shown.told?.elapsed());
        let known = InFleet::new(found.is_open_for_all, found.epoch, age);
        Some(known.with_share(found.share))
    }
}

fn state(breaker: &CircuitBreaker) -> &'static str {
    match breaker.state() {
        BreakerState::Closed => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::HalfOpen => "half_open",
        BreakerState::ForcedOpen => "forced_open",
    }
}
