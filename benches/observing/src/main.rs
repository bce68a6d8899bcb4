//! `observed <contestant> <what is attached>`: makes as many calls as each line of its input says, and answers how many nanoseconds
//! they took and how much of them has been told. A process of its own, because what is attached concerns the whole process, and
//! some of it for good. Without arguments, it prints where it is.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

mod contestants;
mod listeners;
mod thousand;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut turn = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => return println!("{}", std::env::current_exe().expect("it runs").display()),
        ["ours", attached] => contestants::ours(attached),
        ["ours, arguments lent", attached] => contestants::ours_lent(attached),
        ["ours, recorded", threads] => contestants::recorded_by(threads),
        ["seatbelt", attached] => contestants::seatbelt(attached),
        ["tower-resilience", attached] => contestants::tower(attached),
        ["a thousand tools", what] => thousand::listing(what),
        _ => panic!("usage: observed <contestant> <what is attached>"),
    };
    for line in std::io::stdin().lines() {
        let calls = line.expect("it is text").parse().expect("it is a number");
        let before = listeners::told();
        let nanos = turn(calls);
        println!("{nanos} {}", listeners::told() - before);
    }
}
