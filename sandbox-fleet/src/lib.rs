//! Replicas of a service share what they know of the tools under `#[sandboxed]`.

pub mod store;
