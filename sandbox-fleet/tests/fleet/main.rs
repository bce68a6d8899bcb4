//! What a fleet promises, one file a promise. Replicas are isolated scopes of one program, over a store in memory, on a paused clock.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod any_order_of_events;
mod breakers_open_by_quorum;
mod rates_are_shared;
mod support;
mod switches_reach_every_replica;
mod the_store_may_be_gone;
