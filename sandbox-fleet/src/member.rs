//! [`Fleet`]: how a process becomes a replica of its service, and [`Member`], by which it is one.

use std::fmt;
#[cfg(feature = "keyed")]
use std::fmt::Display;
use std::future::Future;
#[cfg(feature = "keyed")]
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::fleet;
#[cfg(feature = "keyed")]
use sandbox_runtime::{KeyOf, KeyedBreakers};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::followed::Followed;
#[cfg(feature = "keyed")]
use crate::keys::Keyed;
use crate::keys::{self, Map};
use crate::operator::Operator;
use crate::replica::Replica;
use crate::status::{Board, FleetStatus};
#[cfg(feature = "redis")]
use crate::store::redis::RedisStore;
use crate::store::{Quorum, Store, StoreError};

/// How a process takes part in the fleet of its service.
#[must_use = "it has no effect before it joins"]
pub struct Fleet<S> {
    /// Or why there is none, which is told when it joins.
    store: Result<S, StoreError>,
    name: Option<String>,
    quorum: Quorum,
    window: Duration,
    maps: Vec<Box<dyn Map>>,
}

impl<S> fmt::Debug for Fleet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("name", &self.name)
            .field("quorum", &self.quorum)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// A server, of whose services one is to be named.
#[cfg(feature = "redis")]
#[must_use = "it is the server of a fleet whose service is not named yet"]
pub struct Server {
    url: Box<str>,
}

#[cfg(feature = "redis")]
impl Fleet<RedisStore> {
    /// A fleet over Redis or Valkey at this URL, such as `redis://127.0.0.1:6379`: see [`RedisStore`].
    pub fn connect(url: &str) -> Server {
        Server { url: url.into() }
    }
}

/// Without the URL, which may have a password in it.
#[cfg(feature = "redis")]
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

#[cfg(feature = "redis")]
impl Server {
    /// The fleet of all processes of the service of this name.
    pub fn service(self, name: &str) -> Fleet<RedisStore> {
        Fleet::of(RedisStore::new(&self.url, name))
    }
}

impl<S: Store> Fleet<S> {
    /// The fleet of all who share this store.
    pub fn over(store: S) -> Self {
        Self::of(Ok(store))
    }

    fn of(store: Result<S, StoreError>) -> Self {
        Fleet {
            store,
            name: None,
            quorum: Quorum::Third,
            window: Duration::from_secs(30),
            maps: Vec::new(),
        }
    }

    /// Sets what this replica is called, for people; no other may be called so. Default: a name by chance.
    pub fn replica(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets how many of the live replicas have to find a breaker open before it is open for all. Default: a third of them, and two at
    /// least, so that a sick replica opens its own breakers only.
    pub const fn quorum(mut self, quorum: Quorum) -> Self {
        self.quorum = quorum;
        self
    }

    /// Sets for how long it counts that a replica has found a breaker open. Default: 30 s.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Has the breakers of a map's keys take part, at most so many of them at a time; those of others stay local, and so do keys whose text
    /// has more than 256 bytes. Replicas know a map by its [name](KeyedBreakers::named), and a key by its text: what it is displayed as, and
    /// parsed from. **Keys that take part stand in the store**, and in [`Member::status`]: they are no secrets.
    ///
    /// A key takes part from when its breaker opens in a replica until it is closed in all of them. If there are more, the first ones
    /// have the places; one that is open for all and that nobody has tried for an hour gives its place away. Each replica reports so many
    /// others at a time.
    ///
    /// The map is looked through each second, and at each change of a breaker.
    ///
    /// ```
    /// use sandbox_fleet::Fleet;
    /// use sandbox_runtime::{CircuitBreaker, KeyedBreakers};
    ///
    /// static HOSTS: KeyedBreakers<String> = KeyedBreakers::new(10_000, CircuitBreaker::new(5)).named("hosts");
    ///
    /// let fleet = Fleet::connect("redis://127.0.0.1:6379").service("shop").keyed(&HOSTS, 1_000);
    /// ```
    #[cfg(feature = "keyed")]
    pub fn keyed<K>(mut self, map: &'static KeyedBreakers<K>, most: u32) -> Self
    where
        K: KeyOf<K> + Display + FromStr + Clone + Send + Sync + 'static,
    {
        self.maps.push(Box::new(Keyed { map, most }));
        self
    }

    /// Makes this process a replica, until the member [leaves](Member::leave) or is dropped. What operators have set for the service is
    /// in force when this returns, or [`Member::status`] tells that the store could not be asked, which takes a second at most: then this
    /// process goes on by itself, and learns of it as soon as the store answers.
    ///
    /// # Errors
    ///
    /// A URL that means no server, or a name that no service can have; two maps of breakers with one name, one whose name has brackets, or
    /// one of which no key may take part. A store that does not answer is not an error.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    pub async fn join(self) -> Result<Member<S>, StoreError> {
        let (mut member, task) = self.enter().await?;
        member.task = Some(tokio::spawn(task));
        Ok(member)
    }

    /// The same for a caller who polls the task in the background: in the isolated scope of a test, whose tools are its own.
    ///
    /// # Errors
    ///
    /// Those of [`join`](Self::join).
    pub async fn enter(self) -> Result<(Member<S>, impl Future<Output = ()> + Send), StoreError> {
        keys::check(&self.maps)?;
        let name = self.name.unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)));
        let (store, board) = (Arc::new(self.store?), Board::new(name.clone()));
        let mut replica = Replica::new(
            Arc::clone(&store),
            name,
            self.quorum,
            self.window,
            Followed::of(self.maps),
            board.clone(),
        );
        replica.turn().await;
        #[cfg(feature = "metrics")]
        crate::instruments::describe();
        let view = board.view();
        fleet::show(&view);
        let (leave, left) = oneshot::channel();
        let member = Member {
            operator: Operator::sharing(store),
            board,
            _view: view,
            leave: Some(leave),
            task: None,
        };
        Ok((member, replica.run(left)))
    }
}

/// A replica of a service. Dropped, it leaves, and does not wait for that.
#[must_use = "dropped, it leaves the fleet"]
pub struct Member<S> {
    operator: Operator<S>,
    board: Board,
    /// Shown as long as it is there.
    _view: Arc<dyn fleet::View>,
    leave: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl<S: Store> Member<S> {
    /// Switches tools for the whole service.
    pub const fn operator(&self) -> &Operator<S> {
        &self.operator
    }

    /// What this replica knows of the others.
    #[must_use]
    pub fn status(&self) -> FleetStatus {
        self.board.status()
    }

    /// How old that is; `None` before the store has answered.
    #[must_use]
    pub fn view_age(&self) -> Option<Duration> {
        self.board.view_age()
    }

    /// Has a meter of OpenTelemetry measure how old that is, in seconds (`sandboxed.fleet.view.age`), and count how often the store has stopped
    /// to answer and has answered again (`sandboxed.fleet.events`, by `sandboxed.fleet.event`: `degraded`, `recovered`). With the
    /// feature `metrics`, the recorder that the program has installed is told the same without being asked.
    #[cfg(feature = "opentelemetry")]
    pub fn instruments(&self, meter: &opentelemetry::metrics::Meter) {
        let (ages, events) = (self.board.clone(), self.board.clone());
        crate::instruments::observe(meter, move || ages.view_age(), move |happened| events.times(happened));
    }

    /// Leaves the fleet, and waits until others know of it. What was set stays in force here.
    pub async fn leave(mut self) {
        drop(self.leave.take());
        if let Some(task) = self.task.take() {
            // It has ended in any case.
            let _ = task.await;
        }
    }
}

impl<S> fmt::Debug for Member<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("board", &self.board)
            .finish_non_exhaustive()
    }
}
