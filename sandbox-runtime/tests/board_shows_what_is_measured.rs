//! The board in `docs` has only names of what is measured, as they are in Prometheus, and leaves nothing out.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Its table of instruments is compared with the code by `calls_are_measured.rs`.
const PAGE: &str = include_str!("../../docs/observing.md");
const BOARD: &str = include_str!("../../docs/observing-board.json");

/// The words of PromQL on the board that neither are metrics nor have a `(` behind them.
const WORDS: [&str; 1] = ["sum"];

/// Words with labels behind them, in parentheses.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// What Prometheus has of an instrument under one name.
struct Metric {
    instrument: &'static str,
    labels: BTreeSet<String>,
}

fn metrics() -> BTreeMap<String, Metric> {
    let table = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| name | kind, unit |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(metrics_of_row).collect()
}

fn metrics_of_row(row: &'static str) -> Vec<(String, Metric)> {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [name, kind_and_unit, attributes] = cells[..] else {
        panic!("not three cells: {row}");
    };
    let instrument = name.trim_matches('`');
    let (kind, unit) = kind_and_unit.split_once(", ").expect(row);
    // What is in backticks is an attribute, with dots, or the value of one, without.
    let attributes = attributes
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('.'));
    let attributes: Vec<_> = attributes.chain(["gen_ai.tool.name"]).map(translated).collect();
    let with_suffix = |suffix: &&str| {
        let of_buckets = (*suffix == "_bucket").then(|| "le".to_owned());
        let metric = Metric {
            instrument,
            labels: attributes.iter().cloned().chain(of_buckets).collect(),
        };
        (
            format!("{}{}{suffix}", translated(instrument), unit_suffix(unit)),
            metric,
        )
    };
    kind_suffixes(kind).iter().map(with_suffix).collect()
}

fn translated(name: &str) -> String {
    name.replace('.', "_")
}

fn unit_suffix(unit: &str) -> &'static str {
    match unit {
        "s" => "_seconds",
        // An annotation.
        _ if unit.starts_with('{') => "",
        _ => panic!("what does the unit `{unit}` add to a name in Prometheus?"),
    }
}

fn kind_suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        "counter" => &["_total"],
        "up-down counter" => &[""],
        _ => panic!("what does the kind `{kind}` add to a name in Prometheus?"),
    }
}

/// A query of the board.
struct Query {
    place: String,
    expression: String,
    legend: String,
}

fn queries() -> Vec<Query> {
    let board: Value = serde_json::from_str(BOARD).expect("the board is JSON");
    let list = |value: &Value| value.as_array().unwrap().clone();
    let variables = list(&board["templating"]["list"]);
    let of_variables = variables
        .iter()
        .filter(|variable| variable["type"] == "query")
        .map(|variable| {
            let query = variable["query"].as_str().unwrap();
            let arguments = query
                .strip_prefix("label_values(")
                .and_then(|query| query.strip_suffix(')'));
            let (metric, label) = arguments.and_then(|arguments| arguments.split_once(", ")).expect(query);
            Query {
                place: format!("variable `{}`", variable["name"].as_str().unwrap()),
                expression: format!("sum by ({label}) ({metric})"),
                legend: String::new(),
            }
        });
    let panels = list(&board["panels"]);
    let of_panels = panels.iter().flat_map(|panel| {
        list(&panel["targets"]).into_iter().map(|target| Query {
            place: format!("panel `{}`", panel["title"].as_str().unwrap()),
            expression: target["expr"].as_str().unwrap().to_owned(),
            legend: target["legendFormat"].as_str().unwrap().to_owned(),
        })
    });
    of_variables.chain(of_panels).collect()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Sign(char),
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        let (token, behind) = match first {
            '"' => rest[1..]
                .split_once('"')
                .map(|(text, behind)| (Some(Token::Text(text)), behind)),
            '[' => rest.split_once(']').map(|(_, behind)| (None, behind)),
            _ if is_in_word(first) => {
                let end = rest.find(|c| !is_in_word(c)).unwrap_or(rest.len());
                let word = (!first.is_ascii_digit()).then_some(Token::Word(&rest[..end]));
                Some((word, &rest[end..]))
            }
            _ => Some((Some(Token::Sign(first)), &rest[first.len_utf8()..])),
        }
        .unwrap_or_else(|| panic!("`{first}` is not closed: {expression}"));
        tokens.extend(token);
        rest = behind.trim_start();
    }
    tokens
}

/// What an expression names.
#[derive(Default)]
struct Names<'a> {
    /// With the labels that select its series, and their values.
    metrics: Vec<(&'a str, Vec<(&'a str, &'a str)>)>,
    groups: Vec<&'a str>,
}

fn names(expression: &str) -> Names<'_> {
    let mut names = Names::default();
    let mut tokens = tokens(expression).into_iter().peekable();
    while let Some(token) = tokens.next() {
        let Token::Word(word) = token else { continue };
        let next = tokens.peek().copied();
        if GROUPINGS.contains(&word) {
            let labels = tokens.by_ref().take_while(|token| *token != Token::Sign(')'));
            names.groups.extend(labels.filter_map(|token| match token {
                Token::Word(label) => Some(label),
                _ => None,
            }));
        } else if next == Some(Token::Sign('{')) {
            let selector: Vec<_> = tokens.by_ref().take_while(|token| *token != Token::Sign('}')).collect();
            names.metrics.push((word, pairs(&selector[1..])));
        } else if next != Some(Token::Sign('(')) && !WORDS.contains(&word) {
            names.metrics.push((word, Vec::new()));
        }
    }
    names
}

fn pairs<'a>(selector: &[Token<'a>]) -> Vec<(&'a str, &'a str)> {
    let matchers = selector.split(|token| *token == Token::Sign(','));
    let pairs = matchers
        .filter(|matcher| !matcher.is_empty())
        .map(|matcher| match *matcher {
            [Token::Word(label), .., Token::Text(value)] => (label, value),
            _ => panic!("not a label and a value: {matcher:?}"),
        });
    pairs.collect()
}

fn mistakes(query: &Query, metrics: &BTreeMap<String, Metric>) -> Vec<String> {
    let names = names(&query.expression);
    let mut mistakes = Vec::new();
    for (name, selected) in &names.metrics {
        let Some(metric) = metrics.get(*name) else {
            mistakes.push(format!(
                "no instrument of docs/observing.md is called `{name}` in Prometheus"
            ));
            continue;
        };
        let labels = selected.iter().map(|(label, _)| label).chain(&names.groups);
        let unknown = labels.filter(|label| !metric.labels.contains(**label));
        mistakes.extend(unknown.map(|label| format!("`{name}` has no label `{label}`")));
        for (label, value) in selected.iter().filter(|(_, value)| !value.starts_with('$')) {
            let values = value.split('|').filter(|value| !value.is_empty());
            let unknown = values.filter(|value| !PAGE.contains(&format!("`{value}`")));
            mistakes.extend(unknown.map(|value| format!("`{label}` is never `{value}`")));
        }
    }
    let in_legend = query
        .legend
        .split("{{")
        .skip(1)
        .filter_map(|text| text.split("}}").next());
    let unknown = in_legend.filter(|label| !names.groups.contains(label));
    mistakes.extend(unknown.map(|label| format!("the legend has `{label}`, which the expression does not group by")));
    mistakes
        .iter()
        .map(|mistake| format!("{}: {mistake}", query.place))
        .collect()
}

#[test]
fn every_name_on_the_board_is_measured() {
    let metrics = metrics();
    let mistakes: Vec<_> = queries().iter().flat_map(|query| mistakes(query, &metrics)).collect();
    assert!(
        mistakes.is_empty(),
        "docs/observing-board.json:\n{}",
        mistakes.join("\n")
    );
}

#[test]
fn everything_measured_is_in_a_panel() {
    let metrics = metrics();
    let queries = queries();
    let in_panels = queries.iter().filter(|query| query.place.starts_with("panel"));
    let shown: BTreeSet<_> = in_panels
        .flat_map(|query| names(&query.expression).metrics)
        .filter_map(|(name, _)| Some(metrics.get(name)?.instrument))
        .collect();
    let measured: BTreeSet<_> = metrics.values().map(|metric| metric.instrument).collect();
    let missing: Vec<_> = measured.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "no panel of docs/observing-board.json shows {missing:?}"
    );
}

#[test]
fn a_wrong_name_is_found() {
    let cases = [
        (
            "rate(sandboxed_call_stop_total[5m])",
            "no instrument of docs/observing.md is called `sandboxed_call_stop_total` in Prometheus",
        ),
        (
            "rate(sandboxed_call_stops[5m])",
            "no instrument of docs/observing.md is called `sandboxed_call_stops` in Prometheus",
        ),
        (
            "1 - sandboxed_calls_active_total",
            "no instrument of docs/observing.md is called `sandboxed_calls_active_total` in Prometheus",
        ),
        (
            "sandboxed_retry_delay_seconds{}",
            "no instrument of docs/observing.md is called `sandboxed_retry_delay_seconds` in Prometheus",
        ),
        (
            "sum by (le) (sandboxed_retry_delay_seconds_sum)",
            "`sandboxed_retry_delay_seconds_sum` has no label `le`",
        ),
        (
            "sandboxed_calls_active{error_type!=\"\"}",
            "`sandboxed_calls_active` has no label `error_type`",
        ),
        (
            "sandboxed_call_stops_total{sandboxed_stop=~\"refused|succeed\"}",
            "`sandboxed_stop` is never `succeed`",
        ),
    ];
    for (expression, mistake) in cases {
        let query = Query {
            place: "panel".to_owned(),
            expression: expression.to_owned(),
            legend: String::new(),
        };
        assert_eq!(
            mistakes(&query, &metrics()),
            [format!("panel: {mistake}")],
            "{expression}"
        );
    }
}
