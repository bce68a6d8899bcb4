//! What does a replica do about the settings of the service?

use std::sync::Arc;

use tokio::time::Instant;

use super::Replica;
use crate::settings::{Says, Settings};
use crate::store::{Store, Versioned};

/// The settings in force here.
#[derive(Debug, Default)]
pub(super) struct Applied {
    settings: Settings,
    pub(super) version: u64,
    /// That of the store when they were read; 0 if they were given back to it since then.
    stamp: u64,
    /// Why those of the store are not in force, if they are not.
    pub(super) problem: Option<String>,
}

impl<S: Store> Replica<S> {
    /// Has the settings of the service in force here.
    pub(super) async fn follow_settings(&mut self) {
        let (version, stamp) = self.view.settings;
        if (version, stamp) == (self.applied.version, self.applied.stamp) {
            return;
        }
        let store = Arc::clone(&self.store);
        let Ok(found) = self.ask(store.settings()).await else {
            return;
        };
        let Some(now) = self.view.now() else { return };
        if found.version < self.applied.version {
            return self.give_back(&found).await;
        }
        match Settings::read(&found) {
            Ok(settings) => {
                let applied = settings.apply_after(&self.applied.settings, now);
                self.applied.problem = applied.err().map(|error| error.to_string());
                self.applied.settings = settings;
            }
            Err(error) => self.applied.problem = Some(error.0),
        }
        // Of what was told before they were read: if they have changed in between, they are read once more.
        (self.applied.version, self.applied.stamp) = (found.version, stamp);
        if let Some(problem) = &self.applied.problem {
            tracing::error!(
                replica = self.name,
                problem,
                "settings of the service are not in force here"
            );
        }
    }

    /// The store has lost settings: it is an old copy, or was emptied. It gets back those that were in force, unless others are there by
    /// now.
    async fn give_back(&mut self, found: &Versioned) {
        let Ok(text) = self.applied.settings.written() else {
            return;
        };
        let version = self.applied.version + 1;
        let given = Versioned { version, text };
        let store = Arc::clone(&self.store);
        if self.ask(store.put_settings(found.version, &given)).await == Ok(true) {
            (self.applied.version, self.applied.stamp) = (version, 0);
            self.next_pulse = Instant::now();
            tracing::warn!(
                replica = self.name,
                version,
                "the store had lost settings, and has them again"
            );
        }
    }

    /// What it says of itself to operators.
    pub(super) fn says(&self) -> String {
        let says = Says {
            settings: self.applied.version,
            problem: self.applied.problem.clone(),
            unknown: self.applied.settings.unknown(),
        };
        says.written()
    }
}
