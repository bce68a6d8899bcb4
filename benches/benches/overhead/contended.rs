//! The scenario of two threads at one breaker.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use sandbox_benches::contestants::{self, Answer, Settings};
use sandbox_benches::measure::{Effort, Row, Tally, as_f64, calls_for, repeat, row, runtime};
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
        let turn = |threads, calls| {
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
                // One start for both: a thread that had to wait for a processor was not at the breaker with the other.
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
        };
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
