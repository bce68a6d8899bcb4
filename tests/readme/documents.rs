//! The README, the pages in `docs`, `llms.txt` and the skill say what is so: their snippets are compiled, their links lead somewhere,
//! what they promise has a proof, and the messages that they quote are those of the program.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod arguments;
mod by_hand;
mod dependency_lists;
mod links;
mod messages;
mod promises;
mod snippets;
mod support;
mod testing;
