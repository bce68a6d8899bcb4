//! What the names of tables mean, and which were meant by those that mean nothing.

use std::collections::BTreeSet;
use std::iter::successors;

use crate::policy::nearest;
use crate::registry::{Named, ToolHandle, all_tools, named};
use crate::text::shown;

/// The tool of this name or path, or the message about a name that is not that of one tool.
pub(super) fn tool_named(name: &str) -> Result<ToolHandle, String> {
    match named(name) {
        Named::One(tool) => Ok(tool),
        Named::Several(tools) => Err(ambiguous(&tools)),
        Named::Nobody => Err(no_tool(name)),
    }
}

fn ambiguous(tools: &[ToolHandle]) -> String {
    let paths: BTreeSet<_> = tools.iter().map(ToolHandle::path).collect();
    match Vec::from_iter(&paths).as_slice() {
        // Two methods of one name, or functions of the library and of the binary of one package: no path tells them apart.
        [path] => {
            let mut places: Vec<_> = tools
                .iter()
                .map(|tool| (tool.location().file(), tool.location().line()))
                .collect();
            places.sort_unstable();
            let places: Vec<_> = places
                .into_iter()
                .map(|(file, line)| format!("{file}:{line}"))
                .collect();
            format!(
                "several tools have the path `{path}`: {}; give each a `name = \"..\"` in its attribute",
                places.join(", ")
            )
        }
        _ => format!(
            "several tools have this name; write the path of one: {}",
            alternatives(&paths)
        ),
    }
}

fn no_tool(name: &str) -> String {
    let paths: BTreeSet<_> = all_tools().map(|tool| tool.path()).collect();
    let is_name = |text: &str| matches!(named(text), Named::One(_));
    let meant = meant(name, &paths, is_name).or_else(|| {
        let (_, last) = name.rsplit_once("::")?;
        meant(last, &paths, is_name)
    });
    with_hint(format!("there is no tool `{}`", shown(name)), meant)
}

/// Returns the message about a module without tools.
pub(super) fn check_module(module: &str) -> Result<(), String> {
    let is_module = |text: &str| all_tools().any(|tool| tool.is_within(text));
    if is_module(module) {
        return Ok(());
    }
    let within = |inner| successors(Some(inner), |inner: &&'static str| Some(inner.rsplit_once("::")?.0));
    let modules = all_tools().flat_map(|tool| within(tool.module()));
    let meant = meant(module, &modules.map(str::to_owned).collect(), is_module);
    Err(with_hint(format!("there is no tool in `{}`", shown(module)), meant))
}

fn with_hint(fact: String, meant: Option<String>) -> String {
    match meant {
        Some(meant) => format!("{fact}; did you mean {meant}?"),
        None => format!("{fact}; `tools()` lists those of the program"),
    }
}

/// What was probably meant by `text`, which may lack the beginning of a path: whatever ends with what is nearest to it.
fn meant(text: &str, paths: &BTreeSet<String>, is_known: impl Fn(&str) -> bool) -> Option<String> {
    let nearest = nearest(text, paths.iter().flat_map(|path| ends(path)))?;
    if is_known(nearest) {
        return Some(format!("`{nearest}`"));
    }
    let has_it = |path: &&String| ends(path).any(|end| end == nearest);
    Some(alternatives(paths.iter().filter(has_it)))
}

/// The ends of a path, from the whole of it to its last name.
fn ends(path: &str) -> impl Iterator<Item = &str> {
    successors(Some(path), |path| Some(path.split_once("::")?.1))
}

fn alternatives<'a>(paths: impl IntoIterator<Item = &'a String>) -> String {
    let paths: Vec<_> = paths.into_iter().map(|path| format!("`{path}`")).collect();
    paths.join(" or ")
}
