//! [`Operator`]: who switches tools for the whole service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::Overrides;

use crate::settings::{Disabled, Says, Settings};
use crate::store::{Store, StoreError, Versioned, millis};

/// How often a change is tried while others change the settings, too.
const TRIES: u32 = 32;

/// Switches tools, and sets their settings, in all replicas of a service.
///
/// A tool is named by its name or its path, several by the path of a module that they are in, and all by [`ALL`](crate::ALL). What is
/// set is kept in the store: replicas that start later have it too. Each change is made on the latest settings, so that two operators
/// at the same time lose nothing of each other.
pub struct Operator<S> {
    store: Arc<S>,
}

/// A replica that is live.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveReplica {
    /// Its name.
    pub name: String,
    /// The version of the settings that it has seen, with its last heartbeat.
    pub settings: u64,
    /// Why that is not in force there, if it is not.
    pub problem: Option<String>,
    /// The names in it that mean no tool of that replica.
    pub unknown: Vec<String>,
}

/// A change that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The store could not be asked, or holds what cannot be read. Nothing was changed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store has not said whether it has made the change.
    #[error("the change may have been made, or not: {0}; look at what is set before you try again")]
    Unknown(StoreError),
    /// Others have changed the settings again and again in the meantime.
    #[error("nothing was changed: others have changed the settings at the same time, {TRIES} times; try again")]
    Busy,
}

impl<S> Clone for Operator<S> {
    fn clone(&self) -> Self {
        let store = Arc::clone(&self.store);
        Operator { store }
    }
}

impl<S> fmt::Debug for Operator<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}

impl<S: Store> Operator<S> {
    /// One outside of the service, such as a program on the command line.
    #[must_use]
    pub fn of(store: S) -> Self {
        Self::sharing(Arc::new(store))
    }

    pub(crate) fn sharing(store: Arc<S>) -> Self {
        Operator { store }
    }

    /// Switches tools off, in all replicas, for so long or until they are [enabled](Self::enable). Models read the reason. It is over by
    /// the store's time, without anybody acting.
    ///
    /// # Errors
    ///
    /// As for all that an operator does: when the store does not answer, or others are always quicker. Nothing has changed then, unless it
    /// is [not known](OperatorError::Unknown).
    pub async fn disable(&self, name: &str, reason: &str, lasts: Option<Duration>) -> Result<u64, OperatorError> {
        let until = match lasts {
            Some(lasts) => Some(self.store.time().await?.saturating_add(millis(lasts))),
            None => None,
        };
        let disabled = Disabled {
            reason: reason.to_owned(),
            until,
        };
        self.change(|settings| settings.switch(name, |switches| switches.disabled = Some(disabled.clone())))
            .await
    }

    /// Switches tools on that were switched off by this name.
    ///
    /// # Errors
    ///
    /// See [`disable`](Self::disable).
    pub async fn enable(&self, name: &str) -> Result<u64, OperatorError> {
        self.change(|settings| settings.switch(name, |switches| switches.disabled = None))
            .await
    }

    /// Opens breakers, until they are [reset](Self::reset).
    ///
    /// # Errors
    ///
    /// See [`disable`](Self::disable).
    pub async fn force_open(&self, name: &str) -> Result<u64, OperatorError> {
        self.change(|settings| settings.switch(name, |switches| switches.forced_open = true))
            .await
    }

    /// Closes breakers and clears their counts, in all replicas. One that was [opened](Self::force_open) by another name stays open,
    /// unless this one means all, or is a module in the path by which it was opened.
    ///
    /// # Errors
    ///
    /// See [`disable`](Self::disable).
    pub async fn reset(&self, name: &str) -> Result<u64, OperatorError> {
        self.change(|settings| settings.reset(name)).await
    }

    /// Lets breakers refuse nothing, or refuse again.
    ///
    /// # Errors
    ///
    /// See [`disable`](Self::disable).
    pub async fn shadow(&self, name: &str, is_shadow: bool) -> Result<u64, OperatorError> {
        self.change(|settings| settings.switch(name, |switches| switches.shadow = is_shadow))
            .await
    }

    /// Gives the tools of all replicas these settings, in place of all that were applied before. A replica that finds a mistake in them
    /// keeps its own, and [says so](Self::replicas).
    ///
    /// # Errors
    ///
    /// See [`disable`](Self::disable).
    pub async fn apply(&self, overrides: &Overrides) -> Result<u64, OperatorError> {
        self.change(|settings| settings.overrides = Some(overrides.clone()))
            .await
    }

    /// Gives every tool the settings of its attribute again.
    ///
    /// # Errors
    ///
    /// See [`disable`](Self::disable).
    pub async fn clear(&self) -> Result<u64, OperatorError> {
        self.change(|settings| settings.overrides = None).await
    }

    /// The live replicas, with the version of the settings that each has in force, and why not the latest.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn replicas(&self) -> Result<Vec<LiveReplica>, OperatorError> {
        let replicas = self.store.replicas().await?.into_iter().map(|replica| {
            let Says {
                settings,
                problem,
                unknown,
            } = Says::read(&replica.says);
            LiveReplica {
                name: replica.name,
                settings,
                problem,
                unknown,
            }
        });
        Ok(replicas.collect())
    }

    /// The store's time, in milliseconds: that of a server is counted from 1970.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn time(&self) -> Result<u64, OperatorError> {
        Ok(self.store.time().await?)
    }

    /// What is set for the service, as JSON, and its version.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn settings(&self) -> Result<Versioned, OperatorError> {
        Ok(self.store.settings().await?)
    }

    /// Makes a change to the latest settings, and returns their new version.
    async fn change(&self, change: impl Fn(&mut Settings)) -> Result<u64, OperatorError> {
        for _ in 0..TRIES {
            let found = self.store.settings().await?;
            let mut settings = Settings::read(&found)?;
            change(&mut settings);
            let version = found.version + 1;
            let text = settings.written()?;
            if self
                .store
                .put_settings(found.version, &Versioned { version, text })
                .await
                .map_err(OperatorError::Unknown)?
            {
                return Ok(version);
            }
        }
        Err(OperatorError::Busy)
    }
}
