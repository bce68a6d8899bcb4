//! The documentation of this crate is the README, so that its snippets are compiled and run. `snippets.rs` compares those of
//! frameworks with the programs beside this file.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
