//! The document: what was measured, as tables.

use std::fmt::Write as _;

use sandbox_benches::contestants::NEVER;
use sandbox_benches::measure::Row;
use sandbox_benches::report::{self, number, ratio, version};

use crate::{Measured, contended, observing, targets};

pub(crate) fn text(header: &str, measured: &Measured, rounds: usize) -> String {
    [
        format!(
            "{header}\n\nPeers: {}.\n\nns a call is the best of the rounds; ratios and differences are of those. {rounds} \
             rounds, in turns.\n",
            peers(),
        ),
        calls(measured),
        report::table(
            "The breaker alone",
            "`admit` and a result, without the engine. Here the differences to the bare call count.",
            &measured.alone,
        ),
        contended::table(&measured.contended),
        flights(&measured.flights, &measured.flight_bytes),
        spread(&measured.spread, &measured.breaker_bytes),
        observing::text(&measured.observing),
        targets::table(measured),
        notes(),
    ]
    .join("\n")
}

fn peers() -> String {
    [
        "backon",
        "recloser",
        "failsafe",
        "seatbelt",
        "tower-resilience-circuitbreaker",
        "tower-resilience-retry",
        "tower-resilience-timelimiter",
    ]
    .map(|package| format!("{package} {}", version(package)))
    .join(", ")
}

/// The tables of single calls.
fn calls(measured: &Measured) -> String {
    assert_eq!(NEVER, 1_000_000_000, "the note below names it");
    [
        report::table(
            "Ready at once",
            "The tool is ready when it is first polled. Calls are polled out of line.",
            &measured.ready,
        ),
        report::table(
            "Pending once",
            "The tool wakes itself and is ready when it is polled again. Calls are polled out of line.",
            &measured.pending,
        ),
        report::table(
            "Ready at once, awaited in a loop",
            "As above, but awaited in line, in the loop of a larger async block.",
            &measured.ready_in_a_loop,
        ),
        report::table(
            "Pending once, awaited in a loop",
            "As above, but awaited in line, in the loop of a larger async block.",
            &measured.pending_in_a_loop,
        ),
        report::table(
            "Failing, no retry",
            "The tool fails at once; no retries. The threshold is 1,000,000,000, so that breakers stay closed \
             (recloser: a share of 2, seatbelt: as many results).",
            &measured.failing,
        ),
        report::table(
            "Refused by an open breaker",
            "Each breaker was opened by failures of its tool and stays open for an hour; the tool does not run. The \
             bare call is that of a tool that runs. Ours with `String` as its error writes the message; the others \
             give an error value without text.",
            &measured.refused,
        ),
        report::table(
            "Retried once, no delay",
            "The tool fails, then succeeds; the delay is 0. The bare call is the tool called twice. tokio's `sleep(0)` \
             waits for the timer's next millisecond; who calls it pays for that.",
            &measured.retried,
        ),
    ]
    .join("\n")
}

fn flights(times: &[Vec<Row>], bytes: &str) -> String {
    let mut text = String::from(
        "### Calls in flight\n\nAll are pending at once (`join_all`), then all end. Time of one call, making and \
         dropping it included, and its ratio to the bare call's. `size_of_val` of a call's future; bytes allocated at \
         the peak for each call, what `join_all` takes included (see the bare call).\n\n\
         | contestant | 1: ns | ratio | 1,000: ns | ratio | 100,000: ns | ratio | future, bytes | 1: bytes | 1,000: \
         bytes | 100,000: bytes |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    text += &rows_with_bytes(times, bytes);
    text
}

fn spread(times: &[Vec<Row>], bytes: &str) -> String {
    let mut text = String::from(
        "### Many breakers\n\nThe calls go to 1, 100 and 10,000 breakers, to another at each call. The tool is ready at \
         once. Time of a call, and its ratio to the bare call's, which picks one of as many tools. Bytes that a breaker \
         holds once it has had a call, in a vector of as many. By host, it is looked up in a `HashMap` by a name; the \
         look-up alone calls the tool with what it finds. backon's are the bytes of its breaker; seatbelt and \
         tower-resilience have none apart from a whole service.\n\n\
         | contestant | 1: ns | ratio | 100: ns | ratio | 10,000: ns | ratio | 1: bytes | 100: bytes | 10,000: bytes \
         |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    text += &rows_with_bytes(times, bytes);
    text
}

/// Each contestant's times, for each count of something, and the numbers of its line from the program `bytes`.
fn rows_with_bytes(times: &[Vec<Row>], bytes: &str) -> String {
    let mut text = String::new();
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

fn notes() -> String {
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
    )
}
