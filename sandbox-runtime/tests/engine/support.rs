//! What the tests share: scripted tools and a stopwatch on the paused clock.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// What one attempt of a scripted tool does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Answer,
    Fail,
    Hang,
    Panic,
    /// Answers after this many milliseconds.
    AnswerAfter(u64),
    /// Fails after this many milliseconds.
    FailAfter(u64),
}

/// A tool that follows a script, one step an attempt; the last step repeats.
#[derive(Debug)]
pub(crate) struct Script {
    steps: Vec<Step>,
    attempts: Cell<usize>,
}

impl Script {
    pub(crate) fn new(steps: &[Step]) -> Self {
        Script {
            steps: steps.to_vec(),
            attempts: Cell::new(0),
        }
    }

    /// How many attempts were begun.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts.get()
    }

    /// The next attempt. An error carries the number of its attempt.
    pub(crate) fn run(&self) -> impl Future<Output = Result<Value, String>> + use<> {
        let index = self.attempts.get();
        self.attempts.set(index + 1);
        let step = self.steps[index.min(self.steps.len() - 1)];
        let attempt = index + 1;
        async move {
            match step {
                Step::Answer => {}
                Step::Fail => return Err(format!("attempt {attempt} failed")),
                Step::Hang => std::future::pending().await,
                Step::Panic => panic!("attempt {attempt} panicked"),
                Step::AnswerAfter(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
                Step::FailAfter(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    return Err(format!("attempt {attempt} failed"));
                }
            }
            Ok(json!({ "attempt": attempt }))
        }
    }
}

/// What a call with [`jitter_seed(0)`](sandbox_runtime::Policy::jitter_seed) spreads its delays by: the first numbers of
/// SplitMix64 (Steele, Lea and Flood, 2014) that starts at 0.
pub(crate) const NUMBERS_OF_SEED_0: [u64; 3] = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];

/// What `call` resolves to, and how many milliseconds it took on tokio's clock.
pub(crate) async fn timed<T>(call: impl Future<Output = T>) -> (T, u128) {
    let start = Instant::now();
    let result = call.await;
    (result, start.elapsed().as_millis())
}
