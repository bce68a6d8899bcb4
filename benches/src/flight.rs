//! Many calls at a time: their contestants, the time that they take and the bytes that they hold.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::contestants::{self, Answer, Settings};
use crate::measure::{Effort, Row, calls_for, clocked, row, runtime};
use crate::minimal::Counter;
use crate::ours;
use crate::tools;

ours!(flying, crate::tools::in_flight, Settings::STANDARD);

/// What is done with each contestant.
pub trait Visitor {
    /// Takes the contestant that `make` makes in a runtime.
    fn visit<F, R>(&mut self, name: &str, make: impl FnOnce() -> F)
    where
        F: AsyncFn(u64) -> R + 'static,
        R: Answer;
}

/// Shows `visitor` all contestants, the bare call first.
pub fn each(visitor: &mut impl Visitor) {
    let tool = tools::in_flight;
    let policy = Settings::STANDARD;
    visitor.visit("bare call", || tool);
    visitor.visit("tokio timeout alone", || contestants::timeout_alone(tool, policy));
    visitor.visit("ours, by attribute", || flying::by_attribute);
    visitor.visit("ours, by hand", || flying::by_hand);
    visitor.visit("minimal engine", || {
        contestants::minimal(tool, policy, Arc::new(Counter::new(policy.threshold)))
    });
    visitor.visit("backon + timeout + recloser", || {
        contestants::backon_recloser(tool, policy, contestants::recloser_breaker(policy))
    });
    visitor.visit("backon + timeout + failsafe", || {
        contestants::backon_failsafe(tool, policy, contestants::failsafe_breaker(policy))
    });
    visitor.visit("seatbelt", || contestants::seatbelt(tool, policy));
    visitor.visit("tower-resilience", || {
        contestants::tower_cloned(contestants::tower_service(tool, policy))
    });
}

/// Makes `count` calls that are all pending at once, and waits for all.
pub async fn fly<F, R>(call: &F, count: u64)
where
    F: AsyncFn(u64) -> R,
    R: Answer,
{
    let answers = join_all((0..count).map(|argument| call(argument))).await;
    assert!(
        answers
            .iter()
            .zip(0..)
            .all(|(answer, argument)| answer.value() == Some(argument))
    );
    let peak = u64::try_from(tools::take_peak()).ok();
    assert_eq!(peak, Some(count), "all calls are in flight together");
}

type Flight = Box<dyn FnMut(u64) -> f64>;

/// The times of `count` calls at a time.
#[must_use]
pub fn times(effort: Effort, count: u64) -> Vec<Row> {
    struct Flights(u64, Vec<(String, Flight)>);

    impl Visitor for Flights {
        fn visit<F, R>(&mut self, name: &str, make: impl FnOnce() -> F)
        where
            F: AsyncFn(u64) -> R + 'static,
            R: Answer,
        {
            let count = self.0;
            let runtime = runtime();
            let call = {
                let _inside = runtime.enter();
                make()
            };
            let flight = move |times| {
                let all = async {
                    for _ in 0..times {
                        fly(&call, count).await;
                    }
                };
                runtime.block_on(clocked(all)).0
            };
            self.1.push((name.to_owned(), Box::new(flight)));
        }
    }

    let mut flights = Flights(count, Vec::new());
    each(&mut flights);
    let turn = effort.turn.as_secs_f64() * 1e9;
    let mut flights: Vec<_> = flights
        .1
        .into_iter()
        .map(|(name, run)| (name, run, Vec::new(), 0))
        .collect();
    for (_, run, _, times) in &mut flights {
        *times = calls_for(turn, run);
    }
    for _ in 0..effort.rounds {
        for (_, run, samples, times) in &mut flights {
            samples.push(run(*times) / crate::measure::as_f64(*times * count));
        }
    }
    flights
        .into_iter()
        .map(|(name, _, samples, _)| row(name, samples))
        .collect()
}
