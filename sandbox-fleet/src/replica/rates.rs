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
