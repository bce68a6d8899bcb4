//! The scenario of two threads at one breaker.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use sandbox_benches::contestants::{self, Answer, Settings};
use sandbox_benches::measure::{Effort, Row, as_f64, at_once, calls_for, row};
use sandbox_benches::minimal::Counter;
use sandbox_benches::report::{number, ratio};
use sandbox_benches::{ours, tools};

use crate::scenarios::{assert_window_of_successes, windowed};

ours!(ready, tools::ready, Settings::STANDARD);

/// A contestant on one thread and on two: the rows' names say which.
struct Contended {
    effort: Effort,
    rows: Vec<(String, Row, Row)>,
}

impl Contended {
    fn add<F, R>(&mut self, name: &str, make: impl Fn() -> F + Sync)
    where
        F: AsyncFnMut(u64) -> R,
        R: Answer,
    {
        let turn = |threads, calls| at_once(name, threads, calls, &make);
        let calls = calls_for(self.effort.turn.as_secs_f64() * 1e9, |calls| turn(1, calls));
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..self.effort.rounds {
            samples[0].push(turn(1, calls) / as_f64(calls));
            samples[1].push(turn(2, calls) / as_f64(calls));
        }
        let [one, two] = samples.map(|samples| row(name.to_owned(), samples));
        self.rows.push((name.to_owned(), one, two));
    }
}

pub(crate) fn two_threads(effort: Effort) -> Vec<(String, Row, Row)> {
    let policy = Settings::STANDARD;
    let mut contended = Contended {
        effort,
        rows: Vec::new(),
    };
    contended.add("bare call", || tools::ready);
    contended.add("ours, failures in a row", || ready::by_attribute);
    contended.add("ours, window of 20", || windowed);
    let counter = Arc::new(Counter::new(policy.threshold));
    contended.add("minimal engine", || {
        contestants::minimal(tools::ready, policy, Arc::clone(&counter))
    });
    let breaker = contestants::recloser_breaker(policy);
    contended.add("backon + timeout + recloser", || {
        contestants::backon_recloser(tools::ready, policy, breaker.clone())
    });
    let breaker = Mutex::new(contestants::failsafe_breaker(policy));
    contended.add("backon + timeout + failsafe", || {
        let breaker = breaker.lock().expect("nothing panics with it").clone();
        contestants::backon_failsafe(tools::ready, policy, breaker)
    });
    let service = Mutex::new(contestants::tower_service(tools::ready, policy));
    contended.add("tower-resilience", || {
        contestants::tower_one(service.lock().expect("nothing panics with it").clone())
    });
    assert_window_of_successes();
    contended.rows
}

pub(crate) fn table(rows: &[(String, Row, Row)]) -> String {
    let bare = rows[0].1.min;
    let mut text = String::from(
        "### Contended: two threads on one breaker\n\nThe tool is ready at once. A thread's time for a call, alone and \
         with a second thread at the same breaker; from a common start to the end of the slower one.\n\n\
         | contestant | one thread, ns | two threads, ns | two to one | two threads to bare |\n|---|--:|--:|--:|--:|\n",
    );
    for (name, one, two) in rows {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} |",
            number(one.min),
            number(two.min),
            ratio(two.min / one.min),
            ratio(two.min / bare),
        );
    }
    text
}
