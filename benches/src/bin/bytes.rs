//! Prints, for each contestant, the size of its future and the bytes that calls in flight hold: name, size, and for
//! each number of calls given as an argument the bytes of one of them at the peak, separated by tabs.

use sandbox_benches::contestants::Answer;
use sandbox_benches::flight::{self, Visitor};
use sandbox_benches::measure::runtime;

struct Bytes {
    counts: Vec<u64>,
}

impl Visitor for Bytes {
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
        // What is made once, at the first call, is no call's own.
        runtime.block_on(flight::fly(&call, 1));
        print!("{name}\t{size}");
        for &count in &self.counts {
            let used = allocation_counter::measure(|| runtime.block_on(flight::fly(&call, count)));
            print!("\t{}", used.bytes_max / count);
        }
        println!();
    }
}

fn main() {
    let counts = std::env::args()
        .skip(1)
        .filter_map(|count| count.parse().ok())
        .collect();
    flight::each(&mut Bytes { counts });
}
