//! What does an agent do, and what is remembered of its calls?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use sandbox_runtime::{Budget, CircuitBreaker, Policy, Tool, execute_with_controls};
use tokio::time::{Instant, sleep, timeout};

use crate::dependency::{Dependency, Error, verdict};

/// How long an agent thinks before a call, in milliseconds.
const THINKS: std::ops::RangeInclusive<u64> = 1_000..=3_000;
/// How often agents call that are in step.
const STEP: Duration = Duration::from_secs(3);
/// How many calls a run of an agent makes. After it the agent begins another one.
const CALLS_OF_A_RUN: u32 = 20;

/// Without the engine.
pub(crate) const PLAIN_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const PLAIN_PAUSE: Duration = Duration::from_millis(200);

/// When agents call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each after it has thought for some time about the last answer.
    Thinking,
    /// All at the same moment, as agents do that a schedule starts.
    InStep,
}

/// What is around each call.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a simulation has one")]
pub(crate) enum Guard {
    /// A time limit for each of so many attempts, the same pause between them.
    Plain { attempts: u32 },
    Sandboxed {
        policy: Policy,
        breaker: CircuitBreaker,
        retries_of_a_run: Option<u32>,
    },
}

/// How a call has ended for the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Succeeded,
    Failed,
    /// Without an attempt.
    Refused,
}

/// A call that has ended, in time since the beginning of the simulation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) end: End,
}

/// What all agents share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) began: Instant,
    pub(crate) dependency: Dependency,
    pub(crate) pace: Pace,
    pub(crate) guard: Guard,
    pub(crate) calls: Mutex<Vec<Call>>,
}

/// Thinks and calls, run after run, for ever.
pub(crate) async fn agent(world: Arc<World>, seed: u64) {
    let mut random = Rng::with_seed(seed);
    loop {
        match world.guard {
            Guard::Sandboxed {
                retries_of_a_run: Some(retries),
                ..
            } => Budget::new().retries(retries).scope(run(&world, &mut random)).await,
            _ => run(&world, &mut random).await,
        }
    }
}

async fn run(world: &World, random: &mut Rng) {
    for _ in 0..CALLS_OF_A_RUN {
        let thinks = match world.pace {
            Pace::Thinking => Duration::from_millis(random.u64(THINKS)),
            Pace::InStep => until_next_step(world.began.elapsed()),
        };
        sleep(thinks).await;
        let began = world.began.elapsed();
        let end = call(world, random.u64(..)).await;
        let ended = world.began.elapsed();
        let mut calls = world.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(Call { began, ended, end });
    }
}

fn until_next_step(now: Duration) -> Duration {
    let steps = now.as_secs() / STEP.as_secs() + 1;
    Duration::from_secs(steps * STEP.as_secs()) - now
}

async fn call(world: &World, jitter_seed: u64) -> End {
    match &world.guard {
        Guard::Plain { attempts } => plain(&world.dependency, *attempts).await,
        Guard::Sandboxed { policy, breaker, .. } => {
            // A seed of its own: without one jitter is another in each simulation, and with one seed the same in all calls.
            let policy = policy.jitter_seed(jitter_seed);
            let tool = Tool::new("search", || world.dependency.request()).classify(verdict);
            match execute_with_controls(policy, breaker, tool).await {
                Ok(()) => End::Succeeded,
                Err(Error::Sandbox { attempts: 0 }) => End::Refused,
                Err(_) => End::Failed,
            }
        }
    }
}

async fn plain(dependency: &Dependency, attempts: u32) -> End {
    for attempt in 1..=attempts {
        if let Ok(Ok(())) = timeout(PLAIN_TIMEOUT, dependency.request()).await {
            return End::Succeeded;
        }
        if attempt < attempts {
            sleep(PLAIN_PAUSE).await;
        }
    }
    End::Failed
}
