//! The documentation of this crate is that of the repository, so that its snippets are compiled and run. `snippets.rs` compares those
//! of frameworks with the programs beside this file, and finds pages that are not here.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]

/// The pages with snippets that are whole programs. `shop.rs` and `documents.rs` run others.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/agents.md")]
    mod agents {}
    #[doc = include_str!("../../docs/attribute.md")]
    mod attribute {}
    #[doc = include_str!("../../docs/breaker.md")]
    mod breaker {}
    #[doc = include_str!("../../docs/by-hand.md")]
    mod by_hand {}
    #[doc = include_str!("../../docs/failures.md")]
    mod failures {}
    #[doc = include_str!("../../docs/fleet.md")]
    mod fleet {}
    #[doc = include_str!("../../docs/observing.md")]
    mod observing {}
    #[doc = include_str!("../../docs/operating.md")]
    mod operating {}
    #[doc = include_str!("../../docs/skill/SKILL.md")]
    mod skill {}
}

/// What comes with each package.
#[cfg(doctest)]
mod packages {
    #[doc = include_str!("../../sandbox-fleet/README.md")]
    mod fleet {}
    #[doc = include_str!("../../sandbox-runtime/README.md")]
    mod runtime {}
}
