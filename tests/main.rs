//! What `#[sandboxed]` promises at run time, one file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
// What users may write, good style or not, is what these tests are about.
#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_arbitrary_self_type,
    clippy::needless_lifetimes,
    clippy::non_minimal_cfg,
    clippy::question_mark,
    clippy::toplevel_ref_arg,
    clippy::unnecessary_literal_unwrap,
    unreachable_pub
)]

mod arguments_are_pristine;
mod blocks;
mod body_keeps_its_meaning;
mod breakers;
mod breakers_of_keys;
mod cancellation;
mod drops_are_in_order;
mod error_types;
mod error_types_state_their_meaning;
mod futures_stay_what_they_were;
mod lent_arguments;
mod names_in_methods_resolve;
mod other_attributes;
mod receivers;
mod results_have_meanings;
mod returned_futures;
mod settings_reach_the_engine;
mod tools_are_listed;
