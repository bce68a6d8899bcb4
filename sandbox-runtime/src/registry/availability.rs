//! [`Availability`]: whether a tool is to be had now, and when it may be.

use tokio::time::Instant;

use super::ToolHandle;
use crate::clock::saturating_add;

/// Whether a tool is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    /// Its calls are refused, until then at least; `None` until somebody changes that.
    Unavailable(Option<Instant>),
}

impl ToolHandle {
    /// Whether its calls are refused, as [`is_available`](Self::is_available) has it, and until when.
    pub(crate) fn availability(&self) -> Availability {
        // Until every reason is gone.
        match self.refusals().reduce(|one, other| Some(one?.max(other?))) {
            None => Availability::Available,
            Some(longest) => Availability::Unavailable(longest.map(|left| saturating_add(Instant::now(), left))),
        }
    }
}

impl Availability {
    /// That of two tools, of which one is enough.
    pub(crate) fn or(self, other: Availability) -> Availability {
        match (self, other) {
            (Availability::Unavailable(one), Availability::Unavailable(other)) => {
                Availability::Unavailable(one.into_iter().chain(other).min())
            }
            _ => Availability::Available,
        }
    }
}
