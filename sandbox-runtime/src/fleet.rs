//! What the crate `sandbox-fleet` needs of the engine. It changes without notice.
//!
//! Nothing here is on the way of a call: whoever uses it learns that something has changed, and then looks.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;

use crate::breaker::CircuitBreaker;
#[cfg(feature = "keyed")]
use crate::breaker::{KeyOf, KeyedBreakers};
use crate::changes;
use crate::limits;
use crate::policy::{Rate, RateScope};
use crate::registry::{ToolHandle, tools_in_order};

/// Every tool of the program, or of the isolated scope around the caller, without beginning to record.
#[must_use]
pub fn tools() -> Vec<ToolHandle> {
    tools_in_order()
}

/// Tells whether a text names this tool: its name, its path, or a module that it is in.
#[must_use]
pub fn is_meant(tool: ToolHandle, name: &str) -> bool {
    tool.is_named(name) || tool.is_within(name)
}

/// Resolves when a breaker changes its state, or an operator does something, after this has been called.
pub fn changed() -> impl Future<Output = ()> + Send {
    changes::next_change()
}

/// Opens a breaker for so long, at most for one cooldown, or sets for how much longer it is open. One that is forced open stays so.
pub fn open_for(breaker: &CircuitBreaker, lasts: Duration) {
    breaker.open_for(lasts);
}

/// Closes a breaker, unless it is forced open.
pub fn close(breaker: &CircuitBreaker) {
    breaker.close();
}

/// The cooldown of a breaker before any probe has failed.
#[must_use]
pub fn cooldown(breaker: &CircuitBreaker) -> Duration {
    breaker.first_cooldown()
}

/// Tells whether somebody wants a breaker to be tried: since this was last asked, it has refused an attempt, or somebody has asked
/// before whether it would.
#[must_use]
pub fn is_wanted(breaker: &CircuitBreaker) -> bool {
    breaker.is_wanted()
}

/// How long an attempt of a tool takes at most.
#[must_use]
pub fn time_limit(tool: ToolHandle) -> Duration {
    tool.policy().timeout
}

/// What a map of breakers is called.
#[cfg(feature = "keyed")]
#[must_use]
pub const fn map_name<K: Send + Sync + 'static>(map: &KeyedBreakers<K>) -> &'static str {
    map.name()
}

/// The keys of a map whose breakers are open, with these. This looks at every key.
#[cfg(feature = "keyed")]
pub fn open_keys<K: Clone + Send + Sync + 'static>(
    map: &KeyedBreakers<K>,
) -> impl Iterator<Item = (K, Arc<CircuitBreaker>)> {
    map.open()
}

/// The breaker of a key, made if there is none; `None` if the map has no place for it.
#[cfg(feature = "keyed")]
#[must_use]
pub fn breaker_of_key<K: KeyOf<K> + Send + Sync + 'static>(
    map: &KeyedBreakers<K>,
    key: &K,
) -> Option<Arc<CircuitBreaker>> {
    map.of_kept(key)
}

/// How long an attempt takes at most that a breaker has refused, as far as that is known.
#[must_use]
pub fn longest_attempt(breaker: &CircuitBreaker) -> Duration {
    breaker.longest_attempt()
}

/// A rate that the replicas of a service share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedRate(Rate);

impl SharedRate {
    /// How many attempts begin in a length of time, over all replicas.
    #[must_use]
    pub const fn calls(self) -> u32 {
        self.0.calls
    }

    /// The length of time.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.0.per
    }
}

/// What this process needs of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// How many attempts have begun in the length of time of the rate that ends now.
    pub used: u32,
    /// How many would have begun in one since this was last asked, if nothing had held them back: as far as that is known.
    pub wanted: u32,
}

/// The rate that a tool shares with those of other replicas, if it has one. Of a function with `policy = ..`, it is known once it has been
/// called.
#[must_use]
pub fn shared_rate(tool: ToolHandle) -> Option<SharedRate> {
    let rate = match tool.is_policy_given() {
        true => tool.limits().shared_rate(),
        false => tool.policy_in_force().and_then(|policy| policy.rate),
    };
    rate.filter(|rate| rate.scope == RateScope::Fleet).map(SharedRate)
}

/// What this process needs of such a rate.
#[must_use]
pub fn demand(tool: ToolHandle, rate: SharedRate) -> Demand {
    let limits::Demand { used, wanted } = tool.limits().demand(rate.0);
    Demand { used, wanted }
}

/// Tells whether an attempt of a tool has been held back by such a rate since [`demand`] was last asked, and [`changed`] has resolved.
#[must_use]
pub fn is_share_wanted(tool: ToolHandle) -> bool {
    tool.limits().is_share_wanted()
}

/// Sets how many attempts of such a rate begin in this process; `None` for all of it. Those who wait for more have it at once.
pub fn set_share(tool: ToolHandle, share: Option<u32>) {
    tool.limits().set_share(share);
}

/// What was set.
#[must_use]
pub fn share(tool: ToolHandle) -> Option<u32> {
    tool.limits().share()
}

/// What the other replicas of the service know of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InFleet {
    /// Whether its breaker is open for all.
    pub is_open_for_all: bool,
    /// How often it has opened and closed for all.
    pub epoch: u64,
    /// How old that is, in milliseconds.
    pub view_age_ms: u64,
    /// How many attempts of the rate that all replicas share begin in this one; `None` if there is no such rate, or nobody to share it.
    pub share: Option<u32>,
}

impl InFleet {
    /// What a replica has been told.
    #[must_use]
    pub const fn new(is_open_for_all: bool, epoch: u64, view_age_ms: u64) -> InFleet {
        InFleet {
            is_open_for_all,
            epoch,
            view_age_ms,
            share: None,
        }
    }

    /// The same with its share of a rate.
    #[must_use]
    pub const fn with_share(self, share: Option<u32>) -> InFleet {
        InFleet { share, ..self }
    }
}

/// Knows what others know.
pub trait View: Send + Sync {
    /// What they know of a tool; `None` if that is unknown.
    fn of(&self, tool: ToolHandle) -> Option<InFleet>;
}

static VIEW: Mutex<Option<Weak<dyn View>>> = Mutex::new(None);

/// Has the status of tools tell what this view has of them, as long as it is there.
pub fn show(view: &Arc<dyn View>) {
    *VIEW.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(view));
}

/// What is known of a tool in the fleet, if the process is in one.
pub(crate) fn of(tool: ToolHandle) -> Option<InFleet> {
    let view = VIEW.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    view.upgrade()?.of(tool)
}
