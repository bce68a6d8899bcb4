//! The log against lists of moments: what it allows, and for how long it makes others wait.

use proptest::prelude::*;

use super::*;
use crate::policy::RateScope;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn rate(calls: u32, per: Duration) -> Rate {
    let scope = RateScope::Process;
    Rate { calls, per, scope }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whenever attempts come, no length of time as long as the rate's has more than it allows, and whoever waits for as long as
    /// is said may begin.
    #[test]
    fn no_length_of_time_has_more(
        calls in 1_u32..6,
        per in 1_u64..50,
        pauses in proptest::collection::vec(0_u64..20, 1..200),
    ) {
        let (mut log, rate) = (Entries::new(), rate(calls, millis(per)));
        let (mut now, mut begun) = (Instant::now(), Vec::new());
        for pause in pauses {
            now += millis(pause);
            let recent = begun.iter().filter(|at| now.duration_since(**at) < rate.per).count();
            match log.try_take(rate, || now) {
                Ok(()) => {
                    prop_assert!(recent < calls as usize, "{recent} of {calls} had begun, and one more did");
                    begun.push(now);
                }
                Err(left) => {
                    prop_assert!(recent >= calls as usize, "{recent} of {calls} had begun, and one more did not");
                    prop_assert!(log.try_take(rate, || now + left - millis(1)).is_err(), "before it is time");
                    now += left;
                    prop_assert_eq!(log.try_take(rate, || now), Ok(()), "when it is time");
                    begun.push(now);
                }
            }
        }
    }

    /// So many that entries are shared: never more, and of 1,024 at most one less than without sharing, whoever reads the clock
    /// in between.
    #[test]
    fn large_numbers_share_entries(
        calls in 1_024_u32..9_000,
        pauses in proptest::collection::vec((0_u64..200, 0_u64..300, 0_u8..4), 1..60),
    ) {
        let rate = rate(calls, millis(1_000));
        let (mut log, mut now, mut begun) = (Entries::new(), Instant::now(), VecDeque::new());
        for (pause, burst, looks) in pauses {
            now += millis(pause);
            for _ in 0..burst * u64::from(calls) / 1_000 {
                now += Duration::from_nanos(pause);
                while begun.front().is_some_and(|at| now.duration_since(*at) >= rate.per) {
                    begun.pop_front();
                }
                match log.try_take(rate, || now) {
                    Ok(()) => {
                        begun.push_back(now);
                        prop_assert!(begun.len() <= calls as usize, "more than the rate");
                    }
                    Err(_) => {
                        let least = calls - calls / MOST;
                        prop_assert!(begun.len() >= least as usize, "one was refused beside {}", begun.len());
                    }
                }
                if looks == 0 {
                    log.wait(rate, now);
                }
                prop_assert!(log.earlier.len() <= 2 * MOST as usize, "the log grows");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two rates in turns: each is obeyed by all attempts, whichever rate they began by.
    #[test]
    fn rates_that_take_turns_are_both_obeyed(
        pauses in proptest::collection::vec((0_u64..20, any::<bool>()), 1..200),
    ) {
        let rates = [rate(2, millis(60)), rate(3, millis(10))];
        let (mut log, mut now, mut begun) = (Entries::new(), Instant::now(), Vec::new());
        // How far it looks back has to be known from the beginning.
        prop_assert_eq!(log.wait(rates[0], now), None);
        for (pause, which) in pauses {
            now += millis(pause);
            let rate = rates[usize::from(which)];
            let recent = begun.iter().filter(|at| now.duration_since(**at) < rate.per).count();
            let is_taken = log.try_take(rate, || now).is_ok();
            prop_assert_eq!(is_taken, recent < rate.calls as usize, "{} of {:?} had begun", recent, rate);
            if is_taken {
                begun.push(now);
            }
        }
    }
}

#[test]
fn one_that_nobody_has_dated_keeps_no_other_one() {
    let rate = rate(2 * MOST, millis(1_000));
    let (mut log, start) = (Entries::new(), Instant::now());
    for at in [0, 1, 2] {
        assert_eq!(log.try_take(rate, || start + millis(at)), Ok(()));
    }
    for _ in 3..rate.calls {
        assert_eq!(log.try_take(rate, || start + millis(2)), Ok(()));
    }
    let refused = log.try_take(rate, || start + millis(1_000) - Duration::from_nanos(1));
    assert_eq!(refused, Err(Duration::from_nanos(1)), "until the first is over");
    let later = log.try_take(rate, || start + millis(1_001));
    assert_eq!(
        later,
        Ok(()),
        "two are over, and one of them at most may count for longer"
    );
}

#[test]
fn none_is_none() {
    let (mut log, none) = (Entries::new(), rate(0, millis(1)));
    assert_eq!(log.try_take(none, Instant::now), Err(Duration::MAX));
}

#[test]
fn a_short_rate_beside_a_long_one_does_not_make_the_log_grow() {
    let (mut log, mut now) = (Entries::new(), Instant::now());
    let long = rate(1, Duration::from_secs(3_600));
    assert_eq!(log.try_take(long, || now), Ok(()));
    for _ in 0..20_000 {
        now += millis(10);
        assert_eq!(log.try_take(rate(100, Duration::from_secs(1)), || now), Ok(()));
    }
    assert!(log.earlier.len() <= 3 * MOST as usize, "{} entries", log.earlier.len());
}

/// They have begun by no clock yet, and so by none that is another one.
#[test]
fn those_without_a_date_count_by_the_next_clock() {
    let rate = rate(2 * MOST, millis(1_000));
    let (mut log, start) = (Entries::new(), Instant::now());
    for _ in 0..2 {
        assert_eq!(log.try_take(rate, || start + millis(500)), Ok(()));
    }
    assert_eq!(log.wait(rate, start), None, "a clock that is behind");
    for _ in 1..rate.calls {
        assert_eq!(log.try_take(rate, || start), Ok(()), "all but the one without a date");
    }
    assert_eq!(log.try_take(rate, || start), Err(millis(1_000)), "that one counts");
    for _ in 0..rate.calls {
        let later = log.try_take(rate, || start + millis(1_000));
        assert_eq!(later, Ok(()), "and no longer than others");
    }
}

#[test]
fn another_clock_and_another_rate_lock_nobody_out() {
    let (mut log, now) = (Entries::new(), Instant::now() + millis(1_000));
    let rate = |calls| rate(calls, millis(10));
    for _ in 0..3 {
        assert_eq!(log.try_take(rate(3), || now), Ok(()));
    }
    assert_eq!(
        log.try_take(rate(1), || now),
        Err(millis(10)),
        "a lower rate waits for all of them"
    );
    assert_eq!(log.try_take(rate(4), || now), Ok(()), "a higher rate has room");
    assert_eq!(
        log.try_take(rate(1), || now - millis(500)),
        Ok(()),
        "a clock that is behind"
    );
}

#[test]
fn what_is_over_is_forgotten() {
    let (mut log, mut now, rate) = (Entries::new(), Instant::now(), rate(1, millis(10)));
    assert_eq!(log.wait(rate, now), None);
    assert!(log.latest.is_none(), "none has begun");
    for _ in 0..100 {
        assert_eq!(log.try_take(rate, || now), Ok(()));
        assert_eq!((log.attempts, log.earlier.len()), (1, 0), "the one before is over");
        now += rate.per;
    }
}

/// A few of them, each of which has an entry of its own.
#[test]
fn few_are_kept_exactly_beside_a_shorter_rate() {
    let (long, short) = (rate(3, millis(2_048)), rate(5, millis(1)));
    let (mut log, start) = (Entries::new(), Instant::now());
    for (rate, at) in [(long, 0), (long, 1), (short, 10)] {
        assert_eq!(log.try_take(rate, || start + millis(at)), Ok(()));
    }
    assert_eq!(log.wait(long, start + millis(2_047)), Some(millis(1)));
    assert_eq!(
        log.wait(long, start + millis(2_048)),
        None,
        "the first is over, and it alone"
    );
}

#[test]
fn many_are_kept_to_about_a_thousandth_beside_a_shorter_rate() {
    let (long, short) = (rate(10_000, millis(1_024_000)), rate(100, millis(1_000)));
    let (mut log, mut now) = (Entries::new(), Instant::now());
    assert_eq!(log.wait(long, now), None);
    for _ in 0..2_800 {
        assert_eq!(log.try_take(short, || now), Ok(()));
        now += millis(400);
    }
    log.wait(long, now);
    let recent = 1_024_000 / 400;
    assert!(
        (recent - 1..recent + 3).contains(&log.attempts),
        "{} count, and {recent} have begun in that time",
        log.attempts
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_told_when_there_is_room() {
    let (log, rate) = (Log::new(), rate(2, millis(100)));
    for begun in [0, 60] {
        tokio::time::advance(millis(begun)).await;
        assert_eq!(log.next(rate), Duration::ZERO);
        assert_eq!(log.try_take(rate), Ok(()));
    }
    assert_eq!(log.next(rate), millis(40), "until the first is over");
    log.forget();
    assert_eq!(log.next(rate), Duration::ZERO, "none has begun, as far as is known");
}

#[cfg(feature = "keyed")]
#[tokio::test(start_paused = true)]
async fn it_is_told_when_all_is_over() {
    let (log, rate) = (Log::new(), rate(2, millis(100)));
    assert!(log.is_over(), "none has begun");
    assert_eq!(log.try_take(rate), Ok(()));
    for (later, is_over) in [(0, false), (99, false), (1, true)] {
        tokio::time::advance(millis(later)).await;
        assert_eq!(log.is_over(), is_over, "another {later} ms later");
    }
}

#[cfg(feature = "fleet")]
#[tokio::test(start_paused = true)]
async fn those_in_use_are_those_of_the_rate() {
    let (log, long, short) = (Log::new(), rate(9, millis(100)), rate(9, millis(10)));
    assert_eq!(log.used(long), (0, 0));
    assert_eq!(log.try_take(long), Ok(()));
    assert_eq!(log.used(short).0, 1);
    tokio::time::advance(millis(10)).await;
    assert_eq!((log.used(short).0, log.used(long).0), (0, 1), "ten milliseconds later");
}
