//! Each promise in `docs/correctness.md` has a proof that is there: a test, a model, a count, or a program.

use crate::support::{Page, code_spans, fences_and_prose, files_within, read, root, rows};

/// One file, and the tests in it that are named.
#[derive(Debug, PartialEq)]
struct Proof {
    path: String,
    tests: Vec<String>,
}

/// The proofs in a cell: a path, and the names that stand behind it.
fn proofs(cell: &str) -> Vec<Proof> {
    let mut proofs: Vec<Proof> = Vec::new();
    for span in code_spans(cell) {
        match proofs.last_mut() {
            Some(proof) if !span.contains('/') => proof.tests.push(span.to_owned()),
            _ => proofs.push(Proof {
                path: span.to_owned(),
                tests: Vec::new(),
            }),
        }
    }
    proofs
}

/// Whether the text has a function of this name that is a test or a benchmark.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let rest = line.trim_start_matches("pub ").trim_start_matches("async ");
        rest.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    let is_above = |line: &&&str| line.starts_with("#[") || line.starts_with("//");
    let attributes = |place: usize| lines[..place].iter().rev().take_while(is_above);
    let is_attribute_of_test =
        |line: &&str| line.starts_with("#[") && (line.contains("test") || line.contains("bench"));
    let is_test = |place: usize| attributes(place).any(is_attribute_of_test);
    (0..lines.len()).any(|place| is_it(lines[place]) && is_test(place))
}

/// What is wrong with a proof.
fn mistakes(proof: &Proof) -> Vec<String> {
    let Proof { path, tests } = proof;
    if !root().join(path).is_file() {
        return vec![format!("there is no file `{path}`")];
    }
    let has_no_names = ["tests/ui/", "examples/", "benches/benches/"]
        .iter()
        .any(|folder| path.starts_with(folder));
    let of_tests = path.ends_with(".rs") && !has_no_names;
    if of_tests && tests.is_empty() {
        return vec![format!("`{path}` stands without the name of a test")];
    }
    let text = read(path);
    let gone = tests.iter().filter(|name| !has_test(&text, name));
    gone.map(|name| format!("`{path}` has no test `{name}`")).collect()
}

#[test]
fn have_proofs_that_are_there() {
    let (_, prose) = fences_and_prose(&Page::new("docs/correctness.md").text);
    let rows = rows(&prose);
    assert!(rows.len() >= 60, "promises were found: {}", rows.len());
    let mut found = Vec::new();
    for row in rows {
        let proofs = proofs(row.last().unwrap());
        if proofs.is_empty() {
            found.push(format!("no proof of: {}", row[0]));
        }
        found.extend(proofs.iter().flat_map(mistakes));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn of_the_fleet_have_tests_that_are_there() {
    let page = Page::new("docs/fleet.md");
    let rows = rows(page.section("## What is guaranteed, and what is not"));
    assert!(!rows.is_empty(), "guarantees were found");
    let mut sources = files_within("sandbox-fleet", "rs");
    sources.extend(files_within("benches/instructions", "rs"));
    for span in rows.iter().flat_map(|row| code_spans(row.last().unwrap())) {
        let is_file = span.ends_with(".rs");
        let is_name = span.chars().all(|it| it.is_ascii_lowercase() || it == '_');
        let is_there = |path: &&String| {
            if is_file {
                path.ends_with(span)
            } else {
                read(path).contains(&format!("fn {span}"))
            }
        };
        assert!(
            !(is_file || is_name) || sources.iter().any(|path| is_there(&path)),
            "`{span}` is gone"
        );
    }
}

#[test]
fn of_every_page_are_among_them() {
    let page = Page::new("docs/correctness.md");
    for path in [
        "attribute",
        "failures",
        "breaker",
        "mcp",
        "rig",
        "testing",
        "observing",
        "operating",
        "fleet",
        "messages",
        "by-hand",
    ] {
        assert!(
            page.text.contains(&format!("]({path}.md")),
            "nothing is proved of `docs/{path}.md`"
        );
    }
}

#[test]
fn of_the_readme_about_times_are_in_the_tables() {
    let readme = read("README.md");
    let performance = Page::new("docs/performance.md");
    let (sentence, _) = readme.split_once("([how that was measured]").unwrap();
    let words: Vec<_> = sentence.rsplit("\n\n").next().unwrap().split_whitespace().collect();
    let times: Vec<_> = words
        .windows(2)
        .filter(|pair| pair[1] == "ns")
        .map(|pair| pair[0])
        .collect();
    assert_eq!(times.len(), 2, "{words:?}");
    for time in times {
        let cell = format!("| {time} |");
        assert!(
            performance.section("### Ready at once").contains(&cell),
            "{time} ns is not in the table"
        );
    }
}

#[test]
fn a_proof_that_is_gone_is_found() {
    let here = "tests/readme/promises.rs";
    let cell = format!("`{here}`: `a_proof_that_is_gone_is_found`, `{}`", "no_such_test");
    let [proof] = proofs(&cell).try_into().unwrap();
    assert_eq!(mistakes(&proof), [format!("`{here}` has no test `no_such_test`")]);
    let no_test = format!("`{here}`: `has_test`");
    assert_eq!(mistakes(&proofs(&no_test)[0]).len(), 1, "a function that is not a test");
    assert_eq!(mistakes(&proofs("`tests/no_such_file.rs`: `a`")[0]).len(), 1);
    assert_eq!(
        mistakes(&proofs(&format!("`{here}`"))[0]).len(),
        1,
        "a file without a name"
    );
    assert!(has_test(
        "#[tokio::test]\n// Why.\nasync fn it_works() {}\n",
        "it_works"
    ));
    assert!(!has_test("#[tokio::test]\nasync fn it_works() {}\n", "it"));
}
