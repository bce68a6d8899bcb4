//! What the keys of a map take in memory: counts of bytes, which hardly vary. With the numbers:
//!
//! ```sh
//! cargo test -p sandbox-tests --test a_million_keys_fit -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::any::type_name;

use allocation_counter::measure;
use sandbox_runtime::{CircuitBreaker, KeyOf, KeyedBreakers};

const KEYS: usize = 1_000_000;

/// Bytes for each key, as the documentation of `KeyedBreakers` states them: these, twice the size of the key's type, and
/// what the key has on the heap.
const STATED: usize = 176;

/// What `add` leaves on the heap, and the most that it had there at a time.
fn bytes(add: impl FnOnce()) -> (i64, i64) {
    let info = measure(add);
    (info.bytes_current, i64::try_from(info.bytes_max).unwrap())
}

/// Fills a map of a million keys, in steps of which some make its tables grow, and then asks it for other keys.
#[track_caller]
fn assert_fits<K: KeyOf<K> + Send + Sync + 'static>(key: impl Fn(usize) -> K, on_heap: usize) {
    const STEP: usize = 50_000;
    let mut map: KeyedBreakers<K> = KeyedBreakers::new(KEYS, CircuitBreaker::new(5));
    let ask = |from: usize| (from..from + STEP).for_each(|number| drop(map.of(&key(number))));
    let stated = STATED + 2 * size_of::<K>() + on_heap;
    let (mut held, mut most) = (0, 0);
    for from in (0..KEYS).step_by(STEP) {
        let (more, peak) = bytes(|| ask(from));
        let keys = i64::try_from(from + STEP).unwrap();
        (held, most) = (held + more, (held + peak) / keys);
        assert!(
            most <= i64::try_from(stated).unwrap(),
            "{keys} keys take {most} bytes each"
        );
    }
    println!("{}: {most} bytes a key, {stated} are stated", type_name::<K>());
    assert_eq!(map.len(), KEYS);
    let (more, _) = bytes(|| ask(KEYS));
    assert_eq!(map.len(), KEYS);
    assert!(more.abs() < 4_096, "keys in the place of others: {more} bytes more");
    let (less, _) = bytes(|| map = KeyedBreakers::new(0, CircuitBreaker::new(5)));
    let left = held + more + less;
    assert!(left < 4_096, "{left} bytes are left of a map that is dropped");
}

#[test]
fn numbers() {
    assert_fits(|number| number as u64, 0);
}

#[test]
fn short_texts() {
    assert_fits(|number| format!("{number:016}"), 16);
}
