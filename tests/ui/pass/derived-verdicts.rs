#![no_implicit_prelude]
#![deny(warnings)]
#![allow(dead_code)]

mod std {}
mod sandbox_runtime {}
mod core {}
type Result = ();
type Option = ();
struct Some;
trait ErrorVerdict {}

mod vendored {
    pub use ::sandbox_runtime as runtime;
}

#[derive(::sandbox_runtime::ErrorVerdict)]
enum Error {
    #[verdict(ignore)]
    Some,
    #[verdict(retry, safe, after = after)]
    Busy { after: ::std::time::Duration, source: u8 },
    #[verdict(status = 0)]
    Status(u16),
    #[deprecated]
    Old,
    Below { source: ::std::io::Error },
}

#[derive(crate::vendored::runtime::ErrorVerdict)]
#[verdict(crate = crate::vendored::runtime)]
#[verdict(fail)]
struct Vendored;

fn is_stated<E: ::sandbox_runtime::ErrorVerdict>() {}

fn main() {
    is_stated::<Error>();
    is_stated::<Vendored>();
}
