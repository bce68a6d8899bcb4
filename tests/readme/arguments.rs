//! The page about the attribute has every argument, and the skill names no other.

use crate::support::{Page, code_spans, fences_and_prose, read, rows};

/// The arguments that the compiler lists where it meets this one, which does not exist.
fn there_are(unknown: &str) -> Vec<String> {
    let case = read("tests/ui/fail/unknown-argument.stderr");
    let message = case
        .lines()
        .find(|line| line.starts_with(&format!("error: unknown argument `{unknown}`")))
        .unwrap();
    let list = message.split("there are ").nth(1).unwrap();
    code_spans(list).into_iter().map(str::to_owned).collect()
}

/// The rows of the tables under a heading of a page.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = Page::new(page);
    let (_, prose) = fences_and_prose(page.section(heading));
    rows(&prose)
}

#[test]
fn are_all_in_the_table() {
    let rows = table("docs/attribute.md", "## Arguments");
    let named: Vec<_> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    for argument in there_are("colour") {
        let is_named = |name: &&str| name.split([' ', '(']).next() == Some(&argument);
        assert!(named.iter().any(is_named), "`{argument}` is not in the table");
    }
    let breaker = rows.iter().find(|row| row[0] == "`breaker(..)`").unwrap().join(" ");
    for argument in there_are("treshold") {
        assert!(
            breaker.contains(&format!("`{argument}`")),
            "`{argument}` is not among those of the breaker"
        );
    }
}

#[test]
fn of_the_skill_exist() {
    let known: Vec<_> = ["colour", "treshold", "call"].into_iter().flat_map(there_are).collect();
    let rows = table("docs/skill/SKILL.md", "## Which arguments for which tool");
    let cells: Vec<_> = rows.iter().map(|row| row[1].replace("\\|", "")).collect();
    let settings = cells
        .iter()
        .flat_map(|cell| code_spans(cell))
        .filter_map(|span| span.split_once(" = "));
    let names: Vec<_> = settings
        .map(|(name, _)| name.rsplit('(').next().unwrap().to_owned())
        .collect();
    assert!(names.len() > 10, "arguments were found: {names:?}");
    for name in names {
        assert!(
            known.contains(&name),
            "the skill has `{name}`, which is not an argument"
        );
    }
    assert!(
        read("docs/skill/SKILL.md").starts_with("---\nname: "),
        "what a skill begins with"
    );
}
