//! How is a rate shared out?

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use super::steps::{same, well};
use super::{Claim, Granted, LONG, SHORT, Store, TOOL};
use crate::store::rates::grant;

const CALLS: u32 = 100;

fn claim(replica: &str, turn: u64, share: u32, wanted: u32) -> Claim {
    Claim {
        tool: TOOL.to_owned(),
        replica: replica.to_owned(),
        turn,
        calls: CALLS,
        per: LONG,
        share,
        used: 0,
        wanted,
        stays: true,
    }
}

async fn share<S: Store>(store: &S, claim: &Claim) -> u32 {
    well(store.claim(claim).await).share
}

pub(super) async fn rates_are_shared_by_demand<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("rates").await;
    let first = share(&store, &claim("a", 1, 0, 0)).await;
    same(
        first,
        50,
        "of a rate that nobody wants, a part is left for who comes next",
    );
    let first = share(&store, &claim("a", 2, first, 30)).await;
    same(first, 65, "a share is what is wanted, and a part of the rest");
    let second = share(&store, &claim("b", 1, 0, 60)).await;
    same(second, 35, "no share is given to two");
    let first = share(&store, &claim("a", 3, first, 30)).await;
    same(first, 33, "a share becomes less if another replica wants it");
    same(
        share(&store, &claim("b", 2, second, 60)).await,
        35,
        "what a replica had counts until it says that it goes by less",
    );
    same(
        share(&store, &claim("a", 4, first, 30)).await,
        33,
        "a share lasts while nothing changes",
    );
    same(
        share(&store, &claim("b", 3, second, 60)).await,
        63,
        "then another one has it",
    );
}

pub(super) async fn short_rates_are_shared_evenly<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("short rates").await;
    let shares = async |turn, shares: [u32; 3]| {
        let mut given = [0; 3];
        for (at, (replica, wanted)) in [("a", 100), ("b", 100), ("c", 10)].into_iter().enumerate() {
            given[at] = share(&store, &claim(replica, turn, shares[at], wanted)).await;
        }
        given
    };
    let mut given = [0; 3];
    for turn in 1..5 {
        given = shares(turn, given).await;
    }
    same(
        given,
        [45, 45, 10],
        "who wants little has it, and the others as much as each other",
    );
}

pub(super) async fn what_has_begun_counts<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("used rates").await;
    share(&store, &claim("a", 1, 0, 90)).await;
    let used = Claim {
        used: 80,
        ..claim("a", 2, 0, 0)
    };
    share(&store, &used).await;
    same(
        share(&store, &claim("b", 1, 0, 90)).await,
        20,
        "what a replica has begun counts for as long as the rate looks back, also if its share has become less",
    );
    let late = Claim {
        used: 0,
        ..claim("a", 1, 0, 0)
    };
    let nothing = Granted {
        share: 0,
        turn: 2,
        claims: 2,
    };
    same(
        well(store.claim(&late).await),
        nothing,
        "a claim that comes late gets nothing",
    );
    same(
        share(&store, &claim("b", 2, 20, 90)).await,
        20,
        "a claim that comes late changes nothing",
    );
}

pub(super) async fn shares_are_given_back<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("returned rates").await;
    let brief = |replica, turn, share, wanted| Claim {
        per: SHORT,
        ..claim(replica, turn, share, wanted)
    };
    let first = share(&store, &brief("a", 1, 0, 100)).await;
    same(first, 100, "who is alone has all that it wants");
    let leaving = Claim {
        used: 70,
        stays: false,
        ..brief("a", 2, 0, 0)
    };
    same(share(&store, &leaving).await, 0, "who leaves has no share");
    sleep(SHORT * 2).await;
    same(
        share(&store, &brief("b", 1, 0, 100)).await,
        100,
        "what a replica has begun that has left counts no longer than the rate looks back",
    );
}

/// Whatever is claimed, in the same way as the store in memory does.
pub(super) async fn any_claims_are_answered_alike<S: Store>(make: &impl AsyncFn(&str) -> S) {
    let store = make("any rates").await;
    let (mut random, mut known) = (fastrand::Rng::with_seed(19), BTreeMap::new());
    let mut shares = [0; 3];
    for turn in 1..=40 {
        for (at, share_here) in shares.iter_mut().enumerate() {
            let claim = Claim {
                calls: random.u32(1..120),
                used: random.u32(0..60),
                stays: random.u8(0..10) > 0,
                ..claim(["a", "b", "c"][at], turn, *share_here, random.u32(0..120))
            };
            let granted = well(store.claim(&claim).await);
            *share_here = granted.share;
            same(
                granted,
                grant(&mut known, &claim, 0),
                &format!("the share is as the trait describes it for {claim:?}"),
            );
        }
        sleep(Duration::from_millis(1)).await;
    }
}
