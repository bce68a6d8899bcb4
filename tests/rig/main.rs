//! What `#[sandboxed]` promises to tools of agents built with rig, one file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attempts_share_the_context;
mod failures_are_reported;
mod own_error_types;
mod own_errors_have_meanings;
mod runs_are_told_that_they_are_over;
mod schemas_stay;
mod stands_where_tools_do;
mod tools_come_and_go;
