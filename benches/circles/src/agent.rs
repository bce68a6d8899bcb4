//! [`Agent`]: what does an agent do with a tool that fails?
//!
//! It is a script of what public reports tell of models; `docs/agents.md` names them.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::client::Client;

pub(crate) const JOBS: u64 = 20;
/// How many rounds an agent makes for one job at most.
pub(crate) const ROUNDS: u32 = 90;
/// How long the user takes between two jobs, in milliseconds.
const PAUSES: RangeInclusive<u64> = 20_000..=60_000;
/// How long the model takes for a round, in milliseconds.
const THINKS: RangeInclusive<u64> = 3_000..=7_000;
/// How long the program around the model takes for an answer: a notification that comes with it is heard before the next round.
const HANDOVER: Duration = Duration::from_millis(50);
/// One of so many calls after an error has other arguments.
const VARIES: u8 = 5;

/// What it makes of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Does what it is told.
    Heeds,
    /// Calls again, whatever it is told.
    Insists,
}

/// What a failure tells a model to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    Stop,
    /// Call with other arguments, or go on without it.
    Change,
    None,
}

/// How a job went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Job {
    pub(crate) is_done: bool,
    /// Rounds whose call brought nothing, and the time that they took.
    pub(crate) futile: u32,
    pub(crate) lost: Duration,
}

#[derive(Debug)]
pub(crate) struct Agent {
    client: Client,
    temper: Temper,
    seed: u64,
}

impl Agent {
    pub(crate) fn new(client: Client, temper: Temper, seed: u64) -> Agent {
        Agent { client, temper, seed }
    }

    /// Does all jobs, one after another.
    pub(crate) async fn work(mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for number in 0..JOBS {
            let mut random = Rng::with_seed(self.seed.wrapping_mul(1_000).wrapping_add(number));
            sleep(Duration::from_millis(random.u64(PAUSES))).await;
            jobs.push(self.job(number, &mut random).await);
        }
        jobs
    }

    /// Needs one answer of the tool. Goes on without it if it is not offered, or, with an agent that heeds words, if it is told to.
    async fn job(&mut self, number: u64, random: &mut Rng) -> Job {
        let mut job = Job::default();
        let (mut must_vary, mut was_told_to_change) = (false, false);
        for round in 1..=ROUNDS {
            let began = Instant::now();
            sleep(HANDOVER).await;
            if !self.client.is_offered().await {
                break;
            }
            sleep(Duration::from_millis(random.u64(THINKS))).await;
            let varies = round > 1 && (random.u8(0..VARIES) == 0 || must_vary);
            let question = match varies {
                true => format!("question {number}, in the words of round {round}"),
                false => format!("question {number}"),
            };
            let Err(text) = self.client.call(question).await else {
                job.is_done = true;
                break;
            };
            job.futile += 1;
            job.lost += began.elapsed();
            must_vary = match self.advice(&text) {
                Advice::Stop => break,
                // It did so once, which has not helped either.
                _ if was_told_to_change => break,
                Advice::Change => {
                    was_told_to_change = true;
                    true
                }
                Advice::None => false,
            };
        }
        job
    }

    fn advice(&self, text: &str) -> Advice {
        let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
        if self.temper == Temper::Insists {
            Advice::None
        } else if says(&["Do not call it again", "It is switched off"]) {
            Advice::Stop
        } else if says(&["ask for less, or go on without it", "Change them, or go on without it"]) {
            Advice::Change
        } else {
            Advice::None
        }
    }
}
