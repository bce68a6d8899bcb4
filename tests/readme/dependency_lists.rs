//! The lists of dependencies that pages show are complete: with nothing else, a fresh crate builds the page's program.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{fences, read, root};

/// The only list of dependencies on a page, as a manifest with this name.
fn manifest(page: &str, name: &str) -> String {
    let text = read(page);
    let lists = fences(&text, "toml");
    let [list] = lists
        .iter()
        .filter(|fence| fence.text.contains("../sandbox/"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{page} has one list");
    };
    let head = if list.text.contains("[dependencies]") {
        ""
    } else {
        "[dependencies]\n"
    };
    let list = list.text.replace("../sandbox/", &format!("{}/", root().display()));
    // A workspace of its own, wherever the folder is.
    format!("[workspace]\n\n[package]\nname = \"of-{name}\"\nedition = \"2024\"\n\n{head}{list}")
}

/// The snippets of a page that are compiled as they are.
fn snippets(page: &str) -> String {
    let text = read(page);
    let snippets = ["rust", "rust,no_run", "rust,ignore"]
        .into_iter()
        .flat_map(|info| fences(&text, info));
    // Each in a scope of its own: they name the same things.
    snippets
        .enumerate()
        .map(|(place, it)| format!("mod snippet_{place} {{\n{}}}\n", it.text))
        .collect()
}

/// Builds a crate with this manifest and this program, all targets, in a folder of its own.
fn check(name: &str, manifest: &str, program: (&str, &str)) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join("dependency_lists").join(name);
    let source = folder.join(program.0);
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that everything else is tested with.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::write(source, program.1).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(["check", "--quiet", "--all-targets"]).current_dir(&folder);
    let built = cargo
        .env("CARGO_TARGET_DIR", target.join("dependency_lists/target"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&built.stderr)
    );
}

#[test]
#[ignore = "builds frameworks anew: a minute or two"]
fn are_enough_for_their_programs() {
    let readme = read("README.md");
    let [tool, main] = [
        &fences(&readme, "rust")[0].text,
        &fences(&readme, "rust,ignore")[0].text,
    ];
    let first = format!("{tool}\n{main}");
    check(
        "first-tool",
        &manifest("README.md", "first-tool"),
        ("src/main.rs", &first),
    );
    for framework in ["mcp", "rig"] {
        let manifest = manifest(&format!("docs/{framework}.md"), framework);
        let program = read(&format!("tests/readme/{framework}.rs"));
        check(framework, &manifest, ("src/main.rs", &program));
    }
    for page in ["by-hand", "fleet", "testing"] {
        let path = format!("docs/{page}.md");
        check(page, &manifest(&path, page), ("tests/snippets.rs", &snippets(&path)));
    }
}

#[test]
fn are_found_on_their_pages() {
    for page in [
        "README.md",
        "docs/mcp.md",
        "docs/rig.md",
        "docs/by-hand.md",
        "docs/fleet.md",
        "docs/testing.md",
    ] {
        let manifest = manifest(page, "any");
        let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_else(|error| panic!("{page}: {error}"));
        let names: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().collect();
        assert!(
            names.iter().any(|name| name.starts_with("sandbox-")),
            "{page}: {names:?}"
        );
    }
}
