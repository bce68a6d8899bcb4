//! Replicas of a service share what they know of the tools under [`#[sandboxed]`](sandbox_runtime::sandboxed): switches and settings of an
//! operator reach all of them, a breaker that enough of them have found open is open for all, and one of them tries the dependency
//! for the others. Over Redis or Valkey, and nothing of it on the way of a call.
//!
//! ```no_run
//! use sandbox_fleet::Fleet;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let fleet = Fleet::connect("redis://127.0.0.1:6379").service("shop").join().await?;
//! // .. serve ..
//! fleet.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! The page `docs/fleet.md` of the repository has what is guaranteed, and what is not.

// For the builder of documentation, which has a nightly compiler: it labels items with the features that they need.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod followed;
mod instruments;
mod keys;
mod member;
mod operator;
mod replica;
mod settings;
mod status;
pub mod store;
mod tools;
mod view;
mod watched;

#[cfg(feature = "redis")]
pub use member::Server;
pub use member::{Fleet, Member};
pub use operator::{LiveReplica, Operator, OperatorError};
pub use settings::ALL;
pub use status::{FleetStatus, KeyInFleet, ToolInFleet};
