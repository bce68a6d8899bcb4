//! Replicas, each of which has the tools of this program for itself, and a dependency that they share.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sandbox_fleet::store::Store;
use sandbox_fleet::store::memory::MemoryStore;
use sandbox_fleet::{Fleet, FleetStatus, Operator, ToolInFleet};
use sandbox_runtime::{Policy, SandboxError, ToolHandle, sandboxed, testing, tool};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a message takes to be heard, and what follows from it.
pub(crate) const SHORTLY: Duration = Duration::from_millis(20);

/// What the tools of one test work with.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The replicas that the dependency fails for.
    pub(crate) down: Mutex<HashSet<usize>>,
    reached: AtomicU64,
}

impl World {
    pub(crate) fn is_down_for(&self, replicas: impl IntoIterator<Item = usize>) {
        *self.down.lock().unwrap() = replicas.into_iter().collect();
    }

    /// How many calls have reached the dependency since this was last asked.
    pub(crate) fn reached(&self) -> u64 {
        self.reached.swap(0, Ordering::SeqCst)
    }
}

tokio::task_local! {
    static HERE: (usize, Arc<World>);
}

/// Opens its breaker after two failures, for ten seconds.
#[sandboxed(timeout_ms = 500, max_retries = 0, breaker(threshold = 2, cooldown_ms = 10_000))]
pub(crate) async fn look_up() -> Result<(), Error> {
    let (replica, world) = HERE.get();
    world.reached.fetch_add(1, Ordering::SeqCst);
    match world.down.lock().unwrap().contains(&replica) {
        true => Err(Error::Down),
        false => Ok(()),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("down")]
    Down,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

type Ask = Box<dyn FnOnce() + Send>;

enum Command {
    Call(oneshot::Sender<Result<(), Error>>),
    Ask(Ask),
    Status(oneshot::Sender<FleetStatus>),
    Leave(oneshot::Sender<()>),
}

/// A replica in a task of its own.
pub(crate) struct Replica {
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

impl Replica {
    /// One that has joined.
    pub(crate) async fn joined(number: usize, store: impl Store, world: &Arc<World>) -> Replica {
        let (commands, mut received) = mpsc::unbounded_channel();
        let fleet = Fleet::over(store).replica(format!("replica {number}"));
        let (joined, has_joined) = oneshot::channel();
        let scope = testing::isolated(async move {
            let (member, task) = fleet.enter().await.expect("there is a store");
            joined.send(()).unwrap();
            let mut task = pin!(task);
            loop {
                let command = tokio::select! {
                    () = &mut task => return,
                    command = received.recv() => command,
                };
                match command {
                    Some(Command::Call(answer)) => {
                        let called = at_once(look_up()).expect("a call waits for nothing");
                        drop(answer.send(called));
                    }
                    Some(Command::Ask(ask)) => ask(),
                    Some(Command::Status(answer)) => drop(answer.send(member.status())),
                    Some(Command::Leave(left)) => {
                        let leaving = member.leave();
                        tokio::join!(leaving, &mut task);
                        left.send(()).unwrap();
                        return;
                    }
                    None => return,
                }
            }
        });
        let task = tokio::spawn(HERE.scope((number, Arc::clone(world)), scope));
        has_joined.await.unwrap();
        Replica { commands, task }
    }

    pub(crate) async fn call(&self) -> Result<(), Error> {
        self.send(Command::Call).await
    }

    pub(crate) async fn status(&self) -> FleetStatus {
        self.send(Command::Status).await
    }

    pub(crate) async fn leave(self) {
        self.send(Command::Leave).await;
    }

    /// The only tool, as it is in the fleet.
    pub(crate) async fn tool(&self) -> ToolInFleet {
        let mut tools = self.status().await.tools;
        tools.retain(|tool| tool.path.ends_with("look_up"));
        tools.pop().expect("it is annotated")
    }

    /// What is true of the tool here.
    pub(crate) async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(ToolHandle) -> T + Send + 'static) -> T {
        self.send(|answer| {
            Command::Ask(Box::new(move || {
                let told = answer.send(ask(tool("look_up").expect("it is annotated")));
                drop(told);
            }))
        })
        .await
    }

    pub(crate) async fn policy_in_force(&self) -> Policy {
        self.ask(|tool| tool.status().policy_in_force.expect("it is fixed"))
            .await
    }

    /// Ends as if its process were killed.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn send<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (sender, answer) = oneshot::channel();
        assert!(self.commands.send(command(sender)).is_ok(), "the replica runs");
        answer.await.expect("the replica runs")
    }
}

/// A service of so many replicas.
pub(crate) struct Service {
    pub(crate) store: MemoryStore,
    pub(crate) world: Arc<World>,
    pub(crate) replicas: Vec<Replica>,
}

impl Service {
    pub(crate) async fn of(number: usize) -> Service {
        let mut service = Service {
            store: MemoryStore::new(),
            world: Arc::default(),
            replicas: Vec::new(),
        };
        for _ in 0..number {
            service.start().await;
        }
        service
    }

    pub(crate) async fn start(&mut self) {
        let replica = Replica::joined(self.replicas.len(), self.store.clone(), &self.world).await;
        self.replicas.push(replica);
    }

    pub(crate) fn operator(&self) -> Operator<MemoryStore> {
        Operator::of(self.store.clone())
    }

    /// Calls of each replica, one after another.
    pub(crate) async fn call_all(&self) -> Vec<Result<(), Error>> {
        let mut answers = Vec::new();
        for replica in &self.replicas {
            answers.push(replica.call().await);
        }
        answers
    }

    /// The states of the breakers.
    pub(crate) async fn states(&self) -> Vec<&'static str> {
        let mut states = Vec::new();
        for replica in &self.replicas {
            states.push(replica.tool().await.here);
        }
        states
    }

    /// Lets so many replicas find out that the dependency is down.
    pub(crate) async fn trip(&self, replicas: std::ops::Range<usize>) {
        for replica in &self.replicas[replicas] {
            for _ in 0..2 {
                assert_eq!(replica.call().await, Err(Error::Down));
            }
        }
        sleep(SHORTLY).await;
    }
}

/// The answer of a future that has it when it is first polled.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    // Its turn is not taken from it for what the task has done before.
    let mut future = pin!(tokio::task::coop::unconstrained(future));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

pub(crate) fn is_open<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Sandbox(SandboxError::CircuitBreakerOpen { .. })))
}
