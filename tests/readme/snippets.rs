//! Snippets of the README that are too short to be compiled alone stand word for word in the examples of this package.

#![allow(clippy::unwrap_used, missing_docs)]

const README: &str = include_str!("../../README.md");
const PAGE: &str = include_str!("page.rs");
const PROGRAMS: [&str; 4] = [
    include_str!("../../sandbox-fleet/src/lib.rs"),
    include_str!("framework.rs"),
    include_str!("mcp.rs"),
    include_str!("rig.rs"),
];

/// The text without indentation.
fn flush_left(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn stand_in_a_program_word_for_word() {
    let snippets: Vec<_> = README
        .split("```rust,ignore\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(
        snippets.len(),
        6,
        "the README's snippets without a context of their own"
    );
    for snippet in snippets {
        let is_there = |program: &&str| flush_left(program).contains(flush_left(snippet).trim());
        assert!(PROGRAMS.iter().any(is_there), "in no program:\n{snippet}");
    }
}

#[test]
fn the_first_one_is_tested_word_for_word() {
    let first = README.split("```rust\n").nth(1).unwrap();
    let first = first.split("```").next().unwrap();
    assert!(PAGE.contains(first), "not in `page.rs`:\n{first}");
}
