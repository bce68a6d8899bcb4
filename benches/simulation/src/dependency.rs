//! [`Dependency`]: what do the agents call, and how does it fail?

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use sandbox_runtime::{Attempt, Failure, FromFailure, Verdict};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::random;

/// How many requests it works on at a time. Further ones queue, so that its answers take longer.
pub(crate) const CAPACITY: usize = 10;
/// When the outage begins and ends, from the beginning of the simulation.
pub(crate) const OUTAGE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(60)];
/// What it asks for where it says when to come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long it works on a request, in milliseconds, at these shares of all requests in ten thousand; linear between them.
const LATENCY: [(u64, u64); 5] = [(0, 50), (5_000, 150), (9_000, 400), (9_900, 1_000), (10_000, 1_500)];

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// In the outage it answers every request with an error, at once.
    Fails,
    /// The same, and the error says when to come back.
    FailsWithRetryAfter,
    /// In the outage it answers nothing; afterwards it works on all that has been asked meanwhile.
    Hangs,
    /// In the outage it answers every second request with an error, at once.
    FailsByHalf,
    /// No outage: at any time, it answers every fifth request with an error, at once.
    Flaky,
}

impl Trouble {
    /// How many requests in ten are answered with an error at this time.
    fn errors_in_ten(self, is_outage: bool) -> u8 {
        match (self, is_outage) {
            (Trouble::Flaky, _) => 2,
            (Trouble::FailsByHalf, true) => 5,
            (Trouble::Fails | Trouble::FailsWithRetryAfter, true) => 10,
            _ => 0,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Error {
    Down {
        retry_after: Option<Duration>,
    },
    /// The engine has ended the call after so many attempts.
    Sandbox {
        attempts: u32,
    },
}

impl FromFailure for Error {
    fn from_failure(failure: Failure) -> Self {
        Error::Sandbox {
            attempts: failure.attempts,
        }
    }
}

/// What an answer means for the call and for the breaker.
pub(crate) fn verdict(answer: &Result<(), Error>) -> Verdict {
    match answer {
        Ok(()) => Verdict::Success,
        Err(Error::Down { retry_after }) => Verdict::Retry { after: *retry_after },
        Err(Error::Sandbox { .. }) => Verdict::Fail,
    }
}

/// A request that has arrived, in time since the beginning of the simulation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) at: Duration,
    /// Whether the engine has sent it as a further attempt of a call.
    pub(crate) is_retry: bool,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    trouble: Trouble,
    began: Instant,
    workers: Arc<Semaphore>,
    random: Mutex<Rng>,
    requests: Mutex<Vec<Request>>,
}

impl Dependency {
    pub(crate) fn new(trouble: Trouble, seed: u64) -> Dependency {
        Dependency {
            trouble,
            began: Instant::now(),
            workers: Arc::new(Semaphore::new(CAPACITY)),
            random: Mutex::new(Rng::with_seed(seed)),
            requests: Mutex::default(),
        }
    }

    /// Sends it a request. A caller that goes away does not end the work on it: the dependency does not learn of that.
    pub(crate) async fn request(&self) -> Result<(), Error> {
        let arrived = self.began.elapsed();
        locked(&self.requests).push(Request {
            at: arrived,
            is_retry: Attempt::current().is_some_and(|attempt| attempt.number() > 1),
        });
        let (service, die) = {
            let mut random = locked(&self.random);
            (random::from_quantiles(&mut random, &LATENCY), random.u8(0..10))
        };
        let is_outage = (OUTAGE[0]..OUTAGE[1]).contains(&arrived);
        if die < self.trouble.errors_in_ten(is_outage) {
            return Err(self.down());
        }
        let hangs = (self.trouble == Trouble::Hangs).then(|| OUTAGE.map(|at| self.began + at));
        let work = tokio::spawn(work(Arc::clone(&self.workers), service, hangs));
        match self.trouble {
            // What was under way fails with it.
            Trouble::Fails | Trouble::FailsWithRetryAfter if !is_outage && arrived < OUTAGE[0] => {
                let answer = timeout_at(self.began + OUTAGE[0], work).await;
                answer.map(drop).map_err(|_| self.down())
            }
            _ => {
                let _ = work.await;
                Ok(())
            }
        }
    }

    fn down(&self) -> Error {
        Error::Down {
            retry_after: (self.trouble == Trouble::FailsWithRetryAfter).then_some(RETRY_AFTER),
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        locked(&self.requests).clone()
    }
}

/// The work on one request: it waits for its turn, and for the end of an outage in which everything stands still.
async fn work(workers: Arc<Semaphore>, service: Duration, hangs: Option<[Instant; 2]>) {
    let stands_still = async |hangs: [Instant; 2]| {
        if (hangs[0]..hangs[1]).contains(&Instant::now()) {
            sleep_until(hangs[1]).await;
        }
    };
    let _turn = workers.acquire().await;
    if let Some(hangs) = hangs {
        stands_still(hangs).await;
    }
    sleep(service).await;
    if let Some(hangs) = hangs {
        stands_still(hangs).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
