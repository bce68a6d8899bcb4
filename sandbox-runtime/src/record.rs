//! [`Record`]: what has happened to a tool since somebody asked for it: how often, the last failure, and its breaker's states.

mod counters;
mod story;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::time::Instant;

use crate::breaker::{BreakerPhase, Transition};
use crate::failure::Stop;
use crate::gate;
use crate::policy::Policy;
use crate::site::SiteRef;

use counters::Shard;
use counters::Shards;
pub(crate) use story::Failed;
use story::Story;

pub use counters::Counters;
pub use story::{BreakerTimes, LastChange, LastFailure};

/// Begins to record, for good: a program that asks once asks again, and what is missing between cannot be made up for.
pub(crate) fn begin_to_record() {
    gate::open(gate::RECORDS);
}

/// The record of one tool. It is part of the tool's static and empty until it is needed.
#[derive(Debug)]
pub(crate) struct Record {
    shards: OnceLock<Shards>,
    story: Mutex<Story>,
}

impl Record {
    pub(crate) const fn new() -> Record {
        Record {
            shards: OnceLock::new(),
            story: Mutex::new(Story::new()),
        }
    }

    /// Where this thread counts.
    #[inline]
    pub(crate) fn shard(&self) -> &Shard {
        self.shards.get_or_init(Shards::new).of_this_thread()
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        if let Some(shards) = self.shards.get() {
            shards.forget();
        }
        *self.story() = Story::new();
    }

    pub(crate) fn counters(&self) -> Counters {
        self.shards.get().map(Shards::sum).unwrap_or_default()
    }

    /// Notes the policy that a call has brought with it, unless another thread is at it: theirs is as new.
    #[cold]
    pub(crate) fn policy_given(&self, policy: &Policy) {
        if let Ok(mut story) = self.story.try_lock() {
            story.policy = Some(*policy);
        }
    }

    pub(crate) fn last_given_policy(&self) -> Option<Policy> {
        self.story().policy
    }

    /// Notes how a call has failed.
    pub(crate) fn failed(&self, failure: Failed) {
        self.story().failed(failure, Instant::now());
    }

    /// Notes that the breaker has changed.
    pub(crate) fn breaker_changed(&self, transition: Transition) {
        self.story().breaker_changed(transition, Instant::now());
    }

    pub(crate) fn last_failure(&self) -> Option<LastFailure> {
        self.story().last_failure(Instant::now())
    }

    pub(crate) fn last_change(&self) -> Option<LastChange> {
        self.story().last_change(Instant::now())
    }

    /// How long the breaker has been in each state, where it is in `phase` now.
    pub(crate) fn breaker_times(&self, phase: BreakerPhase) -> BreakerTimes {
        self.story().breaker_times(phase, Instant::now())
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        // Nothing panics while it is locked.
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step of a call that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The call that was expected to succeed at once does not.
    NotReady,
    Attempted,
    /// A refusal of a breaker in shadow has been overlooked.
    Overlooked,
    Ended(Stop),
}

/// Counts a step of a call of this function.
// One function for all tools.
#[cold]
pub(crate) fn count(site: Option<SiteRef>, step: Step) {
    let Some(site) = site else {
        return;
    };
    let shard = site.0.record.shard();
    match step {
        Step::NotReady => shard.not_ready(),
        Step::Attempted => shard.attempted(),
        Step::Overlooked => shard.overlooked(),
        Step::Ended(stop) => shard.ended(stop),
    }
}

/// Tells whether a call that ended like this is a failure of its tool: not one of the caller, and not one that the tool had no
/// part in.
pub(crate) const fn is_failure(stop: Stop) -> bool {
    !matches!(
        stop,
        Stop::Succeeded
            | Stop::Ignored
            | Stop::Refused
            | Stop::Disabled
            | Stop::Overloaded
            | Stop::RateLimited
            | Stop::CallBudgetSpent
            | Stop::Cancelled
            | Stop::Dropped
    )
}
