//! [`RedisStore`]: a store in Redis or Valkey.

mod connection;
mod keys;
mod scripts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::cmd;
use tokio::sync::mpsc;

use self::connection::Connection;
use self::keys::Keys;
use super::{
    Beat, Claim, Found, Granted, LIVE, Lease, Pulse, Quorum, REMEMBERED, Replica, Shared, Store, StoreError, Trip,
    UNUSED, Versioned, map_of, millis,
};

/// How long a step may take, with the connecting before it. Then it has failed, and may nevertheless be made later.
pub const STEP_LIMIT: Duration = Duration::from_secs(1);

/// A store in Redis from 6.2 on, or in Valkey from 7.2 on.
///
/// Each step is one round trip. It fails within [`STEP_LIMIT`], also if the server does not answer; it is made at most once, and if it
/// has failed it may have been made. A step that finds no connection connects, and one that fails or is dropped gives its connection up:
/// there is no delay between attempts but the caller's.
///
/// # Keys
///
/// All begin with `sandboxed:1:{service}:`, where 1 is the version of what follows, and the braces let a cluster keep a service in one
/// slot. The URL then has to name the node that has this slot: it is not followed to another one. Times are the server's, in
/// milliseconds.
///
/// | key | type | what it has |
/// |---|---|---|
/// | `replicas` | sorted set | the last heartbeat of each replica |
/// | `says` | hash | what each says of itself |
/// | `trips:TOOL` | sorted set | the replicas in which the tool's breaker has opened, by the time at which that counts no longer |
/// | `tripped` | sorted set | the tools with such replicas, by the time at which the last of them counts no longer |
/// | `breakers` | hash | of each tool its epoch, and when its breaker may be tried, or 0; without a name a stamp of the last change |
/// | `lease:TOOL` | string | the epoch of the lease, and its holder; the server lets it expire |
/// | `keys:MAP` | sorted set | the keys of a map that have a place, by when they give it away |
/// | `epochs` | hash | of each map, the greatest epoch of keys that have given their places to others |
/// | `shares:TOOL` | hash | of each replica its claim of the tool's rate: turn, what is reserved for it, used, wanted, when it was made, when it is forgotten |
/// | `settings` | hash | `version` and `text` of the settings, and a `stamp` of the last change |
/// | `changes` | channel | a message for each change: the tool, or nothing if it is the settings |
///
/// TOOL is the path of a tool, or of a key `MAP[key]`. All but `breakers`, `keys:MAP`, `epochs` and `settings` expire when nothing renews
/// them: a service that is gone leaves these. A replica whose heartbeats
/// are missing is forgotten by the pulses of others, or, if there are none, by the server.
#[derive(Debug)]
pub struct RedisStore {
    connection: Connection,
    keys: Keys,
    known: Mutex<Arc<Known>>,
}

/// The breakers as the last pulse has found them: they are not sent again while nothing has changed.
#[derive(Debug, Default)]
struct Known {
    stamp: String,
    breakers: Vec<(String, Shared)>,
}

impl RedisStore {
    /// A store for a service, which connects when it is first asked.
    ///
    /// The URL is `redis://host:port`, with `user:password@` before the host and `/number` of a database behind the port if need be.
    /// With `rediss` it is TLS, for which this crate needs its feature `tls`. A URL never appears in errors or in `Debug`.
    ///
    /// # Errors
    ///
    /// A URL that means no server, or a service without a name or with a brace in it.
    pub fn new(url: &str, service: &str) -> Result<Self, StoreError> {
        Ok(RedisStore {
            connection: Connection::new(url)?,
            keys: Keys::new(service)?,
            known: Mutex::default(),
        })
    }

    /// A store for a service, with a connection.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); or a server that cannot be reached within [`STEP_LIMIT`], that does not take the password, or that is a
    /// node of a cluster and has not this service: the error names the one that has.
    pub async fn connect(url: &str, service: &str) -> Result<Self, StoreError> {
        let store = Self::new(url, service)?;
        // Not a `PING`, which every node of a cluster answers.
        store.settings().await?;
        Ok(store)
    }

    fn known(&self) -> Arc<Known> {
        // Nothing panics while it is locked.
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn(&self, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&known);
        known
    }
}

impl Store for RedisStore {
    async fn pulse(&self, beat: &Beat) -> Result<Pulse, StoreError> {
        let known = self.known();
        let keys = ["replicas", "says", "tripped", "breakers", "settings"].map(|name| self.keys.one(name));
        let mut pulse = scripts::PULSE.key(&keys);
        pulse
            .arg(&[&beat.replica, &beat.says])
            .arg(&[millis(LIVE), millis(REMEMBERED)])
            .arg(self.keys.of("trips", ""))
            .arg(&known.stamp);
        let answer: (u64, u32, u64, u64, String, Vec<(String, String)>) = self.connection.invoke(&pulse).await?;
        let (now, live, settings, settings_stamp, stamp, breakers) = answer;
        let known = if stamp == known.stamp {
            known
        } else {
            let breakers = read_breakers(breakers)?;
            self.learn(Known { stamp, breakers })
        };
        Ok(Pulse {
            now,
            live,
            settings,
            settings_stamp,
            breakers: known.breakers.clone(),
        })
    }

    async fn time(&self) -> Result<u64, StoreError> {
        let (seconds, micros): (u64, u64) = self.connection.query(&cmd("TIME")).await?;
        Ok(seconds * 1000 + micros / 1000)
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        let keys = ["replicas", "says", "tripped", "breakers"].map(|name| self.keys.one(name));
        let mut leave = scripts::LEAVE.key(&keys);
        leave
            .arg(replica)
            .arg(self.keys.of("trips", ""))
            .arg(self.keys.of("lease", ""));
        self.connection.invoke(&leave).await
    }

    async fn report_trip(&self, trip: &Trip) -> Result<Shared, StoreError> {
        let mut report = scripts::REPORT_TRIP.key(&[self.keys.one("replicas"), self.keys.one("tripped")]);
        report
            .key(&[self.keys.of("trips", &trip.tool), self.keys.one("breakers")])
            .key(&[
                self.keys.of("lease", &trip.tool),
                self.keys.of("keys", map_of(&trip.tool)),
            ])
            .key(self.keys.one("epochs"))
            .arg(self.keys.one("changes"))
            .arg(&[&trip.tool, &trip.replica])
            .arg(&[expiring(trip.window), lasting(trip.cooldown)])
            .arg(match trip.quorum {
                Quorum::Of(number) => number.max(1).to_string(),
                Quorum::Third => "third".to_owned(),
            })
            .arg(millis(LIVE))
            .arg(map_of(&trip.tool));
        report
            .arg(trip.most.map_or_else(String::new, |most| most.to_string()))
            .arg(millis(UNUSED));
        report.arg(self.keys.of("trips", ""));
        let answer = self.connection.invoke(&report).await?;
        Ok(to_shared(answer))
    }

    async fn withdraw_trip(&self, tool: &str, replica: &str) -> Result<(), StoreError> {
        let trips = self.keys.of("trips", tool);
        self.connection.query(cmd("ZREM").arg(trips).arg(replica)).await
    }

    async fn take_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        let mut take = scripts::TAKE_LEASE.key(&[self.keys.one("breakers"), self.keys.of("lease", &lease.tool)]);
        take.key(self.keys.of("keys", map_of(&lease.tool)))
            .arg(&lease.tool)
            .arg(lease.epoch)
            .arg(&lease.replica)
            .arg(&[expiring(lease.lasts), millis(UNUSED)]);
        self.connection.invoke(&take).await
    }

    async fn settle(&self, found: &Found) -> Result<Shared, StoreError> {
        let mut settle = scripts::SETTLE.key(&[self.keys.one("tripped"), self.keys.of("trips", &found.tool)]);
        settle
            .key(&[self.keys.one("breakers"), self.keys.of("lease", &found.tool)])
            .key(self.keys.of("keys", map_of(&found.tool)))
            .arg(self.keys.one("changes"))
            .arg(&found.tool)
            .arg(found.epoch)
            .arg(&found.replica)
            .arg(
                found
                    .open_for
                    .map_or_else(String::new, |lasts| lasting(lasts).to_string()),
            )
            .arg(millis(UNUSED));
        let answer = self.connection.invoke(&settle).await?;
        Ok(to_shared(answer))
    }

    async fn claim(&self, claim: &Claim) -> Result<Granted, StoreError> {
        let mut take = scripts::CLAIM.key(self.keys.of("shares", &claim.tool));
        take.arg(&claim.replica)
            .arg(claim.turn)
            .arg(claim.calls)
            .arg(expiring(claim.per))
            .arg(&[claim.share, claim.used, claim.wanted])
            .arg(u8::from(claim.stays))
            .arg(&[millis(LIVE), millis(REMEMBERED)]);
        let (share, turn, claims) = self.connection.invoke(&take).await?;
        Ok(Granted { share, turn, claims })
    }

    async fn settings(&self) -> Result<Versioned, StoreError> {
        let mut read = cmd("HMGET");
        read.arg(self.keys.one("settings")).arg(&["version", "text"]);
        let (version, text): (Option<u64>, Option<String>) = self.connection.query(&read).await?;
        Ok(Versioned {
            version: version.unwrap_or_default(),
            text: text.unwrap_or_default(),
        })
    }

    async fn put_settings(&self, expected: u64, new: &Versioned) -> Result<bool, StoreError> {
        let mut put = scripts::PUT_SETTINGS.key(self.keys.one("settings"));
        put.arg(self.keys.one("changes"))
            .arg(&[expected, new.version])
            .arg(&new.text);
        self.connection.invoke(&put).await
    }

    async fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        let mut read = scripts::REPLICAS.key(&[self.keys.one("replicas"), self.keys.one("says")]);
        let found: Vec<(String, String)> = self.connection.invoke(read.arg(millis(LIVE))).await?;
        let mut replicas: Vec<Replica> = found.into_iter().map(|(name, says)| Replica { name, says }).collect();
        replicas.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(replicas)
    }

    async fn subscribe(&self) -> Result<mpsc::Receiver<()>, StoreError> {
        self.connection.subscribe(&self.keys.one("changes")).await
    }
}

/// So many milliseconds, at most a century: the scripts calculate with floating-point numbers, which are exact so far.
fn lasting(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
    millis(duration).min(CENTURY)
}

/// As [`lasting`], of what the server lets expire, which takes a millisecond at least.
fn expiring(duration: Duration) -> u64 {
    lasting(duration).max(1)
}

fn read_breakers(found: Vec<(String, String)>) -> Result<Vec<(String, Shared)>, StoreError> {
    let named = found.into_iter().filter(|(tool, _)| !tool.is_empty());
    let read = named.map(|(tool, kept)| match read_breaker(&kept) {
        Some(shared) => Ok((tool, shared)),
        None => Err(StoreError(format!(
            "the store has `{kept}` for the breaker of `{tool}`"
        ))),
    });
    let mut breakers = read.collect::<Result<Vec<_>, _>>()?;
    breakers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(breakers)
}

fn read_breaker(kept: &str) -> Option<Shared> {
    let (epoch, open_until) = kept.split_once(' ')?;
    Some(to_shared((epoch.parse().ok()?, open_until.parse().ok()?)))
}

fn to_shared((epoch, open_until): (u64, u64)) -> Shared {
    Shared {
        epoch,
        open_until: (open_until != 0).then_some(open_until),
    }
}
