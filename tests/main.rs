//! What `#[sandboxed]` promises at run time, one file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod arguments_are_pristine;
mod body_keeps_its_meaning;
mod breakers;
mod cancellation;
mod error_types;
mod lent_arguments;
mod other_attributes;
mod receivers;
mod results_have_meanings;
mod returned_futures;
mod settings_reach_the_engine;
