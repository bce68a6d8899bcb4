//! How a rate is shared out among replicas. The script of [`RedisStore`](super::redis::RedisStore) does the same.

use std::collections::BTreeMap;

use super::{Claim, Granted, LIVE, REMEMBERED, millis};

/// What a store keeps of a replica's last claim.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    turn: u64,
    /// The most that the replica may have begun in any length of time of the rate, until its next claim.
    reserved: u64,
    used: u32,
    wanted: u32,
    seen: u64,
    /// When it is forgotten.
    until: u64,
}

/// Takes a claim.
pub(super) fn grant(claims: &mut BTreeMap<String, Claimed>, claim: &Claim, now: u64) -> Granted {
    claims.retain(|_, claimed| now <= claimed.until);
    let turn = claims.get(&claim.replica).map_or(0, |claimed| claimed.turn);
    if claim.turn <= turn {
        return granted(0, turn, claims);
    }
    claims.remove(&claim.replica);
    let share = match claim.stays {
        true => fair(claims, claim, now).min(left(claims, claim.calls)),
        false => 0,
    };
    let kept = match claim.stays {
        true => millis(claim.per).max(millis(REMEMBERED)),
        false => millis(claim.per),
    };
    let claimed = Claimed {
        turn: claim.turn,
        reserved: share.max(claim.share).max(claim.used).into(),
        used: claim.used,
        wanted: claim.wanted,
        seen: now,
        until: now.saturating_add(kept),
    };
    claims.insert(claim.replica.clone(), claimed);
    granted(share, turn, claims)
}

fn granted(share: u32, turn: u64, claims: &BTreeMap<String, Claimed>) -> Granted {
    let claims = u32::try_from(claims.len()).unwrap_or(u32::MAX);
    Granted { share, turn, claims }
}

/// What others may not have begun.
fn left(others: &BTreeMap<String, Claimed>, calls: u32) -> u32 {
    let reserved = others.values().map(|claimed| claimed.reserved).sum();
    u32::try_from(u64::from(calls).saturating_sub(reserved)).unwrap_or(u32::MAX)
}

/// The share that would be fair: what is wanted and an equal part of what nobody wants, of which one part is left for whoever comes; or,
/// if more is wanted than there is, as much as all others have who want more.
fn fair(others: &BTreeMap<String, Claimed>, claim: &Claim, now: u64) -> u32 {
    let live = others
        .iter()
        .filter(|(_, claimed)| now.saturating_sub(claimed.seen) <= millis(LIVE));
    let mut wants: Vec<_> = live
        .map(|(replica, claimed)| (claimed.wanted, claimed.used, replica.as_str()))
        .collect();
    wants.push((claim.wanted, claim.used, claim.replica.as_str()));
    let wanted: u64 = wants.iter().map(|(wanted, ..)| u64::from(*wanted)).sum();
    let mut left = u64::from(claim.calls);
    if let Some(rest) = left.checked_sub(wanted) {
        let part = rest / (wants.len() as u64 + 1);
        return claim.wanted.saturating_add(u32::try_from(part).unwrap_or(u32::MAX));
    }
    // Who comes last has what is left over: of several who want the same, one who has used least.
    wants.sort_by(|one, other| (one.0, other.1, one.2).cmp(&(other.0, one.1, other.2)));
    for (index, (wanted, _, replica)) in wants.iter().enumerate() {
        let given = (left / (wants.len() - index) as u64).min((*wanted).into());
        if *replica == claim.replica {
            return u32::try_from(given).unwrap_or(u32::MAX);
        }
        left -= given;
    }
    0
}
