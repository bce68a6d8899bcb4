//! `cargo run -p sandbox-compile-time`: how long the compiler takes, as a Markdown table. It takes some minutes.
//!
//! Crates are generated in the target folder and compiled there, in turns; the best round counts. Incremental
//! compilation is off: it would find that nothing has changed. The time of the processors stands beside the time that
//! passes: other work on the machine adds less to it.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on stops")]

mod crates;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

const CHECKS: usize = 15;
const BUILDS: usize = 5;

/// How long a command took, in seconds.
#[derive(Clone, Copy)]
struct Took {
    passed: f64,
    processors: f64,
}

impl Took {
    fn measure(work: impl FnOnce()) -> Self {
        let (start, before) = (Instant::now(), children());
        work();
        Took {
            passed: start.elapsed().as_secs_f64(),
            processors: children() - before,
        }
    }

    fn best(self, other: Took) -> Took {
        Took {
            passed: self.passed.min(other.passed),
            processors: self.processors.min(other.processors),
        }
    }
}

/// The time of the processors that ended children of this process took, in seconds; 0 where the system does not tell.
fn children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name comes first, in parentheses, and may have blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(13).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The workspace of the generated crates.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let scratch = Scratch(target.join("compile-time"));
        let runtime = root.join("sandbox-runtime");
        let runtime = runtime.canonicalize().expect("the crate is there");
        for (path, text) in crates::files(&runtime.to_string_lossy()) {
            scratch.write(&path, &text);
        }
        // So that both sides, and the next run, compile the same versions.
        fs::copy(root.join("Cargo.lock"), scratch.0.join("Cargo.lock")).expect("the lock file is there");
        scratch.cargo(&["fetch"]);
        scratch
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    fn cargo(&self, arguments: &[&str]) {
        let status = Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--quiet")
            .current_dir(&self.0)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TARGET_DIR", "target")
            .env_remove("RUSTC_WRAPPER")
            .status()
            .expect("cargo is there");
        assert!(status.success(), "cargo {}", arguments.join(" "));
    }

    /// Checks one crate of tools; what it depends on has been checked before.
    fn check(&self, package: &str) -> Took {
        self.write(&format!("{package}/src/lib.rs"), &crates::tools(package));
        Took::measure(|| self.cargo(&["check", "--offline", "--package", package]))
    }

    /// Builds a release program that calls every tool of a crate, and returns its size in bytes beside the time; what it depends
    /// on has been built before.
    fn program(&self, package: &str) -> (Took, u64) {
        self.write(&format!("{package}/src/lib.rs"), &crates::tools(package));
        let took = Took::measure(|| self.cargo(&["build", "--release", "--offline", "--package", package]));
        let program = self.0.join("target/release").join(package);
        (took, fs::metadata(program).expect("it has been built").len())
    }

    /// Builds one crate and all that it depends on.
    fn build(&self, package: &str) -> Took {
        match fs::remove_dir_all(self.0.join("target")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("the builds remain: {error}"),
            _ => Took::measure(|| self.cargo(&["build", "--offline", "--package", package])),
        }
    }
}

/// The best times of packages that take turns.
fn best<const N: usize>(rounds: usize, packages: [&str; N], time: impl Fn(&str) -> Took) -> [Took; N] {
    let mut best = [None; N];
    for round in 1..=rounds {
        for (best, package) in best.iter_mut().zip(packages) {
            eprintln!("{package}, round {round} of {rounds}");
            let took = time(package);
            *best = Some(best.map_or(took, |best: Took| best.best(took)));
        }
    }
    best.map(|best| best.expect("there is a round"))
}

fn row(what: &str, [ours, other]: [Took; 2], most: Option<f64>) -> String {
    let ratio = ours.passed / other.passed;
    let target = most.map_or_else(String::new, |most| format!("{most:.2}"));
    let met = most.map_or("", |most| if ratio <= most { "yes" } else { "no" });
    format!(
        "| {what} | {:.2} | {:.2} | {ratio:.2} | {:.2} | {:.2} | {:.2} | {target} | {met} |",
        ours.passed,
        other.passed,
        ours.processors,
        other.processors,
        ours.processors / other.processors,
    )
}

/// What a program prints, or nothing.
fn told(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn header() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} · {}, {threads} hardware threads · {}",
        told("date", "+%F"),
        model.unwrap_or("unknown processor"),
        told("rustc", "--version"),
    )
}

fn main() {
    let scratch = Scratch::new();
    let packages = [crates::WITH, crates::WITHOUT, crates::THISERROR];
    let [with, without, thiserror] = best(BUILDS, packages, |package| scratch.build(package));
    for package in [crates::BY_ATTRIBUTE, crates::BY_HAND] {
        scratch.check(package);
    }
    let checks = best(CHECKS, [crates::BY_ATTRIBUTE, crates::BY_HAND], |package| {
        scratch.check(package)
    });
    println!("{}\n", header());
    println!("| what | ours, s | other, s | ratio | processors: ours, s | other, s | ratio | target | met |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|---|");
    let tools = crates::TOOLS;
    let check = format!("`cargo check` of {tools} tools: by attribute; by hand");
    println!("{}", row(&check, checks, Some(1.25)));
    let build = "clean `cargo build`: `sandbox-runtime`; tokio, serde, serde_json and syn alone";
    println!("{}", row(build, [with, without], Some(1.15)));
    let share = "of that, thiserror: the others with it; without";
    println!("{}", row(share, [thiserror, without], None));
    print_programs(&scratch);
}

/// What a tool adds to a program, and to the time to build it: to what the same functions take without an engine.
fn print_programs(scratch: &Scratch) {
    // What they depend on is built with the first, which is not measured.
    scratch.program(crates::PLAIN);
    let (plain, plain_size) = scratch.program(crates::PLAIN);
    println!(
        "\n| release program of {} tools | s | size, kB | a tool more: ms | kB |",
        crates::TOOLS
    );
    println!("|---|--:|--:|--:|--:|");
    println!("| plain functions | {:.2} | {} | | |", plain.passed, plain_size / 1_000);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred, and sizes of programs")]
    for package in [crates::BY_HAND, crates::BY_ATTRIBUTE] {
        let (took, size) = scratch.program(package);
        let tools = crates::TOOLS as f64;
        println!(
            "| {package} | {:.2} | {} | {:.0} | {:.1} |",
            took.passed,
            size / 1_000,
            (took.passed - plain.passed) * 1_000.0 / tools,
            (size as f64 - plain_size as f64) / 1_000.0 / tools,
        );
    }
}
