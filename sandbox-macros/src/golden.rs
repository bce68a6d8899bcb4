//! Expansions for the reader, kept in `golden/`: `NAME.rs` expands to `NAME.expanded.rs`.
//!
//! To update them: `BLESS=1 cargo test -p sandbox-macros golden`, then read the difference.

use std::path::Path;

use quote::ToTokens;
use syn::ItemFn;

use crate::expand::sandboxed;

fn expanded(input: &str) -> String {
    let mut function: ItemFn = syn::parse_str(input).expect("the input is a function");
    let attribute = function.attrs.remove(0);
    let args = attribute
        .meta
        .require_list()
        .expect("the first attribute has arguments");
    let output = sandboxed(args.tokens.clone(), function.to_token_stream());
    prettyplease::unparse(&syn::parse2(output).expect("the output is a function"))
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let input = std::fs::read_to_string(folder.join(format!("{name}.rs"))).expect("the input is there");
    let expectation = folder.join(format!("{name}.expanded.rs"));
    let output = expanded(&input);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expectation, &output).expect("the folder can be written to");
    }
    let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
    assert_eq!(
        output, expected,
        "`{name}` has another expansion than before; see the head of this module"
    );
}

#[test]
fn function() {
    check("function");
}

#[test]
fn shared_receiver() {
    check("shared_receiver");
}

#[test]
fn lent_receiver() {
    check("lent_receiver");
}

#[test]
fn boxed_future() {
    check("boxed_future");
}

#[test]
fn all_settings() {
    check("all_settings");
}
