//! A program that knows nothing of faults has those of its environment, and is told so once; a mistake there injects nothing. Each case
//! is a process of its own, which runs the program below.

#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::env;
use std::process::{Command, Output};
use std::time::Duration;

use sandbox_runtime::faults::{Fault, Faults};
use sandbox_runtime::{SandboxError, sandboxed, tools};
use tokio::time::Instant;

const VARIABLE: &str = "SANDBOXED_FAULTS";

#[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 100, breaker = off)]
async fn search(query: u32) -> Result<u32, SandboxError> {
    Ok(query)
}

#[sandboxed(timeout_ms = 1_000, max_retries = 1, backoff_base_ms = 100, breaker = off)]
async fn append(lines: &mut Vec<u32>, line: u32) -> Result<usize, SandboxError> {
    lines.push(line);
    Ok(lines.len())
}

/// The program under test: prints how three calls ended.
#[tokio::test(start_paused = true)]
#[ignore = "it is run by the tests here, with an environment"]
async fn program() {
    let start = Instant::now();
    let took = || start.elapsed().as_millis();
    println!("search: {:?} at {}", search(1).await, took());
    println!("search: {:?} at {}", search(2).await, took());
    println!("append: {:?} at {}", append(&mut Vec::new(), 3).await, took());
}

#[test]
#[ignore = "it is run by the tests here, with an environment"]
fn program_that_lists_its_tools() {
    println!("{} tools", tools().len());
}

fn run(program: &str, faults: Option<&str>) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", program, "--ignored", "--nocapture", "--test-threads=1"]);
    match faults {
        Some(faults) => command.env(VARIABLE, faults),
        None => command.env_remove(VARIABLE),
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "the program failed: {output:?}");
    output
}

/// How the calls of the program ended, and what it has on stderr.
fn told(faults: Option<&str>) -> (Vec<String>, String) {
    let output = run("program", faults);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let calls = stdout.lines().filter_map(|line| {
        let start = line.find("search: ").or_else(|| line.find("append: "))?;
        Some(line[start..].to_owned())
    });
    (calls.collect(), String::from_utf8(output.stderr).unwrap())
}

const WELL: [&str; 3] = ["search: Ok(1) at 0", "search: Ok(2) at 0", "append: Ok(1) at 0"];

#[test]
fn calls_have_them_and_the_program_is_told_once() {
    let (calls, stderr) = told(Some("seed=7; search: fail #1; search: hang #3; append: lose_answer"));
    assert_eq!(calls[0], "search: Ok(1) at 100", "the first attempt fails");
    assert_eq!(calls[1], "search: Ok(2) at 1200", "the third attempt hangs");
    assert_eq!(
        calls[2], "append: Err(Timeout { elapsed_ms: 1000, limit_ms: 1000 }) at 3300",
        "both answers are lost"
    );
    assert_eq!(
        stderr,
        "warning: faults are injected into sandboxed calls, as SANDBOXED_FAULTS says (`seed=7; search: fail #1; search: hang #3; \
         append: lose_answer`); unset it to stop that\n"
    );
}

#[cfg(feature = "tracing")]
mod traced {
    use std::fmt::Debug;

    use tracing::field::{Field, Visit};
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    struct Printed;

    struct Message;

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            println!("event: {} = {value:?}", field.name());
        }
    }

    impl<S: Subscriber> Layer<S> for Printed {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            // What runs the tests has not ended its own line.
            println!("\nevent: {} {}", metadata.level(), metadata.target());
            event.record(&mut Message);
        }
    }

    #[tokio::test]
    #[ignore = "it is run by the test below, with an environment"]
    async fn program() {
        let subscriber = tracing_subscriber::registry().with(Printed);
        let _subscriber = tracing::subscriber::set_default(subscriber);
        for _ in 0..2 {
            super::search(1).await.expect_err("it is refused");
        }
    }

    #[test]
    fn a_subscriber_is_told_once() {
        let output = super::run("traced::program", Some("search: refuse"));
        let stdout = String::from_utf8(output.stdout).unwrap();
        let events: Vec<_> = stdout.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        let told = "message = faults are injected into sandboxed calls, as SANDBOXED_FAULTS says (`search: refuse`); unset it to stop that";
        assert_eq!(events, ["WARN sandbox_runtime", told], "{stdout}");
    }
}

#[test]
fn a_rule_for_no_tool_is_told() {
    let (calls, stderr) = told(Some("serch: fail; by_hand: hang"));
    assert_eq!(calls, WELL, "nothing is called that");
    let mut warnings = stderr.lines().skip(1);
    let near = "warning: in SANDBOXED_FAULTS: no annotated function is called `serch`; did you mean `search`?";
    assert_eq!(warnings.next(), Some(near), "{stderr}");
    let far = "warning: in SANDBOXED_FAULTS: no annotated function is called `by_hand`; the rule concerns tools that are made by hand, \
               or none";
    assert_eq!(warnings.next(), Some(far), "{stderr}");
}

/// A program that has a plan of its own.
#[tokio::test(start_paused = true)]
#[ignore = "it is run by the tests here"]
async fn program_with_a_plan() {
    let plan = Faults::seeded(1).on("serch", Fault::Fail).on("by_hand", Fault::Fail);
    assert_eq!(plan.scope(search(1)).await.unwrap(), 1);
}

#[test]
fn a_name_that_looks_misspelt_is_told_of_a_scope_too() {
    let stderr = String::from_utf8(run("program_with_a_plan", None).stderr).unwrap();
    assert_eq!(
        stderr,
        "warning: in `Faults`: no annotated function is called `serch`; did you mean `search`?\n"
    );
}

#[test]
fn without_them_nothing_happens() {
    for faults in [None, Some("")] {
        let (calls, stderr) = told(faults);
        assert_eq!(calls, WELL, "{faults:?}");
        assert_eq!(stderr, "", "{faults:?}");
    }
}

#[test]
fn a_mistake_injects_nothing_and_is_told_once() {
    let (calls, stderr) = told(Some("search: fail; append: hnag"));
    assert_eq!(calls, WELL);
    assert_eq!(
        stderr,
        "warning: SANDBOXED_FAULTS is ignored, and no fault is injected: in `append: hnag`: `hnag` is not a fault; did you mean \
         `hang`?\n"
    );
}

#[test]
fn a_program_that_lists_its_tools_is_told_then() {
    let output = run("program_that_lists_its_tools", Some("*: hang"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("warning: faults are injected"), "{stderr}");
}

#[test]
fn right_texts_are_read() {
    let late = |millis| Fault::Late(Duration::from_millis(millis));
    let none = || Faults::seeded(0);
    for (text, faults) in [
        (
            "seed=7; search: hang 20%; *: late 500ms 5%; fetch: panic #3",
            Faults::seeded(7)
                .on("search", Fault::Hang.share(0.2))
                .everywhere(late(500).share(0.05))
                .on("fetch", Fault::Panic.nth(3)),
        ),
        ("search: fail", none().on("search", Fault::Fail)),
        ("search:fail;", none().on("search", Fault::Fail)),
        (" ; search  :  refuse  ;; ", none().on("search", Fault::Refuse)),
        ("*: lose_answer #1-2", none().everywhere(Fault::LoseAnswer.first(2))),
        ("*: late 2s", none().everywhere(late(2_000))),
        ("*: late 0ms 0.5%", none().everywhere(late(0).share(0.005))),
        (
            "*: hang 0%; *: hang 100%",
            none()
                .everywhere(Fault::Hang.share(0.0))
                .everywhere(Fault::Hang.share(1.0)),
        ),
        (
            "shop::index::search: hang",
            none().on("shop::index::search", Fault::Hang),
        ),
        ("health: none; *: fail", none().spare("health").everywhere(Fault::Fail)),
        (
            "*: fail; seed = 18446744073709551615",
            Faults::seeded(u64::MAX).everywhere(Fault::Fail),
        ),
        ("größe: fail", none().on("größe", Fault::Fail)),
    ] {
        assert_eq!(text.parse(), Ok(faults), "{text:?}");
    }
}

#[test]
fn wrong_texts_state_the_fact_and_the_remedy() {
    let faults = "the faults are `fail`, `hang`, `panic`, `late`, `refuse`, `lose_answer`, `none`";
    let delay = "`late` takes a delay; write a whole number of `ms` or `s`, as in `late 500ms`";
    let seed = "the seed is not a whole number from 0 to 18446744073709551615; write `seed=7`";
    let colon = "there is no colon; write the tool, or `*` for all, a colon and the fault, as in `search: hang`";
    let when = |word| {
        format!(
            "`{word}` is neither a share nor a position; write a share from `0%` to `100%`, a position such as `#3`, counted \
             from 1, or positions such as `#1-2`"
        )
    };
    let more = "`#3` is too much; write one share or position in a rule";
    for (part, message) in [
        ("search", colon.to_owned()),
        ("search hang", colon.to_owned()),
        (": hang", "it names no tool; write `*` for all".to_owned()),
        (
            "seed=7, *: fail",
            "`seed=7, *` is not the name of a tool; separate rules by `;`".to_owned(),
        ),
        ("search:", format!("it names no fault; {faults}")),
        ("search: explode", format!("`explode` is not a fault; {faults}")),
        (
            "search: pnic",
            "`pnic` is not a fault; did you mean `panic`?".to_owned(),
        ),
        (
            "search: lost_answer",
            "`lost_answer` is not a fault; did you mean `lose_answer`?".to_owned(),
        ),
        ("search: 20% hang", format!("`20%` is not a fault; {faults}")),
        ("search: late", delay.to_owned()),
        ("search: late 5%", delay.to_owned()),
        ("search: late 500", delay.to_owned()),
        ("search: late 1.5s", delay.to_owned()),
        ("search: late -1ms", delay.to_owned()),
        ("search: hang 101%", when("101%")),
        ("search: hang -1%", when("-1%")),
        ("search: hang NaN%", when("NaN%")),
        ("search: hang 0.2", when("0.2")),
        ("search: hang #0", when("#0")),
        ("search: hang #3-2", when("#3-2")),
        ("search: hang #x", when("#x")),
        ("search: hang 20% #3", more.to_owned()),
        ("seed=", seed.to_owned()),
        ("seed=-1", seed.to_owned()),
        ("seed=18446744073709551616", seed.to_owned()),
        ("sead=7", "`sead` is unknown; only `seed` has a value".to_owned()),
    ] {
        for text in [part.to_owned(), format!("*: fail; {part}; fetch: hang")] {
            let error = text.parse::<Faults>().expect_err(&text);
            assert_eq!(error.to_string(), format!("in `{part}`: {message}"), "{text:?}");
        }
    }
    for text in ["", " ; ", "seed=7"] {
        let error = text.parse::<Faults>().expect_err(text);
        assert_eq!(
            error.to_string(),
            "it has no rule; add one, such as `search: hang 20%`",
            "{text:?}"
        );
    }
    let error = "seed=7; *: fail; seed=8".parse::<Faults>().unwrap_err();
    assert_eq!(error.to_string(), "there are two seeds; remove one");
}
