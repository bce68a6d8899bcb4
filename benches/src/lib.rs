//! What a call costs, next to the bare call and to peers: the contestants, the measurement and the report of
//! `cargo bench -p sandbox-benches`.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

pub mod contestants;
pub mod flight;
pub mod measure;
pub mod minimal;
pub mod report;
pub mod spread;
pub mod svg;
pub mod tools;
