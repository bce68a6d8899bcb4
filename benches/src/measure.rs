//! The measurement: contestants take turns, round by round, and the best round counts.
//!
//! A machine that does other things makes rounds slower and never faster, so the minimum is what the code costs. The
//! clock is criterion's [`WallTime`].

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, WallTime};
use tokio::runtime::{Builder, Runtime};

use crate::contestants::Answer;
use crate::tools;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How often each contestant takes its turn.
    pub rounds: usize,
    /// How long a turn lasts at least.
    pub turn: Duration,
}

/// What every call of a scenario does; each turn asserts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The tool's value.
    Value,
    /// The tool's value, of its second run.
    SecondValue,
    /// The tool's error.
    Failure,
    /// A refusal by an open breaker, without a run of the tool.
    Refusal,
}

/// A contestant's figures, in nanoseconds a call.
#[derive(Debug, Clone)]
pub struct Row {
    /// What the contestant is called.
    pub name: String,
    /// The best round.
    pub min: f64,
    /// The median of the rounds.
    pub median: f64,
}

/// The clock: how many nanoseconds `work` took.
pub async fn clocked<T>(work: impl Future<Output = T>) -> (f64, T) {
    let clock = WallTime;
    let start = clock.start();
    let result = work.await;
    let took = clock.end(start);
    (clock.to_f64(&took), result)
}

/// A runtime as every contestant has one of its own.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime with time needs nothing that could be missing")
}

/// A turn: makes so many calls and says how many nanoseconds they took together.
type Turn = Box<dyn FnMut(u64) -> f64>;

/// A scenario and its contestants.
pub struct Scenario {
    effort: Effort,
    expect: Expect,
    contestants: Vec<(String, Turn)>,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario")
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}

impl Scenario {
    /// A scenario without contestants.
    #[must_use]
    pub fn new(effort: Effort, expect: Expect) -> Self {
        Scenario {
            effort,
            expect,
            contestants: Vec::new(),
        }
    }

    /// Adds the contestant that `make` makes, inside the runtime that it will run in.
    pub fn add<F, R>(&mut self, name: impl Into<String>, make: impl FnOnce() -> F)
    where
        F: AsyncFnMut(u64) -> R + 'static,
        R: Answer,
    {
        let expect = self.expect;
        self.add_expecting(name, expect, make);
    }

    /// Adds the bare call, which no breaker refuses.
    pub fn add_bare<F, R>(&mut self, make: impl FnOnce() -> F)
    where
        F: AsyncFnMut(u64) -> R + 'static,
        R: Answer,
    {
        let expect = match self.expect {
            Expect::Refusal => Expect::Value,
            expect => expect,
        };
        self.add_expecting("bare call", expect, make);
    }

    fn add_expecting<F, R>(&mut self, name: impl Into<String>, expect: Expect, make: impl FnOnce() -> F)
    where
        F: AsyncFnMut(u64) -> R + 'static,
        R: Answer,
    {
        let name = name.into();
        let runtime = runtime();
        let mut call = {
            let _inside = runtime.enter();
            make()
        };
        if expect == Expect::Refusal {
            runtime.block_on(open(&name, &mut call));
        }
        let told = name.clone();
        let turn = move |calls| {
            let before = tools::runs();
            let (nanos, tally) = runtime.block_on(clocked(repeat(&mut call, calls)));
            let runs = tools::runs() - before;
            match expect {
                Expect::Value => assert_eq!(tally, Tally::all(calls), "{told}"),
                Expect::SecondValue => {
                    assert_eq!(tally, Tally::all(calls), "{told}");
                    assert_eq!(runs, 2 * calls, "{told}: each call runs the tool twice");
                }
                Expect::Failure => {
                    assert_eq!(tally.values, 0, "{told}");
                    let answer = runtime.block_on(call(0));
                    assert!(
                        answer.value().is_none() && !answer.is_refusal(),
                        "{told}: the breaker is closed"
                    );
                }
                Expect::Refusal => {
                    let answer = runtime.block_on(call(0));
                    assert!(answer.is_refusal(), "{told}: the breaker is open");
                    assert_eq!(
                        (tally.values, tools::runs()),
                        (0, before),
                        "{told}: the tool does not run"
                    );
                }
            }
            nanos
        };
        self.contestants.push((name, Box::new(turn)));
    }

    /// Adds a contestant that awaits its calls in a loop of its own, written by
    /// [`awaited_in_a_loop!`](crate::awaited_in_a_loop). Each call is pending `pends` times.
    pub fn add_loop<F>(&mut self, name: impl Into<String>, pends: u64, mut calls_in_a_loop: F)
    where
        F: AsyncFnMut(u64) -> Tally + 'static,
    {
        let name = name.into();
        let runtime = runtime();
        assert_eq!(
            runtime.block_on(count_pending(calls_in_a_loop(1))),
            pends,
            "{name}: how often a call is pending"
        );
        let label = name.clone();
        let turn = move |calls| {
            let (nanos, tally) = runtime.block_on(clocked(calls_in_a_loop(calls)));
            assert_eq!(tally, Tally::all(calls), "{label}");
            nanos
        };
        self.contestants.push((name, Box::new(turn)));
    }

    /// Adds a contestant by what makes so many calls and says how many nanoseconds they took, and asserts what it claims by itself.
    pub fn add_turn(&mut self, name: impl Into<String>, turn: impl FnMut(u64) -> f64 + 'static) {
        self.contestants.push((name.into(), Box::new(turn)));
    }

    /// Lets all contestants take their turns. The first to be added is the bare call.
    #[must_use]
    pub fn run(mut self) -> Vec<Row> {
        let turn = self.effort.turn.as_secs_f64() * 1e9;
        let calls: Vec<u64> = self
            .contestants
            .iter_mut()
            .map(|(_, run)| calls_for(turn, run))
            .collect();
        let mut samples = vec![Vec::with_capacity(self.effort.rounds); self.contestants.len()];
        for _ in 0..self.effort.rounds {
            for (index, (_, run)) in self.contestants.iter_mut().enumerate() {
                samples[index].push(run(calls[index]) / as_f64(calls[index]));
            }
        }
        let names = self.contestants.into_iter().map(|(name, _)| name);
        names.zip(samples).map(|(name, samples)| row(name, samples)).collect()
    }
}

/// How many calls a turn has, so that it lasts long enough.
pub fn calls_for(turn: f64, mut run: impl FnMut(u64) -> f64) -> u64 {
    let mut calls = 1;
    while run(calls) < turn {
        calls *= 2;
    }
    calls
}

/// A contestant's row, of what its rounds took.
#[must_use]
pub fn row(name: String, mut samples: Vec<f64>) -> Row {
    samples.sort_by(f64::total_cmp);
    Row {
        name,
        min: samples[0],
        median: samples[samples.len() / 2],
    }
}

/// A count as a number to calculate with.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// What calls have returned.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many values.
    pub values: u64,
    /// Their sum, wrapping.
    pub sum: u64,
}

impl Tally {
    /// What `calls` calls have returned that all returned their argument.
    #[must_use]
    pub fn all(calls: u64) -> Self {
        Tally {
            values: calls,
            sum: (0..calls).fold(0, u64::wrapping_add),
        }
    }

    /// Adds what a call has returned.
    #[inline]
    pub fn add(&mut self, answer: &impl Answer) {
        if let Some(value) = answer.value() {
            self.values += 1;
            self.sum = self.sum.wrapping_add(value);
        }
    }
}

/// Makes `calls` calls, one after the other.
#[inline]
pub async fn repeat<F, R>(call: &mut F, calls: u64) -> Tally
where
    F: AsyncFnMut(u64) -> R,
    R: Answer,
{
    let mut tally = Tally::default();
    for argument in 0..calls {
        let mut future = pin!(call(black_box(argument)));
        let answer = black_box(poll_fn(|context| poll(future.as_mut(), context)).await);
        tally.add(&answer);
    }
    tally
}

/// Makes `calls` calls on each of so many threads at once, with what each makes for itself in a runtime, and says how many
/// nanoseconds that took: from a common start to the end of the slowest.
pub fn at_once<F, R>(name: &str, threads: usize, calls: u64, make: &(impl Fn() -> F + Sync)) -> f64
where
    F: AsyncFnMut(u64) -> R,
    R: Answer,
{
    let (waiting, start) = (AtomicUsize::new(threads), OnceLock::new());
    let one = || {
        let runtime = runtime();
        let mut call = {
            let _inside = runtime.enter();
            make()
        };
        waiting.fetch_sub(1, Ordering::AcqRel);
        while waiting.load(Ordering::Acquire) > 0 {
            std::hint::spin_loop();
        }
        // One start for all: a thread that had to wait for a processor was not at the breaker with the others.
        let start = *start.get_or_init(Instant::now);
        let tally = runtime.block_on(repeat(&mut call, calls));
        let nanos = start.elapsed().as_secs_f64() * 1e9;
        assert_eq!(tally, Tally::all(calls), "{name}");
        nanos
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let nanos = threads
            .into_iter()
            .map(|thread| thread.join().expect("a turn does not panic"));
        nanos.fold(0.0, f64::max)
    })
}

/// A contestant for [`Scenario::add_loop`]: makes calls one after the other, each awaited directly in the loop.
///
/// The loop is written for each contestant, because a generic function would take the call through a closure, which is an async
/// block between the loop and the call. The answer is hidden from the compiler, as from a caller that passes it on whole.
#[macro_export]
macro_rules! awaited_in_a_loop {
    (|$argument:ident| $call:expr) => {
        async |calls: u64| {
            let mut tally = $crate::measure::Tally::default();
            for $argument in 0..calls {
                tally.add(&::std::hint::black_box($call.await));
            }
            tally
        }
    };
}

/// How often `work` is pending until it is ready.
async fn count_pending(work: impl Future) -> u64 {
    let mut work = pin!(work);
    let mut pending = 0;
    poll_fn(|context| {
        let polled = work.as_mut().poll(context);
        pending += u64::from(polled.is_pending());
        polled
    })
    .await;
    pending
}

/// Polls a call. Never in line, neither the bare call nor any other: in line, the bare call melts into the loop around it, and
/// what it is compared with does or does not, as the compiler likes.
#[inline(never)]
fn poll<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}

/// Opens a contestant's breaker, by failures of the tool.
async fn open<F, R>(name: &str, call: &mut F)
where
    F: AsyncFnMut(u64) -> R,
    R: Answer,
{
    tools::set_down(true);
    let mut calls = 0;
    while !call(0).await.is_refusal() {
        calls += 1;
        assert!(calls < 100, "{name}: the breaker does not open");
    }
    tools::set_down(false);
}
