//! The `#[sandboxed]` attribute of [`sandbox-runtime`](https://docs.rs/sandbox-runtime), which re-exports it. Depend on
//! that crate; this one is of no use without it.

mod args;
mod errors;
mod expand;
mod item;

use proc_macro::TokenStream;

/// Runs an async tool function with a time limit for each attempt, retries with exponential backoff, and a circuit breaker.
#[proc_macro_attribute]
pub fn sandboxed(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::sandboxed(args.into(), item.into()).into()
}
