//! [`View`]: what a replica knows of the store, and since when.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Pulse, Shared, millis};
use crate::watched::Millis;

/// What a replica has last been told by the store.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// When, by this process's clock and by the store's.
    told: Option<(Instant, Millis)>,
    pub(crate) live: u32,
    /// Their version and their stamp.
    pub(crate) settings: (u64, u64),
    shared: HashMap<String, Shared>,
}

impl View {
    pub(crate) fn hear(&mut self, pulse: Pulse) {
        self.told = Some((Instant::now(), pulse.now));
        self.live = pulse.live;
        self.settings = (pulse.settings, pulse.settings_stamp);
        self.shared = pulse.breakers.into_iter().collect();
    }

    pub(crate) fn hear_of(&mut self, tool: &str, shared: Shared) {
        self.shared.insert(tool.to_owned(), shared);
    }

    pub(crate) fn shared(&self, tool: &str) -> Shared {
        self.shared.get(tool).copied().unwrap_or_default()
    }

    /// The paths of those that are open for all.
    pub(crate) fn open(&self) -> impl Iterator<Item = &str> {
        let open = self.shared.iter().filter(|(_, shared)| shared.open_until.is_some());
        open.map(|(path, _)| path.as_str())
    }

    /// How long ago it was told.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.told.map(|(told, _)| told.elapsed())
    }

    /// The store's time now.
    pub(crate) fn now(&self) -> Option<Millis> {
        let (told, then) = self.told?;
        Some(then + millis(told.elapsed()))
    }
}
