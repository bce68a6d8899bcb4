//! What was aimed at, and what was measured.

use std::fmt::Write as _;

use sandbox_benches::measure::Row;
use sandbox_benches::report::{find, number, ratio};

use crate::Measured;

const OURS: [&str; 2] = ["ours, by attribute", "ours, by hand"];

struct Targets(String);

impl Targets {
    fn at_most(&mut self, aim: &str, measured: f64, most: f64) {
        let met = if measured <= most { "yes" } else { "no" };
        let _ = writeln!(self.0, "| {aim} | {} | {met} |", ratio(measured));
    }

    fn at_most_nanos(&mut self, aim: &str, measured: f64, most: f64) {
        self.at_most_of(aim, measured, most, "ns");
    }

    fn at_most_of(&mut self, aim: &str, measured: f64, most: f64, unit: &str) {
        let met = if measured <= most { "yes" } else { "no" };
        let _ = writeln!(self.0, "| {aim} | {} {unit} | {met} |", number(measured));
    }

    fn ready(&mut self, measured: &Measured) {
        let minimal = find(&measured.ready, "minimal engine").min;
        for name in OURS {
            self.over_bare(&format!("ready: {name}"), &measured.ready, name);
            let aim = format!("ready: {name}, at most 0.2 of the minimal engine");
            self.at_most(&aim, find(&measured.ready, name).min / minimal, 0.2);
        }
        for name in OURS {
            self.over_bare(
                &format!("ready, awaited in a loop: {name}"),
                &measured.ready_in_a_loop,
                name,
            );
        }
    }

    fn over_bare(&mut self, aim: &str, rows: &[Row], name: &str) {
        let over = find(rows, name).min - rows[0].min;
        self.at_most_nanos(&format!("{aim}, at most 2 ns over bare"), over, 2.0);
    }

    fn pending(&mut self, measured: &Measured) {
        for (scenario, rows) in [
            ("pending once", &measured.pending),
            ("pending once, awaited in a loop", &measured.pending_in_a_loop),
        ] {
            let timeout = find(rows, "tokio timeout alone").min;
            for name in OURS {
                let aim = format!("{scenario}: {name}, at most 1.05 of tokio's timeout alone");
                self.at_most(&aim, find(rows, name).min / timeout, 1.05);
            }
        }
    }

    fn refused(&mut self, measured: &Measured) {
        for name in [
            "ours, by attribute",
            "ours, by attribute, typed error",
            "ours, forced open, typed error",
        ] {
            let nanos = find(&measured.refused, name).min;
            self.at_most_nanos(&format!("refused: {name}, at most 50 ns"), nanos, 50.0);
        }
    }

    fn contended(&mut self, measured: &Measured) {
        for (name, one, two) in &measured.contended[1..3] {
            let aim = format!("two threads: {name}, at most 1.5 of one");
            self.at_most(&aim, two.min / one.min, 1.5);
        }
    }

    fn windows(&mut self, measured: &Measured) {
        let alone = &measured.alone;
        for row in alone.iter().filter(|row| row.name.starts_with("window")) {
            let over = row.min - alone[0].min;
            self.at_most_nanos(&format!("{}, at most 15 ns a result", row.name), over, 15.0);
        }
    }

    fn observing(&mut self, measured: &Measured) {
        let observing = &measured.observing;
        for (part, attached, most) in [
            ("observing", "recorded", 8.0),
            ("observing", "`Spans`, no subscriber", 10.0),
            ("steering", "settings of an operator", 40.0),
            ("steering", "eight at a time, by an operator", 40.0),
            ("steering", "eight at a time, by the attribute", 40.0),
            ("steering", "a rate, by an operator", 40.0),
            ("steering", "a rate, by the attribute", 40.0),
            ("steering", "eight at a time, by an operator, arguments lent", 40.0),
            ("steering", "eight at a time, by the attribute, arguments lent", 40.0),
        ] {
            let aim = format!("{part}: {attached}, at most {most} ns over nothing");
            self.at_most_nanos(&aim, observing.over_nothing(attached), most);
        }
        let aim = "observing: two threads at one recorded tool, at most 1.2 of one";
        self.at_most(aim, observing.two_threads_to_one(), 1.2);
        for (what, micros) in observing.listings() {
            let aim = format!("observing: a thousand tools, {what}, at most 1,000 µs");
            self.at_most_of(&aim, micros, 1_000.0, "µs");
        }
    }
}

pub(crate) fn table(measured: &Measured) -> String {
    let mut targets = Targets(String::from(
        "### Targets\n\n| target | measured | met |\n|---|---|---|\n",
    ));
    targets.ready(measured);
    targets.pending(measured);
    targets.refused(measured);
    targets.contended(measured);
    targets.windows(measured);
    targets.observing(measured);
    targets.0
}
