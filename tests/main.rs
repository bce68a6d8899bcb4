//! What `#[sandboxed]` promises at run time, one file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod arguments_are_pristine;
mod body_keeps_its_meaning;
mod breakers_are_per_function;
mod error_types;
mod settings_reach_the_engine;
