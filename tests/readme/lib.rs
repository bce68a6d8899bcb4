//! As documentation this crate is the README, so that its snippets are compiled and run. Those of frameworks stand in the examples.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
