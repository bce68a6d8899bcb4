#![no_implicit_prelude]
#![allow(non_upper_case_globals)]

mod core {}
mod std {}
mod tokio {}
mod sandbox_runtime {}
type Result = ();
#[allow(unused)]
struct Some;
#[allow(unused)]
const arguments: u8 = 0;

#[::sandbox_runtime::sandboxed]
async fn search(
    argument_0: u8,
    private: u8,
    attempt: u8,
) -> ::std::result::Result<u8, ::std::string::String> {
    ::std::result::Result::Ok(argument_0 + private + attempt + arguments)
}

struct HandledAsOutcome;

#[::sandbox_runtime::sandboxed(on_failure = |_| HandledAsOutcome)]
async fn named_like_what_the_expansion_uses() -> HandledAsOutcome {
    HandledAsOutcome
}

fn main() {
    let _: Result = ();
    let _ = search(1, 2, 3);
    let _ = named_like_what_the_expansion_uses();
}
