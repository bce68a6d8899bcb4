//! The breakers of keys take part where a replica says so: a key that enough replicas have found open is open in all of them, and no other
//! one is; one replica tries it for all; and never more take part than may.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sandbox_fleet::store::memory::{Copy, MemoryStore};
use sandbox_fleet::store::{Beat, LIVE, Quorum, Store as _, Trip};
use sandbox_fleet::{Fleet, KeyInFleet, Member};
use sandbox_runtime::{CircuitBreaker, KeyedBreakers, sandboxed, testing};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::{Error, MILLI, SECOND, SHORTLY, at_once, is_open};

const COOLDOWN: Duration = Duration::from_secs(10);
/// For how long a report counts.
const WINDOW: Duration = Duration::from_secs(30);
const fn pattern() -> CircuitBreaker {
    lasting(COOLDOWN)
}

const fn lasting(cooldown: Duration) -> CircuitBreaker {
    CircuitBreaker::new(2).cooldown(cooldown)
}

type Hosts = KeyedBreakers<String>;

/// Which hosts fail for which replicas.
#[derive(Debug, Default)]
struct World {
    down: Mutex<HashSet<(usize, String)>>,
    reached: AtomicU64,
}

impl World {
    fn is_down_for(&self, replicas: std::ops::Range<usize>, host: &str) {
        let mut down = self.down.lock().unwrap();
        down.extend(replicas.map(|replica| (replica, host.to_owned())));
    }

    fn is_well(&self) {
        self.down.lock().unwrap().clear();
    }

    /// How many calls have reached a host since this was last asked.
    fn reached(&self) -> u64 {
        self.reached.swap(0, Ordering::SeqCst)
    }
}

/// The replica that a call is made in.
#[derive(Clone)]
struct Here {
    number: usize,
    hosts: &'static Hosts,
    world: Arc<World>,
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

fn map(capacity: usize, pattern: CircuitBreaker) -> &'static Hosts {
    Box::leak(Box::new(KeyedBreakers::new(capacity, pattern).named("hosts")))
}

struct Replica {
    here: Here,
    member: Member<MemoryStore>,
    task: JoinHandle<()>,
}

impl Replica {
    async fn joined(here: Here, store: &MemoryStore, most: u32) -> Replica {
        let fleet = Fleet::over(store.clone())
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

    fn fetch(&self, host: &str) -> Result<(), Error> {
        let call = HERE.sync_scope(self.here.clone(), || fetch(host.to_owned()));
        at_once(HERE.scope(self.here.clone(), call)).expect("a call waits for nothing")
    }

    fn keys(&self) -> Vec<KeyInFleet> {
        self.member.status().keys
    }

    async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

struct Service {
    store: MemoryStore,
    world: Arc<World>,
    most: u32,
    replicas: Vec<Replica>,
    started: usize,
}

impl Service {
    /// Of so many replicas, with so many keys at most that take part.
    async fn of(number: usize, most: u32) -> Service {
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

    async fn start(&mut self, capacity: usize) {
        self.start_with(map(capacity, pattern())).await;
    }

    async fn start_with(&mut self, hosts: &'static Hosts) {
        let here = Here {
            number: self.started,
            hosts,
            world: Arc::clone(&self.world),
        };
        self.started += 1;
        self.replicas.push(Replica::joined(here, &self.store, self.most).await);
    }

    /// Lets so many replicas find out that a host is down.
    async fn trip(&self, replicas: std::ops::Range<usize>, host: &str) {
        for replica in &self.replicas[replicas] {
            for _ in 0..2 {
                assert_eq!(replica.fetch(host), Err(Error::Down));
            }
        }
        sleep(SHORTLY).await;
    }

    fn fetch_all(&self, host: &str) -> Vec<Result<(), Error>> {
        self.replicas.iter().map(|replica| replica.fetch(host)).collect()
    }

    /// Some seconds of calls by every replica.
    async fn busy(&self, seconds: u32, host: &str) {
        for _ in 0..seconds * 5 {
            drop(self.fetch_all(host));
            sleep(SECOND / 5).await;
        }
    }

    /// The keys of which the store knows.
    async fn in_store(&self) -> Vec<String> {
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

#[tokio::test(start_paused = true)]
async fn a_key_opens_for_all_by_quorum_and_no_other_one_does() {
    let service = Service::of(6, 10).await;
    service.world.is_down_for(0..6, "a");
    service.trip(0..1, "a").await;
    sleep(2 * SECOND).await;
    assert_eq!(
        service.replicas[1].fetch("a"),
        Err(Error::Down),
        "one replica opens its own only"
    );
    service.trip(2..3, "a").await;
    assert!(service.fetch_all("a").iter().all(is_open), "a third of them open all");
    assert_eq!(service.fetch_all("b"), vec![Ok(()); 6], "other keys are open");
    let refused = service.replicas[5].fetch("a").unwrap_err().to_string();
    assert!(
        refused.contains("failures in other replicas of the service"),
        "it says whose failures they are: {refused}"
    );
    let keys = service.replicas[5].keys();
    let seen: Vec<_> = keys.iter().map(|key| (key.map, key.key.as_str(), key.here)).collect();
    assert_eq!(seen, [("hosts", "a", "open")], "the status has the keys that take part");
    assert!(keys[0].is_open_for_all);
    assert_eq!(keys[0].epoch, 1);
}

#[tokio::test(start_paused = true)]
async fn one_probe_closes_it_for_all_and_it_is_let_go() {
    let service = Service::of(6, 10).await;
    service.world.is_down_for(0..6, "a");
    service.trip(0..2, "a").await;
    service.world.reached();
    service.busy(9, "a").await;
    assert_eq!(service.world.reached(), 0, "the cooldown is not over");
    service.busy(4, "a").await;
    assert_eq!(service.world.reached(), 1, "one replica tries it, and it still fails");
    service.world.is_well();
    service.busy(10, "a").await;
    assert_eq!(service.fetch_all("a"), vec![Ok(()); 6], "a probe has found it well");
    sleep(2 * SECOND).await;
    for replica in &service.replicas {
        assert_eq!(replica.keys(), [], "a key that is closed takes part no more");
        assert_eq!(
            Arc::strong_count(&replica.here.hosts.of("a")),
            2,
            "and is held by nobody"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_with_the_lease_is_replaced_when_an_attempt_would_be_over() {
    let mut service = Service::of(6, 10).await;
    service.world.is_down_for(0..6, "a");
    service.trip(0..2, "a").await;
    service.world.is_well();
    sleep(COOLDOWN).await;
    assert!(
        is_open(&service.replicas[3].fetch("a")),
        "who is called first wants it tried"
    );
    sleep(SECOND / 2).await;
    assert!(service.replicas[3].keys()[0].has_lease);
    service.replicas.remove(3).crash().await;
    service.busy(4, "a").await;
    assert_eq!(service.fetch_all("a"), vec![Ok(()); 5]);
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_later_has_it_open_before_its_first_call() {
    let mut service = Service::of(3, 10).await;
    service.world.is_down_for(0..4, "a");
    service.trip(0..2, "a").await;
    service.start(100).await;
    assert!(is_open(&service.replicas[3].fetch("a")));
}

#[tokio::test(start_paused = true)]
async fn no_more_take_part_than_may() {
    let service = Service::of(3, 2).await;
    for host in ["a", "b", "c", "d"] {
        service.world.is_down_for(0..2, host);
        service.trip(0..2, host).await;
    }
    assert_eq!(
        service.in_store().await,
        ["hosts[a]", "hosts[b]"],
        "the first ones have the places"
    );
    let third = &service.replicas[2];
    assert!(is_open(&third.fetch("a")) && is_open(&third.fetch("b")));
    assert_eq!(
        (third.fetch("c"), third.fetch("d")),
        (Ok(()), Ok(())),
        "the others stay local"
    );
    assert!(is_open(&service.replicas[0].fetch("c")), "where they are open");

    service.world.is_well();
    for host in ["a", "b", "c", "d"] {
        service.busy(15, host).await;
        assert_eq!(service.fetch_all(host), vec![Ok(()); 3], "{host} is well again");
    }
    sleep(WINDOW).await;
    service.world.is_down_for(0..2, "d");
    service.trip(0..2, "d").await;
    assert!(
        is_open(&service.replicas[2].fetch("d")),
        "a place is free when its key has closed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_place_that_nobody_tries_for_an_hour_is_given_away() {
    let service = Service::of(2, 1).await;
    service.world.is_down_for(0..2, "a");
    service.trip(0..2, "a").await;
    service.world.is_down_for(0..2, "b");
    sleep(Duration::from_secs(59 * 60)).await;
    service.trip(0..2, "b").await;
    assert_eq!(service.in_store().await, ["hosts[a]"], "it may still be tried");
    sleep(2 * COOLDOWN).await;
    service.busy(90, "b").await;
    assert_eq!(service.in_store().await, ["hosts[b]"], "another one has its place");
    service.world.is_well();
    sleep(COOLDOWN).await;
    assert_eq!(
        service.fetch_all("a"),
        vec![Ok(()); 2],
        "each replica tries it by itself"
    );
}

/// A replica that has found it open and well again by itself is none of those that make it open for all later.
#[tokio::test(start_paused = true)]
async fn a_report_is_taken_back_when_its_key_closes() {
    let service = Service::of(3, 10).await;
    service.world.is_down_for(0..1, "a");
    service.trip(0..1, "a").await;
    service.world.is_well();
    sleep(COOLDOWN).await;
    assert_eq!(service.replicas[0].fetch("a"), Ok(()), "it tries it by itself");
    sleep(2 * SECOND).await;
    assert_eq!(service.replicas[0].keys(), []);
    service.world.is_down_for(1..2, "a");
    service.trip(1..2, "a").await;
    sleep(2 * SECOND).await;
    assert_eq!(service.replicas[2].fetch("a"), Ok(()), "one replica is not enough");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_reset_here_closes_for_all_after_its_cooldown() {
    let service = Service::of(3, 10).await;
    service.world.is_down_for(0..2, "a");
    service.trip(0..2, "a").await;
    service.world.is_well();
    assert!(service.replicas[2].here.hosts.reset("a"));
    for _ in 0..8 {
        sleep(SECOND).await;
        assert_eq!(service.replicas[2].fetch("a"), Ok(()), "it stays closed here");
        assert!(is_open(&service.replicas[0].fetch("a")), "and open elsewhere");
    }
    sleep(4 * SECOND).await;
    assert_eq!(service.fetch_all("a"), vec![Ok(()); 3]);
}

/// Replicas look at it before it would let itself be tried.
#[tokio::test(start_paused = true)]
async fn a_key_with_a_short_cooldown_is_tried_by_one_at_a_time() {
    let mut service = Service::of(0, 10).await;
    for _ in 0..6 {
        service.start_with(map(10, lasting(100 * MILLI))).await;
    }
    service.world.is_down_for(0..6, "a");
    service.trip(0..2, "a").await;
    service.world.reached();
    for _ in 0..400 {
        drop(service.fetch_all("a"));
        sleep(5 * MILLI).await;
    }
    let probes = service.world.reached();
    assert!((5..=20).contains(&probes), "{probes} probes in 20 cooldowns");
}

/// Each failed probe doubles the cooldown of the one that has made it, and so that of all.
#[tokio::test(start_paused = true)]
async fn a_cooldown_that_grows_grows_for_all() {
    let mut service = Service::of(0, 10).await;
    for _ in 0..3 {
        let pattern = lasting(SECOND).cooldown_max(8 * SECOND);
        service.start_with(map(10, pattern)).await;
    }
    service.world.is_down_for(0..3, "a");
    service.trip(0..2, "a").await;
    service.world.reached();
    service.busy(30, "a").await;
    let probes = service.world.reached();
    assert!(
        (4..=7).contains(&probes),
        "{probes} probes in 30 s, after 1, 2, 4, 8, 8 and 8"
    );
}

/// Reports of many keys take longer than a replica may be silent.
#[tokio::test(start_paused = true)]
async fn many_keys_keep_no_replica_from_its_heartbeat() {
    let mut service = Service::of(0, 1_000).await;
    service.start(1_000).await;
    service.start(1_000).await;
    let names: Vec<String> = (0..200).map(|number| format!("host {number:03}")).collect();
    // Both have found them open while they were alone.
    service.store.be_gone(true);
    for name in &names {
        service.world.is_down_for(0..2, name);
        service.trip(0..2, name).await;
    }
    service.store.take(20 * MILLI);
    service.store.be_gone(false);
    let mut reached = false;
    for _ in 0..60 {
        sleep(SECOND).await;
        for replica in &service.replicas {
            let age = replica.member.view_age().unwrap();
            assert!(!reached || age < LIVE, "a replica was silent for {age:?}");
        }
        reached |= service.replicas.iter().all(|replica| replica.member.status().is_told);
        // They stay open.
        names.iter().for_each(|name| drop(service.fetch_all(name)));
        if service.in_store().await.len() == names.len() {
            return;
        }
    }
    panic!(
        "only {} of 200 have been reported by both",
        service.in_store().await.len()
    );
}

/// A key that a program has removed begins anew, and is opened again because it is open for all. That it is closed for a moment is not
/// taken for news.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_is_opened_again() {
    let service = Service::of(3, 10).await;
    service.world.is_down_for(0..3, "a");
    service.trip(0..2, "a").await;
    assert!(service.replicas[2].here.hosts.remove("a"));
    sleep(2 * SECOND).await;
    assert!(is_open(&service.replicas[2].fetch("a")));
    sleep(COOLDOWN).await;
    assert!(service.replicas[2].here.hosts.remove("a"));
    sleep(2 * SECOND).await;
    assert!(service.fetch_all("a").iter().all(is_open), "nobody has tried it");
}

/// It has no place for the key, and goes on without.
#[tokio::test(start_paused = true)]
async fn a_map_that_is_full_stays_as_it_is() {
    let mut service = Service::of(2, 10).await;
    service.start(1).await;
    service.world.is_down_for(0..3, "own");
    let full = &service.replicas[2];
    assert_eq!(full.fetch("own"), Err(Error::Down), "it has its only place");
    service.world.is_down_for(0..2, "a");
    service.trip(0..2, "a").await;
    sleep(2 * SECOND).await;
    assert_eq!(full.fetch("a"), Ok(()));
    assert_eq!(
        full.here.hosts.status().unkept,
        1,
        "the call counts, and the fleet does not"
    );
    assert_eq!(full.keys(), []);
}

/// As an older or a newer build may have written them.
#[tokio::test(start_paused = true)]
async fn what_is_no_key_here_is_left_alone() {
    static PORTS: KeyedBreakers<u16> = KeyedBreakers::new(10, pattern()).named("ports");
    let store = MemoryStore::new();
    let beat = Beat {
        replica: "other".to_owned(),
        says: String::new(),
    };
    store.pulse(&beat).await.unwrap();
    for path in ["ports[x]", "ports[]", "ports[07]", "ports[7]", "ports", "hosts[8]"] {
        let trip = Trip {
            tool: path.to_owned(),
            replica: "other".to_owned(),
            window: WINDOW,
            cooldown: COOLDOWN,
            quorum: Quorum::Of(1),
            most: None,
        };
        store.report_trip(&trip).await.unwrap();
    }
    let fleet = Fleet::over(store).keyed(&PORTS, 10);
    let entered = testing::isolated(async { fleet.enter().await.unwrap().0 });
    let member = entered.await;
    let kept: Vec<u16> = PORTS.iter().map(|(port, _)| port).collect();
    assert_eq!(kept, [7]);
    assert!(PORTS.of(&7).is_open());
    drop(member);
}

#[tokio::test(start_paused = true)]
async fn maps_that_cannot_take_part_are_refused() {
    static ONE: KeyedBreakers<String> = KeyedBreakers::new(10, pattern()).named("hosts");
    static OTHER: KeyedBreakers<u16> = KeyedBreakers::new(10, pattern()).named("hosts");
    static BRACKETS: KeyedBreakers<u16> = KeyedBreakers::new(10, pattern()).named("hosts[eu]");
    let fleet = || Fleet::over(MemoryStore::new());
    let cases = [
        (
            fleet().keyed(&ONE, 1).keyed(&OTHER, 1),
            "two maps of breakers are called `hosts`; give each a name of its own with `named`",
        ),
        (
            fleet().keyed(&BRACKETS, 1),
            "`hosts[eu]` cannot be the name of a map in the fleet; give it one without brackets with `named`",
        ),
        (
            fleet().keyed(&ONE, 0),
            "no key of `hosts` may take part; write how many may, or leave the map out",
        ),
    ];
    for (fleet, message) in cases {
        let refused = testing::isolated(fleet.join()).await;
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

const HOSTS: [&str; 4] = ["a", "b", "c", "d"];
const REPLICAS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// So many calls by one replica.
    Fetch(usize, usize, u8),
    FetchAll(usize),
    Wait(u64),
    /// A host fails for so many of them.
    Down(usize, usize),
    Well,
    Remove(usize, usize),
    Crash(usize),
    Start,
    Slow(u64),
    Gone(bool),
    LoseMessages(bool),
    Forget,
    Copy,
    Restore,
}

fn anything() -> impl Strategy<Value = Step> {
    let (replica, host) = (0..REPLICAS, 0..HOSTS.len());
    prop_oneof![
        8 => (replica.clone(), host.clone(), 1_u8..4).prop_map(|(replica, host, calls)| Step::Fetch(replica, host, calls)),
        4 => host.clone().prop_map(Step::FetchAll),
        8 => (0_u64..5_000).prop_map(Step::Wait),
        6 => (host.clone(), 1..=REPLICAS).prop_map(|(host, replicas)| Step::Down(host, replicas)),
        1 => Just(Step::Well),
        1 => (replica.clone(), host).prop_map(|(replica, host)| Step::Remove(replica, host)),
        1 => replica.prop_map(Step::Crash),
        1 => Just(Step::Start),
        1 => (0_u64..2_000).prop_map(Step::Slow),
        2 => any::<bool>().prop_map(Step::Gone),
        1 => any::<bool>().prop_map(Step::LoseMessages),
        1 => Just(Step::Forget),
        1 => Just(Step::Copy),
        1 => Just(Step::Restore),
    ]
}

async fn take(service: &mut Service, step: &Step, copy: &mut Option<Copy>) {
    let replicas = service.replicas.len();
    match *step {
        Step::Fetch(replica, host, calls) => {
            for _ in 0..calls {
                let _ = service.replicas[replica % replicas].fetch(HOSTS[host]);
            }
        }
        Step::FetchAll(host) => drop(service.fetch_all(HOSTS[host])),
        Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        Step::Down(host, replicas) => service.world.is_down_for(0..replicas, HOSTS[host]),
        Step::Well => service.world.is_well(),
        Step::Remove(replica, host) => {
            service.replicas[replica % replicas].here.hosts.remove(HOSTS[host]);
        }
        Step::Crash(replica) if replicas > 2 => service.replicas.remove(replica % replicas).crash().await,
        Step::Crash(_) => {}
        Step::Start => service.start(100).await,
        Step::Slow(millis) => service.store.take(Duration::from_millis(millis)),
        Step::Gone(is_gone) => service.store.be_gone(is_gone),
        Step::LoseMessages(loses) => service.store.lose_messages(loses),
        Step::Forget => service.store.forget(),
        Step::Copy => *copy = Some(service.store.copy()),
        Step::Restore => {
            if let Some(copy) = copy {
                service.store.restore(copy);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Calls take no time; the store never has more keys than may take part; and once all is well again and everybody is called, no key
    /// is refused anywhere, and none takes part.
    #[test]
    fn whatever_happens_all_keys_heal(steps in proptest::collection::vec(anything(), 1..80), most in 1_u32..4) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut service = Service::of(REPLICAS, most).await;
            let mut copy = None;
            for step in &steps {
                let (start, waits) = (Instant::now(), matches!(step, Step::Wait(_) | Step::Start));
                take(&mut service, step, &mut copy).await;
                prop_assert!(waits || start.elapsed().is_zero(), "{step:?} has taken {:?}", start.elapsed());
            }
            service.world.is_well();
            service.store.be_gone(false);
            service.store.take(Duration::ZERO);
            service.store.lose_messages(false);
            let in_store = service.in_store().await;
            prop_assert!(in_store.len() <= most as usize, "{in_store:?} of {most}, after {steps:?}");
            for _ in 0..40 {
                HOSTS.iter().for_each(|host| drop(service.fetch_all(host)));
                sleep(SECOND / 2).await;
            }
            for host in HOSTS {
                let answers = service.fetch_all(host);
                prop_assert!(answers.iter().all(Result::is_ok), "{host}: {answers:?} after {steps:?}");
            }
            sleep(2 * SECOND).await;
            for replica in &service.replicas {
                prop_assert_eq!(replica.keys(), vec![], "after {:?}", steps);
            }
            Ok(())
        })?;
    }
}
