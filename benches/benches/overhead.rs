//! `cargo bench -p sandbox-benches`: every scenario, as Markdown on standard output and in `docs/`. Without cargo's
//! `--bench`, as in `cargo test --benches`, it runs everything once, in short, and writes nothing.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sandbox_benches::contestants::{self, Answer, CallError, NEVER, Settings};
use sandbox_benches::measure::{Effort, Expect, Row, Scenario, Tally, as_f64, calls_for, repeat, row, runtime};
use sandbox_benches::minimal::Counter;
use sandbox_benches::report::{self, find, number, ratio, version};
use sandbox_benches::{flight, ours, svg, tools};
use sandbox_runtime::{CircuitBreaker, sandboxed};

ours!(ready, tools::ready, Settings::STANDARD);
ours!(pending, tools::pending_once, Settings::STANDARD);
ours!(failing, tools::failing, Settings::ONCE);
ours!(refused, tools::counted, Settings::AT_ONCE);
ours!(retried, tools::flaky, Settings::AT_ONCE);

/// The contestants of one scenario that take the policy at run time, after the bare call and ours.
fn peers<A>(scenario: &mut Scenario, tool: impl Fn(u64) -> A + Copy + Send + Sync + 'static, policy: Settings)
where
    A: Future<Output = Result<u64, String>> + Send + 'static,
{
    scenario.add("minimal engine", || {
        contestants::minimal(tool, policy, Arc::new(Counter::new(policy.threshold)))
    });
    scenario.add("backon + timeout + recloser", || {
        contestants::backon_recloser(tool, policy, contestants::recloser_breaker(policy))
    });
    scenario.add("backon + timeout + failsafe", || {
        contestants::backon_failsafe(tool, policy, contestants::failsafe_breaker(policy))
    });
    scenario.add("seatbelt", || contestants::seatbelt(tool, policy));
    scenario.add("tower-resilience", || {
        contestants::tower_one(contestants::tower_service(tool, policy))
    });
}

fn ready_at_once(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Value);
    scenario.add_bare(|| tools::ready);
    scenario.add("tokio timeout alone", || {
        contestants::timeout_alone(tools::ready, Settings::STANDARD)
    });
    scenario.add("ours, by attribute", || ready::by_attribute);
    scenario.add("ours, by hand", || ready::by_hand);
    scenario.add("ours, window of 20", || windowed_inline);
    scenario.add("ours, window of 20, shared static", || windowed);
    peers(&mut scenario, tools::ready, Settings::STANDARD);
    let rows = scenario.run();
    assert_window_of_successes();
    rows
}

fn pending_once(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Value);
    let tool = tools::pending_once;
    scenario.add_bare(|| tool);
    scenario.add("tokio timeout alone", || {
        contestants::timeout_alone(tool, Settings::STANDARD)
    });
    scenario.add("ours, by attribute", || pending::by_attribute);
    scenario.add("ours, by hand", || pending::by_hand);
    peers(&mut scenario, tool, Settings::STANDARD);
    scenario.run()
}

fn failing_without_retry(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Failure);
    scenario.add_bare(|| tools::failing);
    scenario.add("tokio timeout alone", || {
        contestants::timeout_alone(tools::failing, Settings::ONCE)
    });
    scenario.add("ours, by attribute", || failing::by_attribute);
    scenario.add("ours, by hand", || failing::by_hand);
    peers(&mut scenario, tools::failing, Settings::ONCE);
    scenario.run()
}

fn refused_by_an_open_breaker(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::Refusal);
    scenario.add_bare(|| tools::counted);
    scenario.add("ours, by attribute", || refused::by_attribute);
    scenario.add("ours, by attribute, typed error", || refused::typed);
    scenario.add("ours, forced open, typed error", || {
        FORCED.force_open();
        forced_open
    });
    scenario.add("ours, by hand", || refused::by_hand);
    peers(&mut scenario, tools::counted, Settings::AT_ONCE);
    scenario.run()
}

fn retried_once(effort: Effort) -> Vec<Row> {
    let mut scenario = Scenario::new(effort, Expect::SecondValue);
    scenario.add_bare(|| {
        async |argument| match tools::flaky(argument).await {
            Ok(value) => Ok(value),
            Err(_) => tools::flaky(argument).await,
        }
    });
    scenario.add("ours, by attribute", || retried::by_attribute);
    scenario.add("ours, by hand", || retried::by_hand);
    peers(&mut scenario, tools::flaky, Settings::AT_ONCE);
    scenario.run()
}

/// The breaker without the engine: one admission and one result.
fn breaker_alone(effort: Effort) -> Vec<Row> {
    static CONSECUTIVE: CircuitBreaker = CircuitBreaker::new(5);
    static WINDOWED: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);
    static MIXED: CircuitBreaker = CircuitBreaker::windowed(64, 1.0);

    async fn success(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
        breaker.admit()?.success();
        Ok(argument)
    }
    async fn mixed(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
        let permit = breaker.admit()?;
        if argument.is_multiple_of(4) {
            permit.failure()
        } else {
            permit.success()
        }
        Ok(argument)
    }

    static FORCED: CircuitBreaker = CircuitBreaker::new(5);
    static OPEN: CircuitBreaker = CircuitBreaker::new(5).cooldown(contestants::COOLDOWN);
    FORCED.force_open();
    while !OPEN.is_open() {
        OPEN.record_failure();
    }

    async fn refused(breaker: &CircuitBreaker, argument: u64) -> Result<u64, String> {
        match breaker.admit() {
            Ok(_) => Err(String::new()),
            Err(_) => Ok(argument),
        }
    }

    let mut scenario = Scenario::new(effort, Expect::Value);
    scenario.add_bare(|| tools::ready);
    scenario.add("one reading of tokio's clock", || {
        async |argument| {
            std::hint::black_box(tokio::time::Instant::now());
            tools::ready(argument).await
        }
    });
    scenario.add("failures in a row: a success", || {
        async |argument| success(&CONSECUTIVE, argument).await
    });
    scenario.add("window of 20: a success", || {
        async |argument| success(&WINDOWED, argument).await
    });
    scenario.add("window of 64: every fourth a failure", || {
        async |argument| mixed(&MIXED, argument).await
    });
    scenario.add("a refusal", || async |argument| refused(&OPEN, argument).await);
    scenario.add("a refusal, forced open", || {
        async |argument| refused(&FORCED, argument).await
    });
    scenario.run()
}

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

static WINDOW: CircuitBreaker = CircuitBreaker::windowed(20, 0.5);

#[sandboxed(breaker = &WINDOW)]
async fn windowed(argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

static FORCED: CircuitBreaker = CircuitBreaker::new(5);

#[sandboxed(breaker(window = 20, failure_rate = 0.5))]
async fn windowed_inline(argument: u64) -> Result<u64, String> {
    tools::ready(argument).await
}

#[sandboxed(breaker = &FORCED)]
async fn forced_open(argument: u64) -> Result<u64, CallError> {
    tools::counted(argument).await.map_err(CallError::Tool)
}

/// Asserts that the calls so far were recorded in the window: it takes ten failures more to open the breaker.
fn assert_window_of_successes() {
    assert_eq!(WINDOW.failure_count(), 0);
    for failures in 1..10 {
        assert_eq!(WINDOW.record_failure(), failures);
        assert!(!WINDOW.is_open());
    }
    WINDOW.record_failure();
    assert!(
        WINDOW.is_open(),
        "the window is full of successes and takes ten failures to open"
    );
    WINDOW.reset();
}

fn two_threads(effort: Effort) -> Vec<(String, Row, Row)> {
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
    let breaker = std::sync::Mutex::new(contestants::failsafe_breaker(policy));
    contended.add("backon + timeout + failsafe", || {
        let breaker = breaker.lock().expect("nothing panics with it").clone();
        contestants::backon_failsafe(tools::ready, policy, breaker)
    });
    let service = std::sync::Mutex::new(contestants::tower_service(tools::ready, policy));
    contended.add("tower-resilience", || {
        contestants::tower_one(service.lock().expect("nothing panics with it").clone())
    });
    assert_window_of_successes();
    contended.rows
}

fn contended_table(rows: &[(String, Row, Row)]) -> String {
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

const FLIGHTS: [u64; 3] = [1, 1_000, 100_000];

fn flights_table(times: &[Vec<Row>], bytes: &str) -> String {
    let mut text = String::from(
        "### Calls in flight\n\nAll are pending at once (`join_all`), then all end. Time of one call, making and \
         dropping it included, and its ratio to the bare call's. `size_of_val` of a call's future; bytes allocated at \
         the peak for each call, what `join_all` takes included (see the bare call).\n\n\
         | contestant | 1: ns | ratio | 1,000: ns | ratio | 100,000: ns | ratio | future, bytes | 1: bytes | 1,000: \
         bytes | 100,000: bytes |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (index, line) in bytes.lines().enumerate() {
        let (name, sizes) = line.split_once('\t').expect("`bytes` prints a name and numbers");
        let _ = write!(text, "| {name} |");
        for rows in times {
            assert_eq!(rows[index].name, name);
            let min = rows[index].min;
            let _ = write!(text, " {} | {} |", number(min), ratio(min / rows[0].min));
        }
        let _ = writeln!(text, " {} |", sizes.replace('\t', " | "));
    }
    text
}

/// What was aimed at, and what was measured.
struct Targets(String);

impl Targets {
    fn add(&mut self, aim: &str, measured: String, met: bool) {
        let met = if met { "yes" } else { "no" };
        let _ = writeln!(self.0, "| {aim} | {measured} | {met} |");
    }
}

fn main() {
    let writes = std::env::args().any(|argument| argument == "--bench");
    let effort = if writes {
        Effort {
            rounds: 60,
            turn: Duration::from_millis(4),
        }
    } else {
        Effort {
            rounds: 1,
            turn: Duration::from_millis(1),
        }
    };
    let fewer = Effort {
        rounds: effort.rounds.div_ceil(3),
        ..effort
    };

    let ready = ready_at_once(effort);
    let pending = pending_once(effort);
    let failing = failing_without_retry(effort);
    let refused = refused_by_an_open_breaker(effort);
    let retried = retried_once(fewer);
    let alone = breaker_alone(effort);
    let contended = two_threads(effort);
    let times = [
        flight::times(effort, FLIGHTS[0]),
        flight::times(fewer, FLIGHTS[1]),
        flight::times(
            Effort {
                rounds: effort.rounds.div_ceil(8),
                ..effort
            },
            FLIGHTS[2],
        ),
    ];
    let bytes = Command::new(env!("CARGO_BIN_EXE_bytes"))
        .args(FLIGHTS.map(|count| count.to_string()))
        .output()
        .expect("cargo has built it");
    assert!(bytes.status.success(), "{}", String::from_utf8_lossy(&bytes.stderr));
    let bytes = String::from_utf8_lossy(&bytes.stdout);

    let mut targets = Targets(String::from(
        "### Targets\n\n| target | measured | met |\n|---|---|---|\n",
    ));
    let (bare, minimal) = (ready[0].min, find(&ready, "minimal engine").min);
    for name in ["ours, by attribute", "ours, by hand"] {
        let ours = find(&ready, name).min;
        let over = ours - bare;
        targets.add(
            &format!("ready: {name}, at most 2 ns over bare"),
            format!("{} ns", number(over)),
            over <= 2.0,
        );
        let share = ours / minimal;
        targets.add(
            &format!("ready: {name}, at most 0.2 of the minimal engine"),
            ratio(share),
            share <= 0.2,
        );
    }
    let timeout = find(&pending, "tokio timeout alone").min;
    for name in ["ours, by attribute", "ours, by hand"] {
        let share = find(&pending, name).min / timeout;
        targets.add(
            &format!("pending once: {name}, at most 1.05 of tokio's timeout alone"),
            ratio(share),
            share <= 1.05,
        );
    }
    for name in [
        "ours, by attribute",
        "ours, by attribute, typed error",
        "ours, forced open, typed error",
    ] {
        let nanos = find(&refused, name).min;
        targets.add(
            &format!("refused: {name}, at most 50 ns"),
            format!("{} ns", number(nanos)),
            nanos <= 50.0,
        );
    }
    for (name, one, two) in &contended[1..3] {
        let share = two.min / one.min;
        targets.add(
            &format!("two threads: {name}, at most 1.5 of one"),
            ratio(share),
            share <= 1.5,
        );
    }
    for row in alone.iter().filter(|row| row.name.starts_with("window")) {
        let over = row.min - alone[0].min;
        targets.add(
            &format!("{}, at most 15 ns a result", row.name),
            format!("{} ns", number(over)),
            over <= 15.0,
        );
    }

    let versions: Vec<String> = [
        "backon",
        "recloser",
        "failsafe",
        "seatbelt",
        "tower-resilience-circuitbreaker",
        "tower-resilience-retry",
        "tower-resilience-timelimiter",
    ]
    .map(|package| format!("{package} {}", version(package)))
    .into();
    let header = report::header();
    assert_eq!(NEVER, 1_000_000_000, "the note below names it");
    let text = [
        format!(
            "{header}\n\nPeers: {}.\n\nns a call is the best of the rounds; ratios and differences are of those. {} \
             rounds, in turns.\n",
            versions.join(", "),
            effort.rounds,
        ),
        report::table("Ready at once", "The tool is ready when it is first polled.", &ready),
        report::table(
            "Pending once",
            "The tool wakes itself and is ready when it is polled again.",
            &pending,
        ),
        report::table(
            "Failing, no retry",
            "The tool fails at once; no retries. The threshold is 1,000,000,000, so that breakers stay closed \
             (recloser: a share of 2, seatbelt: as many results).",
            &failing,
        ),
        report::table(
            "Refused by an open breaker",
            "Each breaker was opened by failures of its tool and stays open for an hour; the tool does not run. The \
             bare call is that of a tool that runs. Ours with `String` as its error writes the message; the others \
             give an \
             error value without text.",
            &refused,
        ),
        report::table(
            "Retried once, no delay",
            "The tool fails, then succeeds; the delay is 0. The bare call is the tool called twice. tokio's `sleep(0)` \
             waits for the timer's next millisecond; who calls it pays for that.",
            &retried,
        ),
        report::table(
            "The breaker alone",
            "`admit` and a result, without the engine. Here the differences to the bare call count.",
            &alone,
        ),
        contended_table(&contended),
        flights_table(&times, &bytes),
        targets.0,
        String::from(
            "### Notes\n\n- recloser judges once its window is full before the result, so it opens at the sixth \
             failure in a row.\n\
             - seatbelt knows no failures in a row and takes no share of 1: its breaker opens when 99.9 % of the \
             results of 30 s, at least five, are failures.\n\
             - tower-resilience is cloned for each call where calls are in flight at a time, and once for each thread; \
             elsewhere one service is called again and again.\n\
             - All named peers build with this compiler; none was left out.\n\
             - \"By attribute\" and \"by hand\" are the same code but for the name and the clone of the argument; \
             between them the compiler decides what is inlined.\n",
        ),
    ]
    .join("\n");
    println!("{text}");
    let panels = [
        ("Ready at once", &ready[..]),
        ("Pending once", &pending[..]),
        ("Failing, no retry", &failing[..]),
        ("Refused by an open breaker", &refused[..]),
        ("Retried once, no delay", &retried[..]),
    ];
    let plot = svg::plot(&header, &panels);
    if writes {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
        std::fs::create_dir_all(docs).expect("the folder can be made");
        std::fs::write(format!("{docs}/performance-table.md"), text).expect("the table can be written");
        std::fs::write(format!("{docs}/overhead.svg"), plot).expect("the plot can be written");
    }
}
