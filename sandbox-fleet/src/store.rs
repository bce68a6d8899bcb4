//! [`Store`]: what replicas share, and the steps in which they change it.

pub mod contract;
pub mod memory;
mod rates;
#[cfg(feature = "redis")]
pub mod redis;

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;

/// How long a replica counts as live after its last heartbeat.
pub const LIVE: Duration = Duration::from_secs(3);

/// How long a replica is remembered after its last heartbeat. Its share of a rate is not given to others for as long after its last claim,
/// or for the length of time of the rate, if that is longer: it may be cut off, and go on.
pub const REMEMBERED: Duration = Duration::from_secs(60);

/// How long the breaker of a key that is open for all keeps its place if nobody tries it.
pub const UNUSED: Duration = Duration::from_secs(60 * 60);

/// What the replicas of one service share.
///
/// Each step is made as a whole or not at all, and by the store's clock: those of replicas may differ. What a step changes is told to
/// all who [subscribe](Self::subscribe); a message may be lost, and every [`pulse`](Self::pulse) has what it would have told.
pub trait Store: Send + Sync + 'static {
    /// Notes that a replica is alive, and returns what is shared.
    fn pulse(&self, beat: &Beat) -> impl Future<Output = Result<Pulse, StoreError>> + Send;

    /// The store's time, in milliseconds.
    fn time(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Forgets a replica and what it has reported.
    fn leave(&self, replica: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that a breaker has opened in a replica. If enough of the live ones have said so, it is open for all: a new epoch. Of a key
    /// for which there is [no place](Trip::most), nothing is noted. A key gives its place to another one once it is closed, once no report of it
    /// counts, or if it is open for all, once it has had no lease for [`UNUSED`]: then it is forgotten, but for its epoch: what it has later
    /// is greater.
    fn report_trip(&self, trip: &Trip) -> impl Future<Output = Result<Shared, StoreError>> + Send;

    /// Takes a trip back.
    fn withdraw_trip(&self, tool: &str, replica: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives a replica the lease by which it may try whether a dependency is well. `false` if another one has it, or the breaker is not
    /// open in this epoch, or still has to be.
    fn take_lease(&self, lease: &Lease) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Closes a breaker for all, or opens it again: a new epoch, and no lease. Nothing changes if the replica has no lease of that epoch.
    fn settle(&self, found: &Found) -> impl Future<Output = Result<Shared, StoreError>> + Send;

    /// Gives a replica a share of a rate, by what all of them want and have begun. The shares are together never more than the rate, and
    /// what a replica has begun, or may begin until it learns of this, counts as its own. A claim that is not later than the replica's
    /// last one changes nothing.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<Granted, StoreError>> + Send;

    /// The settings of the service.
    fn settings(&self) -> impl Future<Output = Result<Versioned, StoreError>> + Send;

    /// Replaces the settings if their version still is the one expected. `false` if it is not.
    fn put_settings(&self, expected: u64, new: &Versioned) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The replicas that are live, with what they have said of themselves.
    fn replicas(&self) -> impl Future<Output = Result<Vec<Replica>, StoreError>> + Send;

    /// Begins to receive a message for each change. It ends when the connection does.
    fn subscribe(&self) -> impl Future<Output = Result<mpsc::Receiver<()>, StoreError>> + Send;
}

/// A store that could not be asked, or has not answered as expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// A heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The replica, by a name that no other one has.
    pub replica: String,
    /// What it says of itself, for people.
    pub says: String,
}

/// A replica that is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// What it has said of itself.
    pub says: String,
}

/// What is shared at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulse {
    /// The store's time, in milliseconds.
    pub now: u64,
    /// How many replicas are live.
    pub live: u32,
    /// The version of the settings.
    pub settings: u64,
    /// What no other change of the settings has, so that one that an old copy of the store has lost is not taken for the one that was made
    /// in its place.
    pub settings_stamp: u64,
    /// The breakers that have ever been open for all, by the paths of their tools.
    pub breakers: Vec<(String, Shared)>,
}

/// What is shared of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shared {
    /// How often it has opened and closed for all; of a key that may be greater, and grows all the same.
    pub epoch: u64,
    /// When it may be tried, in milliseconds of the store's time; `None` if it is closed.
    pub open_until: Option<u64>,
}

/// A breaker that has opened in a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// The path of its tool.
    pub tool: String,
    /// The replica.
    pub replica: String,
    /// For how long the report counts.
    pub window: Duration,
    /// How long the breaker is open for all, if it is.
    pub cooldown: Duration,
    /// How many of the live replicas have to say so.
    pub quorum: Quorum,
    /// Of a key, how many keys of its map take part at most; `None` if nothing bounds them, as with tools. The path of a key is `map[key]`.
    pub most: Option<u32>,
}

/// The map of a path.
pub(crate) fn map_of(path: &str) -> &str {
    path.split_once('[').map_or("", |(map, _)| map)
}

/// How many of the live replicas have to report a trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// So many.
    Of(u32),
    /// A third of them, rounded up, and two at least.
    Third,
}

impl Quorum {
    /// The number, of so many live ones.
    #[must_use]
    pub fn number(self, live: u32) -> u32 {
        match self {
            Quorum::Of(number) => number.max(1),
            Quorum::Third => live.div_ceil(3).max(2),
        }
    }
}

/// The lease of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The path of the tool.
    pub tool: String,
    /// The opening after which it is to be tried.
    pub epoch: u64,
    /// Who asks for it.
    pub replica: String,
    /// How long it lasts.
    pub lasts: Duration,
}

/// What the holder of a lease has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path of the tool.
    pub tool: String,
    /// The epoch of the lease.
    pub epoch: u64,
    /// Who has it.
    pub replica: String,
    /// How long the breaker is to be open for all; `None` if the dependency is well.
    pub open_for: Option<Duration>,
}

/// What a replica says and wants of a rate that all share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The path of the tool.
    pub tool: String,
    /// The replica.
    pub replica: String,
    /// Greater with each claim of a replica.
    pub turn: u64,
    /// How many attempts begin in a length of time, over all replicas.
    pub calls: u32,
    /// The length of time.
    pub per: Duration,
    /// The share by which the replica goes until it has the answer.
    pub share: u32,
    /// How many attempts it has begun in the length of time that ends now.
    pub used: u32,
    /// How many it would begin.
    pub wanted: u32,
    /// Whether it goes on: otherwise it gives its share back, and begins no more by it.
    pub stays: bool,
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// How many attempts the replica may begin in a length of time.
    pub share: u32,
    /// The turn of the claim before that the store knows of the replica; 0 if it knows none.
    pub turn: u64,
    /// Of how many replicas the store knows claims.
    pub claims: u32,
}

/// The settings of a service, in a form that only replicas read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versioned {
    /// Greater with each change; 0 before the first.
    pub version: u64,
    /// The settings.
    pub text: String,
}

/// A length of time in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
