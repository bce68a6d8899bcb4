//! What the compiler reports: every accepted shape compiles without a warning, every refusal has its message.
//!
//! The expectations were blessed with Rust 1.95; another compiler may word its own parts differently. To bless them
//! again: `TRYBUILD=overwrite cargo test -p sandbox-tests-messages`, then read the diff.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
