//! What a page consists of: fences, prose, headings, links and the rows of its tables.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .canonicalize()
        .unwrap()
}

/// A text file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A text for readers.
pub(crate) struct Page {
    /// From the top of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn new(path: &str) -> Self {
        Page {
            path: path.to_owned(),
            text: read(path),
        }
    }

    /// The text of the section under this heading, up to the next one of any level.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let from = self
            .text
            .find(&format!("\n{heading}\n"))
            .unwrap_or_else(|| panic!("{}: `{heading}`", self.path));
        let section = &self.text[from + heading.len() + 2..];
        section.find("\n#").map_or(section, |end| &section[..end])
    }
}

/// The pages whose snippets are compiled: those for users.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = files_within("docs", "md");
    paths.extend(["README.md", "llms.txt"].map(str::to_owned));
    let packages = ["sandbox-fleet", "sandbox-macros", "sandbox-runtime"].map(|package| format!("{package}/README.md"));
    paths.extend(packages.into_iter().filter(|path| root().join(path).exists()));
    paths.iter().map(|path| Page::new(path)).collect()
}

/// The files in a folder of the repository, and in those within it.
pub(crate) fn files_within(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(from_root(&path));
            }
        }
    }
    found.sort();
    found
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

/// A block between two lines of three backticks.
#[derive(Debug)]
pub(crate) struct Fence {
    /// What stands behind the first of them.
    pub(crate) info: String,
    pub(crate) text: String,
}

/// The fences of a page, and its other lines.
pub(crate) fn fences_and_prose(text: &str) -> (Vec<Fence>, String) {
    let (mut fences, mut prose) = (Vec::new(), String::new());
    let mut open: Option<Fence> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (open.as_mut(), fence) {
            (None, Some(info)) => {
                open = Some(Fence {
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some("")) => fences.extend(open.take()),
            (Some(fence), _) => fence.text.extend([line, "\n"]),
            (None, None) => prose.extend([line, "\n"]),
        }
    }
    assert!(open.is_none(), "a fence is not closed: {open:?}");
    (fences, prose)
}

/// The fences of a page that have this word behind their backticks.
pub(crate) fn fences(text: &str, info: &str) -> Vec<Fence> {
    let (mut fences, _) = fences_and_prose(text);
    fences.retain(|fence| fence.info == info);
    fences
}

/// What stands between single backticks.
pub(crate) fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of each row of the page's tables, without the rows at their heads.
pub(crate) fn rows(prose: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = prose.lines().collect();
    let is_row = |line: &str| line.starts_with('|');
    let is_rule = |line: &str| is_row(line) && line.chars().all(|it| "|-: ".contains(it));
    let mut rows = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let is_head = lines.get(place + 1).is_some_and(|next| is_rule(next));
        if is_row(line) && !is_rule(line) && !is_head {
            let cells = line.trim().trim_matches('|').split(" | ");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}
