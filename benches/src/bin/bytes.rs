//! Prints the bytes that each contestant holds, a line for each, separated by tabs.
//!
//! `bytes calls 1 1000`: name, size of the future, and for each number of calls in flight the bytes of one at the peak.
//! `bytes breakers 1 100`: name, and for each number of breakers the bytes of one that has had a call.

use sandbox_benches::contestants::Answer;
use sandbox_benches::measure::{repeat, runtime};
use sandbox_benches::{flight, spread};

struct Calls(Vec<u64>);

impl flight::Visitor for Calls {
    fn visit<F, R>(&mut self, name: &str, make: impl FnOnce() -> F)
    where
        F: AsyncFn(u64) -> R + 'static,
        R: Answer,
    {
        let runtime = runtime();
        let call = {
            let _inside = runtime.enter();
            make()
        };
        let size = {
            let _inside = runtime.enter();
            size_of_val(&call(0))
        };
        // What is made once, at the first call, does not belong to a call.
        runtime.block_on(flight::fly(&call, 1));
        print!("{name}\t{size}");
        for &count in &self.0 {
            let used = allocation_counter::measure(|| runtime.block_on(flight::fly(&call, count)));
            print!("\t{}", used.bytes_max / count);
        }
        println!();
    }
}

struct Breakers(Vec<u64>);

impl spread::Visitor for Breakers {
    fn visit<B, F, R>(&mut self, name: &str, breakers: impl Fn(u64) -> B, call: impl Fn(B) -> F)
    where
        F: AsyncFnMut(u64) -> R + 'static,
        R: Answer,
    {
        let runtime = runtime();
        let _inside = runtime.enter();
        // What is made once, at the first call, does not belong to a breaker.
        runtime.block_on(repeat(&mut call(breakers(1)), 1));
        print!("{name}");
        for &count in &self.0 {
            let mut made = None;
            let held = allocation_counter::measure(|| made = Some(breakers(count))).bytes_current;
            let Some(mut call) = made.map(&call) else { return };
            let calls = || assert_eq!(runtime.block_on(repeat(&mut call, count)).values, count);
            let added = allocation_counter::measure(calls).bytes_current;
            print!("\t{}", (held + added).cast_unsigned() / count);
        }
        println!();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next();
    let counts = arguments.filter_map(|count| count.parse().ok()).collect();
    match what.as_deref() {
        Some("calls") => flight::each(&mut Calls(counts)),
        Some("breakers") => spread::each(&mut Breakers(counts)),
        _ => eprintln!("usage: bytes calls|breakers <count>.."),
    }
}
