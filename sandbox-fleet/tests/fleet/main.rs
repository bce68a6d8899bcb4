//! What a fleet promises, one file a promise. Replicas are isolated scopes of one program: over a store in memory, on a paused clock; or
//! over real servers, of which `sandbox-fleet/tests/servers/run` starts some.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod any_order_of_events;
#[cfg(feature = "keyed")]
mod any_order_of_events_of_keys;
mod breakers_open_by_quorum;
#[cfg(feature = "keyed")]
mod keys_take_part;
mod rates_are_shared;
#[cfg(feature = "redis")]
#[path = "../server/mod.rs"]
mod server;
#[cfg(feature = "redis")]
mod servers_fail_over;
#[cfg(feature = "redis")]
mod servers_may_be_gone;
#[cfg(all(feature = "redis", feature = "keyed"))]
mod servers_share_keys;
mod support;
#[cfg(feature = "keyed")]
mod support_for_keys;
#[cfg(feature = "redis")]
mod support_for_servers;
mod switches_reach_every_replica;
mod the_store_may_be_gone;
