//! Many breakers, one for each host that tools call, say: their contestants, and the time of a call that goes to another
//! breaker than the one before.

use std::collections::HashMap;
use std::hint::black_box;

use sandbox_runtime::{CircuitBreaker, sandboxed};

use crate::contestants::{self, Answer, Settings};
use crate::measure::{Effort, Expect, Row, Scenario, repeat, runtime};
use crate::minimal::Counter;
use crate::tools;

/// What is done with each contestant.
pub trait Visitor {
    /// Takes the contestant for which `breakers` makes so many breakers, and `call` what is called with them. Both are called
    /// in a runtime.
    fn visit<B, F, R>(&mut self, name: &str, breakers: impl Fn(u64) -> B, call: impl Fn(B) -> F)
    where
        F: AsyncFnMut(u64) -> R + 'static,
        R: Answer;
}

#[sandboxed(breaker = breaker)]
async fn guarded(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

#[sandboxed(breaker = &breakers[host])]
async fn guarded_by_host(breakers: &HashMap<String, CircuitBreaker>, host: &str, argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

/// Shows `visitor` all contestants, the bare call first.
pub fn each(visitor: &mut impl Visitor) {
    let tool = tools::ready;
    let policy = Settings::STANDARD;
    visitor.visit("bare call", many(|| tool), spread);
    visitor.visit("ours, by attribute", many(breaker), ours);
    visitor.visit("minimal engine", many(|| Counter::new(policy.threshold)), |counters| {
        let engine = |counter| contestants::minimal(tool, policy, Box::new(counter));
        spread(counters.into_iter().map(engine).collect())
    });
    let recloser = || contestants::recloser_breaker(policy);
    visitor.visit("backon + timeout + recloser", many(recloser), |breakers| {
        let engine = |breaker| contestants::backon_recloser(tool, policy, breaker);
        spread(breakers.into_iter().map(engine).collect())
    });
    let failsafe = || contestants::failsafe_breaker(policy);
    visitor.visit("backon + timeout + failsafe", many(failsafe), |breakers| {
        let engine = |breaker| contestants::backon_failsafe(tool, policy, breaker);
        spread(breakers.into_iter().map(engine).collect())
    });
    visitor.visit("seatbelt", many(|| contestants::seatbelt(tool, policy)), spread);
    let tower = || contestants::tower_service(tool, policy);
    visitor.visit("tower-resilience", many(tower), |services| {
        spread(services.into_iter().map(contestants::tower_one).collect())
    });
    visitor.visit("a look-up by host alone", by_host(|| ()), |nothing| {
        let hosts = hosts(&nothing);
        async move |argument| {
            black_box(nothing.get(pick(&hosts, argument)));
            tool(argument).await
        }
    });
    visitor.visit("ours, looked up by host", by_host(breaker), |breakers| {
        let hosts = hosts(&breakers);
        async move |argument| {
            let host: &String = pick(&hosts, argument);
            guarded_by_host(&breakers, host, argument).await
        }
    });
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(Settings::STANDARD.threshold)
}

fn ours(breakers: Vec<CircuitBreaker>) -> impl AsyncFnMut(u64) -> Result<u64, String> {
    async move |argument| guarded(pick(&breakers, argument), argument).await
}

fn many<B>(make: impl Fn() -> B) -> impl Fn(u64) -> Vec<B> {
    move |count| (0..count).map(|_| make()).collect()
}

fn by_host<B>(make: impl Fn() -> B) -> impl Fn(u64) -> HashMap<String, B> {
    move |count| (0..count).map(|host| (format!("{host}.example.org"), make())).collect()
}

fn hosts<B>(breakers: &HashMap<String, B>) -> Vec<String> {
    breakers.keys().cloned().collect()
}

/// Calls the engines in turns.
fn spread<F, R>(mut engines: Vec<F>) -> impl AsyncFnMut(u64) -> R
where
    F: AsyncFnMut(u64) -> R,
{
    async move |argument| {
        let index = index(argument, engines.len());
        engines[index](argument).await
    }
}

fn pick<T>(things: &[T], argument: u64) -> &T {
    &things[index(argument, things.len())]
}

/// Goes through all of `count` things, far from one to the next: the processor does not fetch it ahead.
#[allow(clippy::cast_possible_truncation, reason = "it is below `count`")]
fn index(argument: u64, count: usize) -> usize {
    (argument.wrapping_mul(7_919) % count as u64) as usize
}

/// The times of calls that are spread over `count` breakers.
#[must_use]
pub fn times(effort: Effort, count: u64) -> Vec<Row> {
    struct Spread(Scenario, u64);

    impl Visitor for Spread {
        fn visit<B, F, R>(&mut self, name: &str, breakers: impl Fn(u64) -> B, call: impl Fn(B) -> F)
        where
            F: AsyncFnMut(u64) -> R + 'static,
            R: Answer,
        {
            self.0.add(name, || call(breakers(self.1)));
        }
    }

    assert_all_are_called(count);
    let mut spread = Spread(Scenario::new(effort, Expect::Value), count);
    each(&mut spread);
    spread.0.run()
}

/// Asserts that of `count` calls each goes to a breaker of its own: one that is open refuses one of them.
fn assert_all_are_called(count: u64) {
    for open in [0, count - 1] {
        let breakers = many(breaker)(count);
        pick(&breakers, open).force_open();
        let tally = runtime().block_on(repeat(&mut ours(breakers), count));
        assert_eq!(tally.values, count - 1);
    }
}
