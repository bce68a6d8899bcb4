//! Replicas of a service share what they know of the tools under `#[sandboxed]`.

mod member;
mod operator;
mod replica;
mod settings;
mod status;
pub mod store;
mod view;
mod watched;

pub use member::{Fleet, Member};
pub use operator::{LiveReplica, Operator, OperatorError};
pub use settings::ALL;
pub use status::{FleetStatus, ToolInFleet};
