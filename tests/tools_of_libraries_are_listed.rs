//! A tool of a library is listed although nothing in the program refers to it, if anything keeps the library.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use sandbox_runtime::{tool, tools};

/// As the documentation of `tools` says: to name the library keeps all of it.
use sandbox_tests as _;

#[test]
fn if_the_library_is_named() {
    assert!(tool("sandbox_tests::listed_in_a_library").is_some(), "{}", tools());
}
