//! The documentation of this crate is the README, so that its snippets are compiled and run. `snippets.rs` compares those of
//! frameworks with the programs beside this file.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]

/// That page's snippets are compiled, too; `shop.rs` runs them.
#[cfg(doctest)]
#[doc = include_str!("../../docs/operating.md")]
mod operating {}

/// And of this one.
#[cfg(doctest)]
#[doc = include_str!("../../docs/agents.md")]
mod agents {}
