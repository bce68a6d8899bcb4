//! [`Offer`]: which of its tools a server offers to its client, where those that are not to be had are withdrawn.

use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use rmcp::model::Tool;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::observer::locked;
use crate::changes::next_change;
use crate::clock::saturating_add;
use crate::registry::availability::Availability;
use crate::registry::tools_in_order;

/// The tools of one connection, as its client has last been shown them.
#[derive(Debug)]
pub(super) struct Offer {
    shown: Arc<Shown>,
    /// Ends those who announce changes when the connection is over.
    _ends: DropGuard,
}

#[derive(Debug)]
struct Shown {
    /// The shortest time between two changes.
    apart: Duration,
    tools: Mutex<Tools>,
    /// Somebody has changed the list.
    changed: Notify,
    is_over: CancellationToken,
}

#[derive(Debug, Default)]
struct Tools {
    /// Every tool that the server has listed, and whether it is withdrawn.
    withdrawn: HashMap<String, bool>,
    /// How often the list has changed, and when last.
    changes: u64,
    changed_at: Option<Instant>,
}

impl Offer {
    pub(super) fn new(apart: Duration) -> Offer {
        let is_over = CancellationToken::new();
        let shown = Shown {
            apart,
            tools: Mutex::default(),
            changed: Notify::new(),
            is_over: is_over.clone(),
        };
        Offer {
            shown: Arc::new(shown),
            _ends: is_over.drop_guard(),
        }
    }

    /// Another one, for another connection.
    pub(super) fn another(&self) -> Offer {
        Offer::new(self.shown.apart)
    }

    /// Leaves those out of a page of the server's list that are withdrawn.
    pub(super) fn show(&self, page: &mut Vec<Tool>) {
        self.know(page.iter().map(|tool| &*tool.name));
        let mut tools = locked(&self.shown.tools);
        tools.refresh(self.shown.apart);
        page.retain(|tool| tools.withdrawn.get(&*tool.name) != Some(&true));
        drop(tools);
        // There may be more to wait for, and a change to tell.
        self.shown.changed.notify_waiters();
    }

    /// Notes tools of the server that its client may know. Whether they are withdrawn by then does not count as a change.
    pub(super) fn know<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let mut tools = locked(&self.shown.tools);
        let new: Vec<_> = names
            .filter(|name| !tools.withdrawn.contains_key(*name))
            .map(str::to_owned)
            .collect();
        let current = availabilities(|name| new.iter().any(|new| new == name));
        tools
            .withdrawn
            .extend(new.into_iter().map(|name| (name.clone(), is_gone(&current, &name))));
    }

    /// Calls `tell` once for each change of the list, until the connection is over or `tell` says that nobody listens.
    pub(super) fn announce<T, F>(&self, tell: T) -> impl Future<Output = ()> + use<T, F>
    where
        T: Fn() -> F,
        F: Future<Output = bool>,
    {
        let shown = Arc::clone(&self.shown);
        async move {
            let is_over = shown.is_over.clone();
            is_over.run_until_cancelled(shown.announce(tell)).await;
        }
    }
}

impl Shown {
    async fn announce<F: Future<Output = bool>>(&self, tell: impl Fn() -> F) {
        let mut told = locked(&self.tools).changes;
        loop {
            // Registered before the look, so that nothing that happens after it is missed.
            let (mut by_tool, mut by_list) = (pin!(next_change()), pin!(self.changed.notified()));
            by_tool.as_mut().enable();
            by_list.as_mut().enable();
            let (next, changes) = {
                let mut tools = locked(&self.tools);
                (tools.refresh(self.apart), tools.changes)
            };
            if changes == told {
                let mut due = pin!(at(next));
                poll_fn(|cx| {
                    let is_changed = by_tool.as_mut().poll(cx).is_ready() || by_list.as_mut().poll(cx).is_ready();
                    if is_changed {
                        Poll::Ready(())
                    } else {
                        due.as_mut().poll(cx)
                    }
                })
                .await;
            } else {
                told = changes;
                if !tell().await {
                    return;
                }
            }
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

impl Tools {
    /// Withdraws what is not to be had, and offers again what is, if the last change is long enough ago. Returns when to look again
    /// if nothing happens before.
    fn refresh(&mut self, apart: Duration) -> Option<Instant> {
        let now = Instant::now();
        let current = availabilities(|name| self.withdrawn.contains_key(name));
        let is_other = |(name, is_withdrawn): (&String, &bool)| is_gone(&current, name) != *is_withdrawn;
        if self.withdrawn.iter().any(is_other) {
            let due = self.changed_at.map_or(now, |changed| saturating_add(changed, apart));
            if due > now {
                return Some(due);
            }
            for (name, is_withdrawn) in &mut self.withdrawn {
                *is_withdrawn = is_gone(&current, name);
            }
            self.changed_at = Some(now);
            self.changes += 1;
        }
        let untils = self
            .withdrawn
            .keys()
            .filter_map(|name| match current.get(name.as_str()) {
                Some(Availability::Unavailable(until)) => *until,
                _ => None,
            });
        untils.min()
    }
}

fn is_gone(current: &HashMap<&str, Availability>, name: &str) -> bool {
    matches!(current.get(name), Some(Availability::Unavailable(_)))
}

/// Whether the tools are to be had that clients know by some names. If several functions have one, nobody knows which of them a server
/// has: then any of them is enough.
fn availabilities(is_asked_for: impl Fn(&str) -> bool) -> HashMap<&'static str, Availability> {
    let mut all = HashMap::new();
    for tool in tools_in_order().into_iter().filter(|tool| is_asked_for(tool.name())) {
        let one = tool.availability();
        all.entry(tool.name())
            .and_modify(|other: &mut Availability| *other = other.or(one))
            .or_insert(one);
    }
    all
}
