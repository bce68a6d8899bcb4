//! A program of a thousand tools, and the time to list them. None is called: the compiler would take minutes for the calls.

use std::hint::black_box;

use sandbox_benches::measure::{clocked, runtime};
use sandbox_runtime::tools;

use crate::contestants::Turn;

macro_rules! ten_tools {
    ($($name:ident)*) => {
        $(
            #[sandbox_runtime::sandboxed(max_retries = 0)]
            #[allow(dead_code, reason = "it is listed")]
            async fn $name() -> Result<(), String> {
                Ok(())
            }
        )*
    };
}

macro_rules! hundred_tools {
    ($($module:ident)*) => {
        $(
            mod $module {
                ten_tools!(t0 t1 t2 t3 t4 t5 t6 t7 t8 t9);
            }
        )*
    };
}

macro_rules! thousand_tools {
    ($($module:ident)*) => {
        $(
            mod $module {
                hundred_tools!(m0 m1 m2 m3 m4 m5 m6 m7 m8 m9);
            }
        )*
    };
}

thousand_tools!(h0 h1 h2 h3 h4 h5 h6 h7 h8 h9);

/// Lists them again and again.
pub(crate) fn listing(what: &str) -> Turn {
    let table = tools().to_string();
    let of_thousand = table.lines().filter(|line| line.starts_with("observed::thousand::"));
    assert_eq!(of_thousand.count(), 1_000);
    let list: fn() = match what {
        "`tools()`" => || drop(black_box(tools())),
        "`tools()`, and the status of each" => || tools().iter().for_each(|tool| drop(black_box(tool.status()))),
        "`tools()`, as a table" => || drop(black_box(tools().to_string())),
        _ => panic!("there is no {what}"),
    };
    let runtime = runtime();
    Box::new(move |times| runtime.block_on(clocked(async { (0..times).for_each(|_| list()) })).0)
}
