//! The methods of rmcp's `ServerHandler`, read from the source of the version in the lock file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// The methods that rmcp has.
pub(crate) fn of_rmcp() -> BTreeSet<String> {
    let path = directory_of_rmcp().join("src/handler/server.rs");
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // The trait has two definitions, with and without `Send`, and both have the methods of one macro.
    let items = ["macro_rules! server_handler_methods", "pub trait ServerHandler"];
    let lines = items.into_iter().flat_map(|start| item(&source, start).lines());
    let methods: BTreeSet<_> = lines.filter_map(declared).map(str::to_owned).collect();
    for known in ["call_tool", "get_info", "on_progress"] {
        assert!(
            methods.contains(known),
            "the trait's methods are not where they are looked for: {methods:?} in {}",
            path.display()
        );
    }
    methods
}

/// The name of the function whose declaration begins in `line`.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let declaration = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    declaration.split(['(', '<']).next()
}

/// Whether the implementation of `ServerHandler` in `source` has this method, in full or as an argument of a macro.
pub(crate) fn is_implemented(source: &str, method: &str) -> bool {
    let definition = format!("{method}(");
    item(source, " ServerHandler for ").lines().any(|line| {
        let name = line.trim_start().trim_start_matches("async ").trim_start_matches("fn ");
        name.starts_with(&definition)
    })
}

/// The rest of the item that contains `start`, to the brace that closes it.
fn item<'a>(source: &'a str, start: &str) -> &'a str {
    let (_, item) = source
        .split_once(start)
        .unwrap_or_else(|| panic!("there is not an item with `{start}`"));
    item.split_once("\n}").map_or(item, |(item, _)| item)
}

fn directory_of_rmcp() -> PathBuf {
    let version = cargo(&["--version", "--verbose"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    // Of other platforms' packages, not all may have been downloaded.
    let platform = host.expect("cargo reports its host");
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        platform,
    ]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("cargo lists packages");
    let mut manifests = packages
        .iter()
        .filter(|package| package["name"] == "rmcp")
        .filter_map(|package| package["manifest_path"].as_str());
    let manifest = manifests.next().expect("rmcp is locked");
    assert_eq!(manifests.next(), None, "rmcp is locked twice");
    PathBuf::from(manifest)
        .parent()
        .expect("a manifest is in a directory")
        .to_owned()
}

/// The output of a command of cargo in this workspace.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`cargo {}` failed: {errors}",
        arguments.join(" ")
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
