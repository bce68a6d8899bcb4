//! What observing and steering cost: contestants in processes of their own, `benches/observing`, because what is attached concerns
//! the whole process.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sandbox_benches::contestants::{self, Settings};
use sandbox_benches::measure::{Effort, Expect, Row, Scenario};
use sandbox_benches::report::{find, number, ratio, version};
use sandbox_benches::tools;

/// What is attached to whom, and how many spans, events and measurements arrive of a call. The first of each is what its others are
/// compared with.
const ATTACHED: [(&str, &str, u64); 26] = [
    ("ours", "nothing", 0),
    ("ours", "recorded", 0),
    ("ours", "an observer that wants no tool", 0),
    ("ours", "`Spans`, no subscriber", 0),
    ("ours", "`Spans`, a subscriber that drops", 1),
    ("ours", "`metrics()`, no recorder", 0),
    ("ours", "`metrics()`, a recorder that drops", 5),
    ("ours", "`instruments()`, the no-op meter", 0),
    ("ours", "`instruments()`, a meter that drops", 5),
    ("ours", "settings of an operator for another tool", 0),
    ("ours", "settings of an operator", 0),
    ("ours", "eight at a time, by an operator", 0),
    ("ours", "eight at a time, by the attribute", 0),
    ("ours", "a rate, by an operator", 0),
    ("ours", "a rate, by the attribute", 0),
    ("ours, arguments lent", LENT, 0),
    (
        "ours, arguments lent",
        "eight at a time, by an operator, arguments lent",
        0,
    ),
    (
        "ours, arguments lent",
        "eight at a time, by the attribute, arguments lent",
        0,
    ),
    ("seatbelt", PLAIN_PEER, 0),
    ("seatbelt", "nothing, built with metrics and logs", 0),
    ("seatbelt", "metrics and logs, a meter and a subscriber that drop", 0),
    ("tower-resilience", PLAIN_PEER, 0),
    ("tower-resilience", "nothing, built with metrics and tracing", 0),
    ("tower-resilience", "metrics, a recorder that drops", 6),
    ("tower-resilience", "tracing, a subscriber that drops, at INFO", 0),
    ("tower-resilience", "tracing, a subscriber that drops, at DEBUG", 3),
];

/// What the two below it are compared with: a function that takes `&mut`.
const LENT: &str = "nothing, arguments lent";

/// In this process, whose peers are built without what tells of calls.
const PLAIN_PEER: &str = "nothing, built without";

const LISTINGS: [&str; 3] = [
    "`tools()`",
    "`tools()`, and the status of each",
    "`tools()`, as a table",
];

pub(crate) struct Observing {
    attached: Vec<Row>,
    /// One thread and two.
    recorded: Vec<Row>,
    listings: Vec<Row>,
}

pub(crate) fn measure(effort: Effort) -> Observing {
    let program = program();
    let process = |contestant: &'static str, attached: &str, told| {
        let mut process = Process::start(&program, contestant, attached);
        move |calls| process.turn(calls, told)
    };
    let mut attached = Scenario::new(effort, Expect::Value);
    for (contestant, what, told) in ATTACHED {
        match (contestant, what) {
            ("seatbelt", PLAIN_PEER) => {
                attached.add(what, || contestants::seatbelt(tools::ready, Settings::STANDARD));
            }
            (_, PLAIN_PEER) => attached.add(what, || {
                contestants::tower_one(contestants::tower_service(tools::ready, Settings::STANDARD))
            }),
            _ => attached.add_turn(what, process(contestant, what, told)),
        }
    }
    let mut recorded = Scenario::new(effort, Expect::Value);
    for threads in ["1", "2"] {
        recorded.add_turn(threads, process("ours, recorded", threads, 0));
    }
    let mut listings = Scenario::new(effort, Expect::Value);
    for what in LISTINGS {
        listings.add_turn(what, process("a thousand tools", what, 0));
    }
    Observing {
        attached: attached.run(),
        recorded: recorded.run(),
        listings: listings.run(),
    }
}

/// Builds the program of the other processes, apart from this one: cargo would unite the features of peers. Returns its path.
fn program() -> String {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let output = Command::new(env!("CARGO"))
        .args(["run", "--locked", "--profile", profile])
        .args(["--package", "sandbox-observing"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo has said why");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A contestant in a process of its own. It ends with its input.
struct Process {
    _child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(program: &str, contestant: &str, attached: &str) -> Self {
        let mut child = Command::new(program)
            .args([contestant, attached])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo has built it");
        Process {
            orders: child.stdin.take().expect("it is piped"),
            answers: BufReader::new(child.stdout.take().expect("it is piped")),
            _child: child,
        }
    }

    /// Makes so many calls, of each of which so much is told, and says how many nanoseconds they took.
    fn turn(&mut self, calls: u64, told: u64) -> f64 {
        writeln!(self.orders, "{calls}").expect("it runs, or has said why not");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it is text");
        let (nanos, arrived) = answer.trim().split_once(' ').expect("it runs, or has said why not");
        let arrived: u64 = arrived.parse().expect("it is a number");
        // By `metrics()`, the times of a breaker's states arrive with a call once a second.
        let most = told * calls + u64::from(told > 0);
        assert!((told * calls..=most).contains(&arrived), "{arrived} of {calls} calls");
        nanos.parse().expect("it is a number")
    }
}

impl Observing {
    /// What has been measured of what is attached to ours, over the same tool without anything.
    pub(crate) fn over_nothing(&self, attached: &str) -> f64 {
        let nothing = if attached.ends_with("arguments lent") {
            find(&self.attached, LENT)
        } else {
            &self.attached[0]
        };
        find(&self.attached, attached).min - nothing.min
    }

    pub(crate) fn two_threads_to_one(&self) -> f64 {
        self.recorded[1].min / self.recorded[0].min
    }

    /// What takes so many microseconds.
    pub(crate) fn listings(&self) -> impl Iterator<Item = (&str, f64)> {
        self.listings.iter().map(|row| (&*row.name, row.min / 1e3))
    }
}

pub(crate) fn text(observing: &Observing) -> String {
    let mut text = format!(
        "### What observing and steering cost\n\nThe tool is ready at once. Calls are polled out of line. Each row is a process of its \
         own, but for peers built without; they take turns. What arrives of a call: spans, events and measurements, of \
         metrics {}, opentelemetry {} and tracing {}; what drops them counts them. seatbelt tells nothing of a call that succeeds at \
         its first attempt. tower-resilience measures where it is built with that, and its events of such a call are at DEBUG.\n\n\
         | contestant | attached | arrives | ns a call | median of rounds | over nothing, ns | ratio to nothing |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
        version("metrics"),
        version("opentelemetry"),
        version("tracing"),
    );
    let mut nothing = ("", 0.0);
    for ((contestant, attached, told), row) in ATTACHED.iter().zip(&observing.attached) {
        if *contestant != nothing.0 {
            nothing = (contestant, row.min);
        }
        let _ = writeln!(
            text,
            "| {contestant} | {attached} | {told} | {} | {} | {} | {} |",
            number(row.min),
            number(row.median),
            number(row.min - nothing.1),
            ratio(row.min / nothing.1),
        );
    }
    text + &threads(&observing.recorded) + &listings(&observing.listings)
}

fn threads(recorded: &[Row]) -> String {
    let [one, two] = [recorded[0].min, recorded[1].min];
    format!(
        "\nOne recorded tool, called by one thread and by two at once, as above:\n\n\
         | contestant | one thread, ns | two threads, ns | two to one |\n|---|--:|--:|--:|\n\
         | ours, recorded | {} | {} | {} |\n",
        number(one),
        number(two),
        ratio(two / one),
    )
}

fn listings(listings: &[Row]) -> String {
    let mut text = String::from(
        "\nA program of a thousand tools, of which none has been called:\n\n\
         | what | µs | median of rounds |\n|---|--:|--:|\n",
    );
    for row in listings {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            row.name,
            number(row.min / 1e3),
            number(row.median / 1e3)
        );
    }
    text
}
