//! Replicas, each of which has a map of breakers for itself, and hosts that fail for some of them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_fleet::store::memory::MemoryStore;
use sandbox_fleet::store::{Beat, Store};
use sandbox_fleet::{Fleet, KeyInFleet, Member};
use sandbox_runtime::{CircuitBreaker, KeyedBreakers, sandboxed, testing};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::{Error, SECOND, SHORTLY, at_once};

pub(crate) const COOLDOWN: Duration = Duration::from_secs(10);

pub(crate) const fn pattern() -> CircuitBreaker {
    lasting(COOLDOWN)
}

pub(crate) const fn lasting(cooldown: Duration) -> CircuitBreaker {
    CircuitBreaker::new(2).cooldown(cooldown)
}

pub(crate) type Hosts = KeyedBreakers<String>;

/// Which hosts fail for which replicas.
#[derive(Debug, Default)]
pub(crate) struct World {
    down: Mutex<HashSet<(usize, String)>>,
    reached: AtomicU64,
}

impl World {
    pub(crate) fn is_down_for(&self, replicas: std::ops::Range<usize>, host: &str) {
        let mut down = self.down.lock().unwrap();
        down.extend(replicas.map(|replica| (replica, host.to_owned())));
    }

    pub(crate) fn is_well(&self) {
        self.down.lock().unwrap().clear();
    }

    /// How many calls have reached a host since this was last asked.
    pub(crate) fn reached(&self) -> u64 {
        self.reached.swap(0, Ordering::SeqCst)
    }
}

/// The replica that a call is made in.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) number: usize,
    pub(crate) hosts: &'static Hosts,
    pub(crate) world: Arc<World>,
}

tokio::task_local! {
    static HERE: Here;
}

fn hosts() -> &'static Hosts {
    HERE.with(|here| here.hosts)
}

#[sandboxed(timeout_ms = 500, max_retries = 0, breaker = hosts().of(&host))]
async fn fetch(host: String) -> Result<(), Error> {
    let here = HERE.get();
    here.world.reached.fetch_add(1, Ordering::SeqCst);
    match here.world.down.lock().unwrap().contains(&(here.number, host)) {
        true => Err(Error::Down),
        false => Ok(()),
    }
}

pub(crate) fn map(capacity: usize, pattern: CircuitBreaker) -> &'static Hosts {
    Box::leak(Box::new(KeyedBreakers::new(capacity, pattern).named("hosts")))
}

pub(crate) struct Replica<S = MemoryStore> {
    pub(crate) here: Here,
    pub(crate) member: Member<S>,
    task: JoinHandle<()>,
}

impl<S: Store> Replica<S> {
    pub(crate) async fn joined(here: Here, store: S, most: u32) -> Replica<S> {
        let fleet = Fleet::over(store)
            .replica(format!("replica {}", here.number))
            .keyed(here.hosts, most);
        let (joined, has_joined) = oneshot::channel();
        // Tools of other tests are none of its business.
        let task = tokio::spawn(testing::isolated(async move {
            let (member, task) = fleet.enter().await.expect("there is a store");
            assert!(joined.send(member).is_ok(), "the test waits for it");
            task.await;
        }));
        let member = has_joined.await.unwrap();
        Replica { here, member, task }
    }

    pub(crate) fn fetch(&self, host: &str) -> Result<(), Error> {
        let call = HERE.sync_scope(self.here.clone(), || fetch(host.to_owned()));
        at_once(HERE.scope(self.here.clone(), call)).expect("a call waits for nothing")
    }

    pub(crate) fn keys(&self) -> Vec<KeyInFleet> {
        self.member.status().keys
    }

    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(crate) struct Service {
    pub(crate) store: MemoryStore,
    pub(crate) world: Arc<World>,
    most: u32,
    pub(crate) replicas: Vec<Replica>,
    started: usize,
}

impl Service {
    /// Of so many replicas, with so many keys at most that take part.
    pub(crate) async fn of(number: usize, most: u32) -> Service {
        let mut service = Service {
            store: MemoryStore::new(),
            world: Arc::default(),
            most,
            replicas: Vec::new(),
            started: 0,
        };
        for _ in 0..number {
            service.start(100).await;
        }
        service
    }

    pub(crate) async fn start(&mut self, capacity: usize) {
        self.start_with(map(capacity, pattern())).await;
    }

    pub(crate) async fn start_with(&mut self, hosts: &'static Hosts) {
        let here = Here {
            number: self.started,
            hosts,
            world: Arc::clone(&self.world),
        };
        self.started += 1;
        self.replicas
            .push(Replica::joined(here, self.store.clone(), self.most).await);
    }

    /// Lets so many replicas find out that a host is down.
    pub(crate) async fn trip(&self, replicas: std::ops::Range<usize>, host: &str) {
        for replica in &self.replicas[replicas] {
            for _ in 0..2 {
                assert_eq!(replica.fetch(host), Err(Error::Down));
            }
        }
        sleep(SHORTLY).await;
    }

    pub(crate) fn fetch_all(&self, host: &str) -> Vec<Result<(), Error>> {
        self.replicas.iter().map(|replica| replica.fetch(host)).collect()
    }

    /// Some seconds of calls by every replica.
    pub(crate) async fn busy(&self, seconds: u32, host: &str) {
        for _ in 0..seconds * 5 {
            drop(self.fetch_all(host));
            sleep(SECOND / 5).await;
        }
    }

    /// The keys of which the store knows.
    pub(crate) async fn in_store(&self) -> Vec<String> {
        // Of one that has no part in what is tested.
        let beat = Beat {
            replica: "observer".to_owned(),
            says: String::new(),
        };
        let pulse = self.store.pulse(&beat).await.unwrap();
        self.store.leave("observer").await.unwrap();
        pulse.breakers.into_iter().map(|(path, _)| path).collect()
    }
}
