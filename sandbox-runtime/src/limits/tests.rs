//! Who need not wait, because it would be refused in the end.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn terms(longest: Duration, scope: Option<RateScope>) -> Terms {
    let rate = scope.map(|scope| Rate {
        calls: 1,
        per: SECOND,
        scope,
    });
    Terms {
        max_concurrent: Some(1),
        rate,
        longest,
    }
}

#[test]
fn who_would_be_refused_does_not_wait() {
    let process = Some(RateScope::Process);
    let cases = [
        (Duration::ZERO, None, Held::Others, true, "nobody waits for a place"),
        (SECOND, None, Held::Others, false, "one may become free"),
        (SECOND, process, Held::Rate(SECOND / 2), false, "it opens in time"),
        (
            SECOND,
            process,
            Held::Rate(SECOND),
            true,
            "no time would be left to begin",
        ),
        (
            SECOND,
            process,
            Held::Dependency(SECOND),
            true,
            "it has asked for as long",
        ),
    ];
    for (longest, scope, held, at_once, why) in cases {
        assert_eq!(
            terms(longest, scope).refuse_at_once(held),
            at_once,
            "{longest:?}, {held:?}: {why}"
        );
    }
}

#[cfg(feature = "fleet")]
#[test]
fn a_share_may_grow_meanwhile() {
    let fleet = Some(RateScope::Fleet);
    let held = Held::Rate(SECOND * 2);
    assert!(!terms(SECOND, fleet).refuse_at_once(held), "it may open earlier");
    assert!(terms(Duration::ZERO, fleet).refuse_at_once(held), "nobody waits");
    assert!(
        terms(SECOND, fleet).refuse_at_once(Held::Dependency(SECOND * 2)),
        "what the dependency has asked for does not change"
    );
}
