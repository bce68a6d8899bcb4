//! What does a replica do about the rates that all share?

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::ToolHandle;
use sandbox_runtime::fleet::{self, SharedRate};
use tokio::time::Instant;

use super::{PULSE, Replica};
use crate::store::{Claim, Granted, LIVE, REMEMBERED, Store};
use crate::tools::tools;

/// The time between two claims while calls are held back.
const SOON: Duration = Duration::from_millis(100);

/// The last claim of each rate, by the path of its tool.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<String, Made>);

#[derive(Debug, Clone, Copy)]
struct Made {
    turn: u64,
    at: Instant,
    rate: SharedRate,
    /// The latest turn that the store has answered.
    answered: u64,
    /// Of how many replicas it knew claims then.
    known: u32,
    /// Since when the share does not grow, if it may not.
    kept_since: Option<Instant>,
}

impl Claims {
    /// While the store did not answer, no other replica could claim again either.
    pub(super) fn store_is_back(&mut self) {
        let kept = self.0.values_mut().filter_map(|made| made.kept_since.as_mut());
        kept.for_each(|since| *since = Instant::now());
    }

    /// When a rate is to be claimed again; `None` if it never was.
    fn next(&self, path: &str, tool: ToolHandle) -> Option<Instant> {
        let made = self.0.get(path)?;
        Some(made.at + if fleet::is_share_wanted(tool) { SOON } else { PULSE })
    }
}

impl<S: Store> Replica<S> {
    /// When something is to be done about a rate that has been claimed.
    pub(super) fn next_claim(&self) -> Option<Instant> {
        let claimed = tools().into_iter();
        claimed.filter_map(|(path, tool)| self.claims.next(&path, tool)).min()
    }

    /// Claims a share of each rate, and gives back those of rates that are not shared any more.
    pub(super) async fn follow_rates(&mut self) {
        for (path, tool) in tools() {
            let is_due = self.claims.next(&path, tool).is_none_or(|next| next <= Instant::now());
            match fleet::shared_rate(tool) {
                _ if !self.is_told => return,
                Some(rate) if is_due => self.claim(&path, tool, rate).await,
                None if self.claims.0.contains_key(&path) => {
                    self.give_back_rate(&path, tool).await;
                    fleet::set_share(tool, None);
                }
                _ => {}
            }
        }
    }

    async fn claim(&mut self, path: &str, tool: ToolHandle, rate: SharedRate) {
        let is_first = fleet::share(tool).is_none();
        if is_first {
            // What this process has begun until now counts. What it would begin in the meantime could not.
            fleet::set_share(tool, Some(0));
        }
        match self.ask_for_share(path, tool, rate, true).await {
            Some(granted) => {
                let keeps = self.keeps_share(path, granted);
                let most = if keeps { fleet::share(tool) } else { None };
                fleet::set_share(tool, Some(most.map_or(granted.share, |most| most.min(granted.share))));
            }
            // It goes on by itself.
            None if is_first => fleet::set_share(tool, None),
            None => {}
        }
    }

    /// Notes an answer, and tells whether the share is not to grow: the store has lost the claim before this one, and so those of other
    /// replicas, whose shares it does not know until they have claimed again. That is once all have had time for it, and as many have as had
    /// before; those that crashed do not.
    fn keeps_share(&mut self, path: &str, granted: Granted) -> bool {
        let Some(made) = self.claims.0.get_mut(path) else {
            return false;
        };
        let now = Instant::now();
        if granted.turn < made.answered {
            made.kept_since = Some(now);
        }
        made.answered = made.turn;
        let keeps = made.kept_since.is_some_and(|since| {
            let least = if granted.claims < made.known { REMEMBERED } else { LIVE };
            now.duration_since(since) < least
        });
        if !keeps {
            (made.known, made.kept_since) = (granted.claims, None);
        }
        keeps
    }

    /// The share of a replica that may be given to others, if the store can be reached.
    pub(super) async fn give_back_rates(&mut self) {
        for (path, tool) in tools() {
            self.give_back_rate(&path, tool).await;
        }
    }

    async fn give_back_rate(&mut self, path: &str, tool: ToolHandle) {
        if let Some(made) = self.claims.0.get(path).copied() {
            self.ask_for_share(path, tool, made.rate, false).await;
            self.claims.0.remove(path);
        }
    }

    async fn ask_for_share(&mut self, path: &str, tool: ToolHandle, rate: SharedRate, stays: bool) -> Option<Granted> {
        let last = self.claims.0.get(path).copied();
        let made = Made {
            // Not a count from one: another process may have had this name.
            turn: self.view.now()?.max(last.map_or(0, |last| last.turn + 1)),
            at: Instant::now(),
            rate,
            answered: last.map_or(0, |last| last.answered),
            known: last.map_or(0, |last| last.known),
            kept_since: last.and_then(|last| last.kept_since),
        };
        self.claims.0.insert(path.to_owned(), made);
        let demand = fleet::demand(tool, rate);
        let claim = Claim {
            tool: path.to_owned(),
            replica: self.name.clone(),
            turn: made.turn,
            calls: rate.calls(),
            per: rate.per(),
            share: if stays { fleet::share(tool).unwrap_or(0) } else { 0 },
            used: demand.used,
            wanted: if stays { demand.wanted } else { 0 },
            stays,
        };
        let store = Arc::clone(&self.store);
        match self.ask(store.claim(&claim)).await {
            Ok(granted) => Some(granted),
            Err(error) => {
                self.unanswered(&error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sandbox_runtime::{sandboxed, tool};
    use tokio::time::advance;

    use super::*;
    use crate::followed::Followed;
    use crate::status::Board;
    use crate::store::memory::MemoryStore;
    use crate::store::{Pulse, Quorum};

    const PATH: &str = "draw";
    const MOMENT: Duration = Duration::from_millis(1);

    #[sandboxed(breaker = off, rate(calls = 12, per_ms = 1_000, scope = fleet))]
    async fn draw() -> Result<(), String> {
        Ok(())
    }

    fn drawing() -> (ToolHandle, SharedRate) {
        let tool = tool("draw").expect("it is annotated");
        (tool, fleet::shared_rate(tool).expect("it has one"))
    }

    /// One whose last claim was this turn.
    fn replica(turn: u64) -> Replica<MemoryStore> {
        let (store, board) = (Arc::default(), Board::new("a".to_owned()));
        let mut replica = Replica::new(
            store,
            "a".to_owned(),
            Quorum::Third,
            Duration::from_secs(30),
            Followed::default(),
            board,
        );
        let made = Made {
            turn,
            at: Instant::now(),
            rate: drawing().1,
            answered: 0,
            known: 0,
            kept_since: None,
        };
        replica.claims.0.insert(PATH.to_owned(), made);
        replica
    }

    /// Whether a share does not grow by the answer to the next claim: the store has known the claim before it, and so many replicas.
    fn keeps(replica: &mut Replica<MemoryStore>, has_known: bool, claims: u32) -> bool {
        let made = replica.claims.0.get_mut(PATH).expect("it has claimed");
        let turn = if has_known { made.answered } else { made.answered - 1 };
        made.turn += 1;
        replica.keeps_share(PATH, Granted { share: 1, turn, claims })
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_does_not_grow_before_others_have_claimed_again() {
        let mut replica = replica(7);
        assert!(!keeps(&mut replica, true, 3), "nothing was lost");
        assert!(keeps(&mut replica, false, 1), "the store has lost a claim");
        advance(LIVE - MOMENT).await;
        assert!(keeps(&mut replica, true, 3), "another one may not have had the time");
        advance(MOMENT).await;
        assert!(!keeps(&mut replica, true, 3), "all have claimed that did before");

        assert!(keeps(&mut replica, false, 1));
        advance(REMEMBERED - MOMENT).await;
        assert!(
            keeps(&mut replica, true, 2),
            "one of them is missing, and may be cut off"
        );
        advance(MOMENT).await;
        assert!(!keeps(&mut replica, true, 2), "it has no share any more");

        assert!(keeps(&mut replica, false, 2));
        advance(LIVE).await;
        replica.claims.store_is_back();
        advance(LIVE - MOMENT).await;
        assert!(
            keeps(&mut replica, true, 2),
            "nobody could claim while the store was gone"
        );
        advance(MOMENT).await;
        assert!(!keeps(&mut replica, true, 2));
    }

    /// The clock of another server may be behind.
    #[tokio::test(start_paused = true)]
    async fn each_claim_is_a_later_turn() {
        let (mut replica, (tool, rate)) = (replica(5_000), drawing());
        draw().await.expect("it succeeds");
        let now = 1_000;
        replica.view.hear(Pulse {
            now,
            ..Pulse::default()
        });
        assert!(replica.ask_for_share(PATH, tool, rate, true).await.is_some());
        assert_eq!(replica.claims.0[PATH].turn, 5_001);
        let now = 9_000;
        replica.view.hear(Pulse {
            now,
            ..Pulse::default()
        });
        assert!(replica.ask_for_share(PATH, tool, rate, true).await.is_some());
        assert_eq!(
            replica.claims.0[PATH].turn, 9_000,
            "by the clock of the store, if it can be"
        );
    }
}
