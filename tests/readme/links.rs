//! Links between pages and to files lead somewhere, and the README to every page.

use std::collections::HashMap;

use crate::support::{Page, fences_and_prose, pages, root};

/// The pages, and what else is read at the top of the repository.
fn documents() -> Vec<Page> {
    let mut documents = pages();
    documents.extend(["CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md"].map(Page::new));
    documents
}

/// The text without what stands between backticks, in which brackets are no links.
fn without_code(prose: &str) -> String {
    let parts = prose.split('`').enumerate();
    parts
        .filter(|(place, _)| place % 2 == 0)
        .map(|(_, part)| part)
        .collect()
}

/// Where the links and pictures of a text lead.
fn targets(text: &str) -> Vec<String> {
    let (_, prose) = fences_and_prose(text);
    let prose = without_code(&prose);
    let targets = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    targets.map(str::to_owned).collect()
}

/// The names by which the headings of a text are linked to, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let (_, prose) = fences_and_prose(text);
    let mut seen = HashMap::new();
    let headings = prose.lines().filter_map(|line| {
        line.trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with('#'))
    });
    let slugs = headings.map(|heading| {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|it| it.is_alphanumeric() || " -_".contains(*it))
            .collect::<String>();
        kept.replace(' ', "-")
    });
    let slugs = slugs.map(|slug| {
        let before = seen.entry(slug.clone()).or_insert(0);
        *before += 1;
        if *before == 1 {
            slug
        } else {
            format!("{slug}-{}", *before - 1)
        }
    });
    slugs.collect()
}

/// What is wrong with a link of this page, if anything is.
fn mistake(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let here = root().join(&page.path);
    let there = if path.is_empty() {
        here
    } else {
        here.parent().unwrap().join(path)
    };
    if !there.exists() {
        return Some(format!("{}: there is no `{path}`", page.path));
    }
    let has_anchor = || {
        anchors(&std::fs::read_to_string(there).unwrap())
            .iter()
            .any(|it| it == anchor)
    };
    (!anchor.is_empty() && !has_anchor()).then(|| format!("{}: `{target}` is not a heading", page.path))
}

#[test]
fn all_lead_somewhere() {
    let documents = documents();
    let links = documents
        .iter()
        .flat_map(|page| targets(&page.text).into_iter().map(move |target| (page, target)));
    let links: Vec<_> = links.collect();
    assert!(links.len() > 100, "links were found: {}", links.len());
    let mistakes: Vec<_> = links
        .iter()
        .filter_map(|(page, target)| mistake(page, target))
        .collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn one_that_leads_nowhere_is_found() {
    let page = Page {
        path: "docs/nowhere.md".to_owned(),
        text: "# A page\n\n## `code`, and words\n\n## Twice\n\n## Twice\n".to_owned(),
    };
    assert_eq!(anchors(&page.text), ["a-page", "code-and-words", "twice", "twice-1"]);
    assert_eq!(
        targets("[a](b.md#c) and `[no](link)` and ![d](e.png)"),
        ["b.md#c", "e.png"]
    );
    assert_eq!(mistake(&page, "../README.md"), None);
    assert!(mistake(&page, "README.md").is_some());
    assert!(mistake(&page, "../README.md#no-such-heading").is_some());
}

#[test]
fn the_readme_leads_to_every_page() {
    let linked = targets(&Page::new("README.md").text);
    let index = targets(&Page::new("llms.txt").text);
    for Page { path, .. } in pages() {
        let is_page = path.starts_with("docs/") || path == "llms.txt";
        // A table that a benchmark writes, of which the page about performance has a copy.
        if !is_page || path == "docs/performance-table.md" {
            continue;
        }
        assert!(linked.contains(&path), "the README does not lead to `{path}`");
        assert!(
            path == "llms.txt" || index.contains(&path),
            "llms.txt does not lead to `{path}`"
        );
    }
}
