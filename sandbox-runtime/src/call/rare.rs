//! [`Rare`]: what few calls have to remember.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::current::CallId;
use super::{CallState, Controls};
use crate::failure::Stop;
use crate::limits::{CallLimits, Held, Terms};
use crate::overrides::Override;
use crate::policy::Policy;
use crate::surroundings::Surroundings;

/// What few calls have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    around: Option<Around>,
    /// The text of the last error that a retry followed.
    pub(super) earlier_error: Option<Box<str>>,
    /// What is known of the attempt under way once it has to wait.
    pub(super) wait: Option<Wait>,
    /// Set once the tool has asked for it.
    pub(super) call_id: Option<CallId>,
}

/// What concerns a call from outside. In one piece, so that one look tells that there is nothing.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The settings that an operator has given to the call's tool, in place of the call's own.
    pub(super) overridden: Option<Arc<Override>>,
    /// What holds the call back, and its place.
    pub(super) limits: Option<CallLimits>,
    pub(super) surroundings: Option<Surroundings>,
}

/// The wait of an attempt. The timer does not show it: a deadline may have shortened the limit, and the end of what surrounds the
/// call may be moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// When the attempt first had to wait.
    pub(super) began: Instant,
    /// When the attempt ends by itself.
    pub(super) ends: Instant,
}

impl<S: Controls> CallState<S> {
    #[inline(always)]
    fn around(&self) -> Option<&Around> {
        self.rare.as_deref()?.around.as_ref()
    }

    #[inline(always)]
    pub(super) fn around_mut(self: Pin<&mut Self>) -> Option<&mut Around> {
        self.project().rare.as_mut()?.around.as_mut()
    }

    /// For something that has been found around the call.
    pub(super) fn get_or_insert_around(self: Pin<&mut Self>) -> &mut Around {
        let rare = self.project().rare.get_or_insert_default();
        rare.around.get_or_insert_default()
    }

    /// Tells whether anything is known that concerns the call from outside.
    #[inline(always)]
    pub(super) fn is_concerned(&self) -> bool {
        self.around().is_some()
    }

    /// What surrounds the call, as far as it is known.
    #[inline(always)]
    pub(super) fn surroundings(&self) -> Option<&Surroundings> {
        self.around()?.surroundings.as_ref()
    }

    #[inline(always)]
    pub(super) fn surroundings_mut(self: Pin<&mut Self>) -> Option<&mut Surroundings> {
        self.around_mut()?.surroundings.as_mut()
    }

    #[inline(always)]
    pub(super) fn limits(&self) -> Option<&CallLimits> {
        self.around()?.limits.as_ref()
    }

    /// The settings that an operator has given to the tool, if there are some.
    #[inline(always)]
    pub(super) fn overridden(&self) -> Option<&Policy> {
        let overridden = self.around()?.overridden.as_deref()?;
        Some(&overridden.policy)
    }

    /// Reads a setting: of the policy that an operator has set, or mostly of one that the compiler knows.
    #[inline(always)]
    pub(super) fn setting<T>(&self, read: impl Fn(&Policy) -> T) -> T {
        match self.overridden() {
            None => read(&self.controls.policy()),
            Some(policy) => read(policy),
        }
    }

    /// All settings, for what is done rarely.
    #[cold]
    pub(super) fn policy(&self) -> Policy {
        self.setting(|policy| *policy)
    }

    #[inline]
    pub(super) fn poll_began(self: Pin<&mut Self>) {
        if let Some(around) = self.around_mut() {
            around.poll_began();
        }
    }

    #[inline]
    pub(super) fn poll_ended(self: Pin<&mut Self>) {
        if let Some(around) = self.around_mut() {
            around.poll_ended();
        }
    }
}

impl Around {
    #[cold]
    fn poll_began(&mut self) {
        if let Some(surroundings) = &mut self.surroundings {
            surroundings.poll_began();
        }
        if let Some(limits) = &mut self.limits {
            limits.poll_began();
        }
    }

    #[cold]
    fn poll_ended(&mut self) {
        if let Some(surroundings) = &mut self.surroundings {
            surroundings.poll_ended();
        }
        if let Some(limits) = &mut self.limits {
            limits.poll_ended();
        }
    }

    /// Waits until the limits let the next attempt begin.
    pub(super) fn poll_limits(&mut self, terms: Terms, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let Some(limits) = &mut self.limits else {
            return Poll::Ready(Ok(()));
        };
        let (waited, poll) = limits.poll(terms, cx);
        if let Some(surroundings) = &self.surroundings {
            if waited.begins {
                surroundings.queued();
            }
            if let Some(waited) = waited.ended {
                surroundings.unqueued(waited);
            }
        }
        poll.map_err(Held::stop)
    }

    /// Leaves the place of a call that has ended, or the queue: before anybody learns that it has ended.
    pub(super) fn leave_limits(&mut self) {
        let waited = self.limits.take().and_then(|mut limits| limits.leave_queue());
        if let (Some(waited), Some(surroundings)) = (waited, &self.surroundings) {
            surroundings.unqueued(waited);
        }
    }
}

/// Also of a call that is dropped: its surroundings report the end of it when they are dropped.
impl Drop for Around {
    #[cold]
    fn drop(&mut self) {
        self.leave_limits();
    }
}
