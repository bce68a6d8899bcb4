//! [`Watched`]: what a replica does about one breaker, by its own state and by what is shared of it. Without time and without a store
//! of its own, so that every order of events can be tried.

#[cfg(test)]
mod tests;

use crate::store::Shared;

/// A moment or a length of time in milliseconds, by the store's clock.
pub(crate) type Millis = u64;

/// For how much longer than it has to be a breaker is held open, so that it is not tried before others have been asked: renewed at each
/// look. Without news from the store it is over by itself, and the replica goes on by what it finds out alone.
const HELD: Millis = 3_000;

/// How a breaker is in this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    Closed,
    Open,
    HalfOpen,
    /// By somebody's hand: the fleet leaves it alone.
    ForcedOpen,
}

/// What is known about a breaker now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) local: Local,
    /// Whether a call was refused since the last look.
    pub(crate) is_wanted: bool,
    pub(crate) shared: Shared,
    pub(crate) now: Millis,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    /// To the store: the breaker has opened here.
    Report,
    /// To the store: it has closed here.
    Withdraw,
    /// To the store: may this replica try it? The answer is [told](Watched::leased).
    TakeLease,
    /// To the store: what the probes have found.
    Settle {
        is_well: bool,
    },
    /// To the breaker: be open for so long.
    OpenFor(Millis),
    /// To the breaker: let it be tried.
    Try,
    /// To the breaker: be closed.
    Close,
}

/// What a replica remembers of one breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Watched {
    /// What it has last heard, which is of the latest epoch of which it knows.
    heard: Shared,
    /// Set while the breaker is open here because it is for all.
    is_held: bool,
    /// When it was last reported that it has opened here, if it has not been taken back.
    reported: Option<Millis>,
    /// Until when this replica alone may try it.
    lease: Option<Millis>,
    /// Set once the breaker has been told to let itself be tried.
    is_tried: bool,
}

impl Watched {
    /// Decides what to do next. Each act is to be done before the next look.
    pub(crate) fn look(&mut self, look: Look, window: Millis) -> Act {
        if look.local == Local::ForcedOpen {
            return Act::Nothing;
        }
        // Not by the epoch alone: an old copy of the store may have come to another state by as many.
        if look.shared != self.heard {
            return self.hear(look);
        }
        match look.shared.open_until {
            Some(until) => self.hold(look, until),
            None => self.watch(look, window),
        }
    }

    /// Whether the time in which this replica alone may try it is over: then it is held open again, whatever the store says.
    pub(crate) fn ends_lease(&mut self, local: Local, now: Millis) -> Option<Act> {
        let is_over = self.lease.is_some_and(|lease| lease <= now);
        // What has been found out is still to be told: the store knows whether it is too late.
        let is_untold = self.is_tried && matches!(local, Local::Closed | Local::Open);
        (is_over && !is_untold).then(|| {
            self.lease = None;
            Act::OpenFor(HELD)
        })
    }

    /// Another epoch: what was found out in an earlier one, or one that was lost, no longer matters.
    fn hear(&mut self, look: Look) -> Act {
        let is_older = look.shared.epoch < self.heard.epoch;
        let was_held = self.is_held;
        *self = Watched {
            heard: look.shared,
            is_held: !is_older && look.shared.open_until.is_some(),
            ..Watched::default()
        };
        match look.shared.open_until {
            // The store has lost what it knew: this replica goes on by its own state, and reports it again.
            _ if is_older => Act::Nothing,
            Some(until) => Act::OpenFor(held_until(until).saturating_sub(look.now)),
            None if was_held => Act::Close,
            None => Act::Nothing,
        }
    }

    /// Open for all.
    fn hold(&mut self, look: Look, until: Millis) -> Act {
        if self.lease.is_none() {
            return match look.local {
                // Somebody has reset it here, or it has found out by itself while the store was gone: that holds for all, once they may
                // be told.
                Local::Closed if look.now < until => Act::Nothing,
                Local::Closed => Act::TakeLease,
                _ if look.now < until => Act::OpenFor(held_until(until) - look.now),
                _ if look.is_wanted => Act::TakeLease,
                _ => Act::OpenFor(HELD),
            };
        }
        match look.local {
            Local::Closed => Act::Settle { is_well: true },
            _ if !self.is_tried => {
                self.is_tried = true;
                Act::Try
            }
            Local::Open => Act::Settle { is_well: false },
            // Nobody has called it, or the probe is silent: another replica's turn.
            _ => self.ends_lease(look.local, look.now).unwrap_or(Act::Nothing),
        }
    }

    /// Closed for all, or not held here.
    fn watch(&mut self, look: Look, window: Millis) -> Act {
        let is_old = self.reported.is_none_or(|reported| look.now >= reported + window / 2);
        match look.local {
            Local::Open if is_old => {
                self.reported = Some(look.now);
                Act::Report
            }
            Local::Closed if self.reported.take().is_some() => Act::Withdraw,
            _ => Act::Nothing,
        }
    }

    /// The answer to [`TakeLease`](Act::TakeLease): until when, if this replica has it.
    pub(crate) fn leased(&mut self, until: Option<Millis>) {
        self.lease = until;
        self.is_tried = false;
    }

    /// The store has not answered: what it was to be told is told again.
    pub(crate) fn failed(&mut self, act: Act) {
        match act {
            Act::Report => self.reported = None,
            Act::Withdraw => self.reported = Some(0),
            _ => {}
        }
    }

    /// Whether it is open here because it is for all.
    pub(crate) const fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether nothing about it is left to be done, unless it opens here or for all.
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.heard.open_until.is_none() && !self.is_held && self.reported.is_none() && self.lease.is_none()
    }

    /// Until when this replica alone may try it, if it may.
    pub(crate) const fn lease(&self) -> Option<Millis> {
        self.lease
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.heard.epoch
    }
}

fn held_until(until: Millis) -> Millis {
    until.saturating_add(HELD)
}
