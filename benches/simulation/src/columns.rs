//! Which columns do tables have, and how are they written?

use std::time::Duration;

use crate::figures::Figures;

/// A title, and what stands below it.
pub(crate) type Column = (&'static str, fn(&Figures) -> String);

pub(crate) const REQUESTS: Column = ("requests", |row| row.requests.to_string());
pub(crate) const IN_OUTAGE: Column = ("requests in the outage", |row| row.requests_in_outage.to_string());
pub(crate) const BUSIEST_SECOND: Column = ("busiest second after it", |row| row.busiest_second.to_string());
pub(crate) const BUSIEST_TENTH: Column = ("busiest 100 ms after it", |row| row.busiest_tenth.to_string());
pub(crate) const RETRIES: Column = ("retries", |row| row.retries.to_string());
pub(crate) const RETRIES_AT_ONCE: Column = ("most of them in 100 ms", |row| row.retries_at_once.to_string());
pub(crate) const SUCCEEDED: Column = ("succeeded", |row| row.succeeded.to_string());
pub(crate) const FAILED: Column = ("failed", |row| row.failed.to_string());
pub(crate) const REFUSED: Column = ("refused", |row| row.refused.to_string());
pub(crate) const MEAN_WAIT: Column = ("wait in the outage: mean, s", |row| seconds(row.mean_wait));
pub(crate) const WORST_WAIT: Column = ("worst, s", |row| seconds(row.worst_wait));
pub(crate) const HEALS: Column = ("heals after: mean, s", |row| seconds_or_not(row.heals_after));
pub(crate) const HEALS_AT_WORST: Column = ("worst, s", |row| seconds_or_not(row.heals_at_worst_after));

/// A table in Markdown, of lines that are written already.
pub(crate) fn table(title: &str, columns: &[&str], lines: impl IntoIterator<Item = String>) -> String {
    let head = format!(
        "| {title} | {} |\n|---|{}\n",
        columns.join(" | "),
        "--:|".repeat(columns.len())
    );
    head + &lines.into_iter().collect::<String>()
}

/// A table whose rows have figures of one kind.
pub(crate) fn table_of(title: &str, columns: &[Column], rows: impl IntoIterator<Item = (String, Figures)>) -> String {
    let titles: Vec<_> = columns.iter().map(|(title, _)| *title).collect();
    let lines = rows.into_iter();
    table(
        title,
        &titles,
        lines.map(|(label, figures)| line(&label, &[(columns, &figures)])),
    )
}

/// A line, of columns of several kinds of figures.
pub(crate) fn line(label: &str, parts: &[(&[Column], &Figures)]) -> String {
    let cells = parts
        .iter()
        .flat_map(|(columns, figures)| columns.iter().map(|(_, cell)| cell(figures)));
    format!("| {label} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// Seconds with one decimal, rounded.
fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn seconds_or_not(time: Option<Duration>) -> String {
    time.map_or_else(|| "not seen".to_owned(), seconds)
}
