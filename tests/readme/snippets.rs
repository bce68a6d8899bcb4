//! Snippets are compiled: as tests of the documentation, or word for word in a program.

use crate::support::{Fence, Page, fences_and_prose, pages, read};

/// The text without indentation.
fn flush_left(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

/// The programs in which snippets may stand: those that cargo compiles here, and the documentation of the fleet.
fn programs() -> Vec<String> {
    let manifest: toml::Table = toml::from_str(&read("tests/readme/Cargo.toml")).unwrap();
    let targets = ["example", "test"]
        .iter()
        .flat_map(|kind| manifest[*kind].as_array().unwrap());
    let mut paths: Vec<_> = targets
        .map(|target| target["path"].as_str().unwrap().to_owned())
        .collect();
    let modules = read("tests/readme/documents.rs");
    let modules = modules
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    paths.extend(modules.map(|module| format!("{module}.rs")));
    let mut programs: Vec<_> = paths.iter().map(|path| read(&format!("tests/readme/{path}"))).collect();
    programs.push(read("sandbox-fleet/src/lib.rs"));
    programs.iter().map(|program| flush_left(program)).collect()
}

/// Whether the snippets of the page are compiled and run by `cargo test`.
fn is_tested(page: &Page, crates: &[String]) -> bool {
    let included = format!("include_str!(\"../../{}\")", page.path);
    crates.iter().any(|text| text.contains(&included))
}

/// What is wrong with a fence, if anything is.
fn mistake(fence: &Fence, is_page_tested: bool, programs: &[String]) -> Option<String> {
    match fence.info.as_str() {
        "rust" | "rust,no_run" if is_page_tested => None,
        "rust" | "rust,no_run" => Some("no crate has the page in its documentation".to_owned()),
        "rust,ignore" => {
            let snippet = flush_left(&fence.text);
            let is_there = programs.iter().any(|program| program.contains(snippet.trim()));
            (!is_there).then(|| "in no program".to_owned())
        }
        "json" | "sh" | "text" | "toml" => None,
        info => Some(format!("`{info}` is none of the languages that are checked")),
    }
}

#[test]
fn all_are_compiled() {
    let programs = programs();
    let crates = [read("tests/readme/lib.rs"), read("sandbox-fleet/src/lib.rs")];
    let (mut compiled, mut mistakes) = (0, Vec::new());
    for page in pages() {
        let is_page_tested = is_tested(&page, &crates);
        let (fences, prose) = fences_and_prose(&page.text);
        assert!(!prose.contains("```"), "{}: a fence was overlooked", page.path);
        compiled += fences.iter().filter(|fence| fence.info.starts_with("rust")).count();
        for fence in fences {
            let found = mistake(&fence, is_page_tested, &programs);
            mistakes.extend(found.map(|it| format!("{}: {it}:\n{}", page.path, fence.text)));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(compiled >= 24, "snippets were found: {compiled}");
}

#[test]
fn one_that_is_in_no_program_is_found() {
    let fence = |info: &str, text: &str| Fence {
        info: info.to_owned(),
        text: text.to_owned(),
    };
    let programs = ["fn main() {\nrun();\n}".to_owned()];
    assert_eq!(mistake(&fence("rust,ignore", "    run();\n"), false, &programs), None);
    assert!(mistake(&fence("rust,ignore", "walk();\n"), false, &programs).is_some());
    assert!(mistake(&fence("rust", "walk();\n"), false, &programs).is_some());
    assert!(mistake(&fence("", "walk();\n"), true, &programs).is_some());
}

#[test]
fn the_first_one_is_tested_word_for_word() {
    let readme = read("README.md");
    let (fences, _) = fences_and_prose(&readme);
    let first = fences.iter().find(|fence| fence.info == "rust").unwrap();
    let program = read("tests/readme/page.rs");
    assert!(program.contains(&first.text), "not in `page.rs`:\n{}", first.text);
}
