//! A rate whose scope is the fleet is shared by all replicas: together they never begin more, each has what it needs as far as there is
//! enough, and what one does not need goes to others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use proptest::prelude::*;
use sandbox_fleet::store::memory::{Copy, MemoryStore};
use sandbox_fleet::{Fleet, Operator};
use sandbox_runtime::{sandboxed, testing};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::SECOND;

const CALLS: usize = 12;
/// Within this time all claim, also if the store is slow.
const ALL_CLAIM: Duration = Duration::from_secs(8);

/// When calls have begun, each with its replica.
type Begun = Arc<Mutex<Vec<(Instant, usize)>>>;

tokio::task_local! {
    static HERE: (usize, Begun);
}

#[sandboxed(max_retries = 0, rate(calls = 12, per_ms = 1_000, scope = fleet), queue_ms = 3_000)]
async fn draw() -> Result<(), String> {
    HERE.with(|(replica, begun)| begun.lock().unwrap().push((Instant::now(), *replica)));
    Ok(())
}

enum Command {
    /// So many calls at a time.
    Draw(usize),
    Share(oneshot::Sender<Option<u32>>),
    Leave(oneshot::Sender<()>),
}

/// A replica that does several things at a time.
struct Station {
    number: usize,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

impl Station {
    async fn joined(number: usize, store: &MemoryStore, begun: &Begun) -> Station {
        let (commands, received) = mpsc::unbounded_channel();
        let (joined, has_joined) = oneshot::channel();
        let scope = testing::isolated(work(number, store.clone(), received, joined));
        let task = tokio::spawn(HERE.scope((number, Arc::clone(begun)), scope));
        has_joined.await.unwrap();
        Station { number, commands, task }
    }

    fn draw(&self, calls: usize) {
        assert!(self.commands.send(Command::Draw(calls)).is_ok(), "the replica runs");
    }

    async fn share(&self) -> Option<u32> {
        self.ask(Command::Share).await
    }

    async fn leave(self) {
        self.ask(Command::Leave).await;
    }

    async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (sender, answer) = oneshot::channel();
        assert!(self.commands.send(command(sender)).is_ok(), "the replica runs");
        answer.await.expect("the replica runs")
    }
}

async fn work(
    number: usize,
    store: MemoryStore,
    mut received: mpsc::UnboundedReceiver<Command>,
    joined: oneshot::Sender<()>,
) {
    let fleet = Fleet::over(store).replica(format!("replica {number}"));
    let (member, task) = fleet.enter().await.expect("a store in memory");
    joined.send(()).unwrap();
    let (mut task, mut calls) = (std::pin::pin!(task), FuturesUnordered::new());
    loop {
        let command = tokio::select! {
            () = &mut task => return,
            Some(_) = calls.next() => continue,
            command = received.recv() => command,
        };
        match command {
            Some(Command::Draw(number)) => calls.extend((0..number).map(|_| draw())),
            Some(Command::Share(answer)) => {
                let mut tools = member.status().tools.into_iter();
                let drawn = tools.find(|tool| tool.path.ends_with("draw"));
                answer.send(drawn.expect("it is annotated").share).unwrap();
            }
            Some(Command::Leave(left)) => {
                tokio::join!(member.leave(), &mut task);
                left.send(()).unwrap();
                return;
            }
            None => return,
        }
    }
}

/// The replicas of a service.
struct Service {
    store: MemoryStore,
    begun: Begun,
    stations: Vec<Station>,
    started: usize,
}

impl Service {
    async fn of(number: usize) -> Service {
        let mut service = Service {
            store: MemoryStore::new(),
            begun: Begun::default(),
            stations: Vec::new(),
            started: 0,
        };
        for _ in 0..number {
            service.start().await;
        }
        service
    }

    async fn start(&mut self) {
        let station = Station::joined(self.started, &self.store, &self.begun).await;
        self.stations.push(station);
        self.started += 1;
    }

    /// Each replica begins as many calls in a second as its number says, spread over the second, for so many seconds.
    async fn demand(&self, calls: &[usize], seconds: u32) {
        for _ in 0..seconds * 20 {
            for (station, calls) in self.stations.iter().zip(calls) {
                station.draw(calls / 20);
            }
            sleep(SECOND / 20).await;
        }
    }

    /// How many calls each replica has begun since a moment.
    fn begun_since(&self, since: Instant) -> Vec<usize> {
        let begun = self.begun.lock().unwrap();
        let of = |number| begun.iter().filter(|(at, by)| *at >= since && *by == number).count();
        self.stations.iter().map(|station| of(station.number)).collect()
    }

    /// The most calls that have begun in a second.
    fn most_in_a_second(&self) -> usize {
        let begun: Vec<_> = self.begun.lock().unwrap().iter().map(|(at, _)| *at).collect();
        let in_second =
            |(first, at): (usize, &Instant)| begun[first..].iter().filter(|other| **other - *at < SECOND).count();
        begun.iter().enumerate().map(in_second).max().unwrap_or_default()
    }

    async fn shares(&self) -> Vec<Option<u32>> {
        let mut shares = Vec::new();
        for station in &self.stations {
            shares.push(station.share().await);
        }
        shares
    }
}

#[tokio::test(start_paused = true)]
async fn one_replica_has_all_that_it_wants() {
    let service = Service::of(1).await;
    assert_eq!(service.shares().await, [Some(6)], "a part is left for who comes next");
    let start = Instant::now();
    service.stations[0].draw(CALLS + 1);
    sleep(SECOND / 2).await;
    assert_eq!(
        service.begun_since(start),
        [CALLS],
        "it has more as soon as it wants it"
    );
    sleep(SECOND).await;
    assert_eq!(service.begun_since(start), [CALLS + 1], "and the rest a second later");
}

#[tokio::test(start_paused = true)]
async fn together_they_begin_as_many_as_the_rate_allows_and_no_more() {
    let service = Service::of(4).await;
    let start = Instant::now();
    service.demand(&[40, 40, 40, 40], 10).await;
    assert!(
        service.most_in_a_second() <= CALLS,
        "{} in a second",
        service.most_in_a_second()
    );
    let begun = service.begun_since(start);
    assert!(
        begun.iter().all(|begun| *begun >= 25),
        "of 120 calls, each of four replicas has about as many as the others: {begun:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_share_goes_where_it_is_wanted() {
    let service = Service::of(3).await;
    service.demand(&[60, 0, 0], 4).await;
    let start = Instant::now();
    service.demand(&[60, 0, 0], 5).await;
    let [busy, ..] = service.begun_since(start)[..] else {
        panic!()
    };
    assert!(
        busy >= 5 * CALLS - 5,
        "the only one that wants it has nearly all: {busy}"
    );
    // As long as calls wait in the queue of the first one, it wants them to begin.
    service.demand(&[0, 0, 60], 6).await;
    let start = Instant::now();
    service.demand(&[0, 0, 60], 5).await;
    let [.., busy] = service.begun_since(start)[..] else {
        panic!()
    };
    assert!(busy >= 5 * CALLS - 5, "and then another one: {busy}");
    assert!(service.most_in_a_second() <= CALLS);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_leaves_its_share_to_others() {
    let mut service = Service::of(2).await;
    service.demand(&[60, 0], 4).await;
    service.stations.remove(0).leave().await;
    let start = Instant::now();
    service.demand(&[60], 4).await;
    let [rest] = service.begun_since(start)[..] else {
        panic!()
    };
    assert!(rest >= 3 * CALLS, "it has what the other one had: {rest} in 4 s");
    assert!(service.most_in_a_second() <= CALLS);
}

/// It has the whole rate, as without a fleet.
#[tokio::test(start_paused = true)]
async fn who_cannot_claim_at_first_goes_on_by_itself() {
    let mut service = Service::of(0).await;
    let store = service.store.clone();
    store.take(SECOND / 10);
    let goes_away = async {
        // After its heartbeat was taken, and before its claim is.
        sleep(SECOND / 4).await;
        store.be_gone(true);
    };
    tokio::join!(service.start(), goes_away);
    assert_eq!(service.shares().await, [None]);
    let start = Instant::now();
    service.stations[0].draw(CALLS + 1);
    sleep(SECOND / 2).await;
    assert_eq!(service.begun_since(start), [CALLS]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_each_replicas_own_is_shared_no_more() {
    let service = Service::of(2).await;
    service.demand(&[60, 0], 4).await;
    let own =
        json!({ "version": 1, "tool": { "draw": { "rate": { "calls": 12, "per_ms": 1_000, "scope": "process" } } } });
    let operator = Operator::of(service.store.clone());
    operator.apply(&serde_json::from_value(own).unwrap()).await.unwrap();
    sleep(2 * SECOND).await;
    assert_eq!(service.shares().await, [None, None], "each has the whole rate");
    service.demand(&[0, 0], 4).await;
    let start = Instant::now();
    service.stations.iter().for_each(|station| station.draw(CALLS));
    sleep(SECOND / 2).await;
    assert_eq!(service.begun_since(start), [CALLS, CALLS]);
    operator.clear().await.unwrap();
    sleep(2 * SECOND).await;
    let shares = service.shares().await;
    let all: u32 = shares.iter().map(|share| share.expect("it is shared again")).sum();
    assert!(all <= 12, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_crashed_replica_had_is_given_to_others_later() {
    let mut service = Service::of(2).await;
    service.demand(&[60, 0], 4).await;
    service.stations.remove(0).crash().await;
    sleep(60 * SECOND).await;
    service.demand(&[60], 4).await;
    let start = Instant::now();
    service.demand(&[60], 4).await;
    let [rest] = service.begun_since(start)[..] else {
        panic!()
    };
    assert!(rest >= 4 * CALLS - 5, "it has what the other one had: {rest} in 4 s");
}

#[tokio::test(start_paused = true)]
async fn without_the_store_each_keeps_its_last_share() {
    let service = Service::of(3).await;
    service.demand(&[40, 40, 40], 5).await;
    let before = service.shares().await;
    service.store.be_gone(true);
    let start = Instant::now();
    service.demand(&[40, 40, 40], 5).await;
    assert_eq!(service.shares().await, before);
    let begun: usize = service.begun_since(start).iter().sum();
    assert!(
        begun >= 5 * CALLS - 12,
        "calls go on: {begun} in 5 s by shares of {before:?}"
    );
    assert!(service.most_in_a_second() <= CALLS);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_never_reached_the_store_goes_on_by_itself() {
    let store = MemoryStore::new();
    store.be_gone(true);
    let begun = Begun::default();
    let station = Station::joined(0, &store, &begun).await;
    station.draw(CALLS);
    sleep(SECOND / 20).await;
    assert_eq!(begun.lock().unwrap().len(), CALLS, "it has the whole rate");
    store.be_gone(false);
    sleep(3 * SECOND).await;
    assert_eq!(station.share().await, Some(6), "and a share once the store answers");
}

/// The store is asked by the clock, and at most ten times a second more while calls are held back; never for a call.
#[tokio::test(start_paused = true)]
async fn no_call_asks_the_store() {
    let service = Service::of(2).await;
    let steps = async |calls: &[usize]| {
        let before = service.store.steps();
        service.demand(calls, 10).await;
        service.store.steps() - before
    };
    let (idle, few, many) = (
        steps(&[0, 0]).await,
        steps(&[20, 0]).await,
        steps(&[2_000, 2_000]).await,
    );
    assert!(idle <= 2 * 10 * 2 + 4, "a pulse and a claim in a second: {idle}");
    assert!(few <= idle + 100, "{few} for 20 calls in a second, {idle} for none");
    assert!(
        many <= idle + 2 * 100,
        "{many} for 4,000 calls in a second, {idle} for none"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Draw(usize, usize),
    Wait(u64),
    Crash(usize),
    Leave(usize),
    Start,
    /// The store takes so long for a step, in milliseconds.
    Slow(u64),
    Gone(bool),
    Forget,
    Copy,
    Restore,
}

fn anything() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<usize>(), 1_usize..20).prop_map(|(replica, calls)| Step::Draw(replica, calls)),
        8 => (0_u64..1_500).prop_map(Step::Wait),
        1 => any::<usize>().prop_map(Step::Crash),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => Just(Step::Start),
        2 => (0_u64..1_200).prop_map(Step::Slow),
        2 => any::<bool>().prop_map(Step::Gone),
        1 => Just(Step::Forget),
        1 => Just(Step::Copy),
        1 => Just(Step::Restore),
    ]
}

async fn take(service: &mut Service, step: &Step, copy: &mut Option<(Instant, Copy)>) {
    let count = service.stations.len();
    match *step {
        Step::Draw(replica, calls) => service.stations[replica % count].draw(calls),
        Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        Step::Crash(replica) if count > 2 => service.stations.remove(replica % count).crash().await,
        // Who leaves while the store is gone takes its share along, until that is forgotten.
        Step::Leave(replica) if count > 2 => service.stations.remove(replica % count).leave().await,
        Step::Crash(_) | Step::Leave(_) => {}
        Step::Start => {
            // A replica that starts without the store, or while the store does not know the others, has no share of theirs.
            service.store.be_gone(false);
            service.store.take(Duration::ZERO);
            sleep(4 * SECOND).await;
            service.start().await;
        }
        Step::Slow(millis) => service.store.take(Duration::from_millis(millis)),
        Step::Gone(is_gone) => {
            service.store.be_gone(is_gone);
            *copy = copy.take().filter(|(at, _)| at.elapsed() > ALL_CLAIM);
        }
        Step::Forget => service.store.forget(),
        Step::Copy => *copy = Some((Instant::now(), service.store.copy())),
        Step::Restore => {
            // One that is younger than the last claims of all lacks the claims of some, of which the others cannot know.
            if let Some((_, copy)) = copy.as_ref().filter(|(at, _)| at.elapsed() > ALL_CLAIM) {
                service.store.restore(copy);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens to replicas and to the store, in no second do more calls begin than the rate allows.
    #[test]
    fn never_more_whatever_happens(steps in proptest::collection::vec(anything(), 1..80)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut service, mut copy) = (Service::of(4).await, None);
            for step in &steps {
                take(&mut service, step, &mut copy).await;
                let most = service.most_in_a_second();
                prop_assert!(most <= CALLS, "{most} in a second after {step:?} of {steps:?}");
            }
            Ok(())
        })?;
    }
}
