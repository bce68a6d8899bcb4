//! The lists beside this file have every public item of the crates, with all features: a change of one is a change of a list, and is
//! seen before it is released. `docs/promises.md` states what may change when.
//!
//! The lists were written with Rust 1.95; another compiler writes documentation in another form. To write them again:
//! `BLESS=1 cargo test -p sandbox-tests-api`, then read the diff.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use public_api::Builder;

/// Compilers have these for themselves.
const INTERNAL: [&str; 3] = [
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::UnsafeUnpin",
];

/// Where rustdoc has written about the library of a package, in JSON.
fn documentation(package: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let status = Command::new(env!("CARGO"))
        .env("RUSTDOC", here.join("rustdoc"))
        .args(["rustdoc", "--locked", "--quiet", "--lib", "--all-features"])
        .args(["--package", package])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .status()
        .unwrap();
    assert!(status.success(), "`{package}` is not documented");
    let file = format!("{}.json", package.replace('-', "_"));
    target.join("doc").join(file).to_str().unwrap().to_owned()
}

fn check(package: &str) {
    let api = Builder::from_rustdoc_json(documentation(package))
        .omit_blanket_impls(true)
        .build()
        .unwrap();
    let items = api.to_string();
    let is_internal = |item: &str| INTERNAL.iter().any(|name| item.contains(name));
    let found: String = items
        .lines()
        .filter(|item| !is_internal(item))
        .map(|item| format!("{item}\n"))
        .collect();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{package}.txt"));
    if env::var_os("BLESS").is_some() {
        fs::write(&list, &found).unwrap();
    }
    let listed = fs::read_to_string(&list).unwrap_or_default();
    let new: Vec<_> = found
        .lines()
        .filter(|item| !listed.lines().any(|other| other == *item))
        .collect();
    let gone: Vec<_> = listed
        .lines()
        .filter(|item| !found.lines().any(|other| other == *item))
        .collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "`{package}` has other public items than `{package}.txt` lists; see the head of this file\nnew: {new:#?}\ngone: {gone:#?}"
    );
}

#[test]
fn of_the_runtime() {
    check("sandbox-runtime");
}

#[test]
fn of_the_fleet() {
    check("sandbox-fleet");
}
