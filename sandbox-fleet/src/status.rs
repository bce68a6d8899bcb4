//! [`FleetStatus`]: what a replica knows of the others, for people and for data.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbox_runtime::fleet::{self, InFleet};
use sandbox_runtime::{BreakerState, CircuitBreaker, ToolHandle};
use serde::Serialize;
use tokio::time::Instant;

#[cfg(feature = "metrics")]
use crate::instruments;
use crate::instruments::Happened;
use crate::store::millis;
use crate::tools::{members, path};
use crate::view::View;
use crate::watched::Watched;

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

    pub(crate) fn show(
        &self,
        view: &View,
        is_told: bool,
        settings: u64,
        problem: Option<&str>,
        watched: &HashMap<String, Watched>,
    ) {
        #[cfg(feature = "metrics")]
        view.age().into_iter().for_each(instruments::age);
        let mut shown = self.locked();
        shown.told = view.age().and_then(|age| Instant::now().checked_sub(age));
        let status = &mut shown.status;
        status.live = view.live;
        status.is_told = is_told && view.age().is_some();
        status.settings = settings;
        status.problem = problem.map(str::to_owned);
        let tools = members().into_iter().map(|(path, tool, breaker)| {
            let shared = view.shared(&path);
            ToolInFleet {
                here: state(breaker),
                is_open_for_all: shared.open_until.is_some(),
                epoch: shared.epoch,
                share: fleet::share(tool),
                has_lease: watched.get(&path).is_some_and(|watched| watched.lease().is_some()),
                path,
            }
        });
        status.tools = tools.collect();
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
        let (path, status) = (path(tool), self.status());
        let found = status.tools.iter().find(|found| found.path == path)?;
        let known = InFleet::new(found.is_open_for_all, found.epoch, status.view_age_ms?);
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
