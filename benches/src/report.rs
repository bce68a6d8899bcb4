//! The report: Markdown tables.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::measure::Row;

const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a package in the lock file.
#[must_use]
pub fn version(package: &str) -> &'static str {
    let mut lines = LOCK.lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.map_or("?", |version| version.trim_matches('"'))
}

/// Date, processor and compiler.
#[must_use]
pub fn header() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |model| model.trim_start_matches([' ', '\t', ':']));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    format!(
        "{} · {model}, {threads} hardware threads · {rustc} · tokio {}",
        today(),
        version("tokio")
    )
}

/// Today's date in UTC.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut day = since.as_secs() / 86_400;
    let mut year = 1970;
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

/// A number with as many digits as make sense.
#[must_use]
pub fn number(value: f64) -> String {
    let digits = if value.abs() < 100.0 { 1 } else { 0 };
    let plain = format!("{value:.digits$}");
    if value.abs() < 10_000.0 {
        return plain;
    }
    let mut grouped = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A ratio with as many digits as make sense.
#[must_use]
pub fn ratio(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        number(value)
    }
}

/// The row of that name.
#[must_use]
pub fn find<'a>(rows: &'a [Row], name: &str) -> &'a Row {
    rows.iter()
        .find(|row| row.name == name)
        .expect("the name is that of a contestant")
}

/// A scenario's table. The first row is the bare call.
#[must_use]
pub fn table(title: &str, note: &str, rows: &[Row]) -> String {
    let bare = rows[0].min;
    let mut text = format!("### {title}\n\n{note}\n\n");
    text += "| contestant | ns a call | median of rounds | over bare, ns | ratio to bare |\n|---|--:|--:|--:|--:|\n";
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.name,
            number(row.min),
            number(row.median),
            number(row.min - bare),
            ratio(row.min / bare),
        );
    }
    text
}
