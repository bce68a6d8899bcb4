//! [`Attachment`]: something that surrounds calls, and what it is told of them.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{AttemptEnd, DelaySource, Failure, Refusal, Stop, UsedUp};
#[cfg(feature = "faults")]
use crate::faults::Fault;
#[cfg(feature = "faults")]
use crate::observe::ObservedTool;
use crate::observe::{Observer, ServedRequest};
use crate::site::SiteRef;
use crate::testing::Isolation;

/// Something that surrounds calls and takes part in them. Every method has a default: an attachment implements those that
/// concern it. None of them may block, and none is called while a lock of the engine is held.
pub(crate) trait Attachment: Debug + Send + Sync {
    /// When all calls inside are over. It may be moved to a later time.
    fn ends(&self) -> Option<Instant> {
        None
    }

    /// Resolves when all calls inside are cancelled; `None` if that never happens.
    fn cancelled(&self) -> Option<Cancelled> {
        None
    }

    /// Decides whether an attempt may be made, counted from 1, and when. A reason why not ends the call.
    fn poll_admission(&self, _attempt: u32, _cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        Poll::Ready(Ok(()))
    }

    /// The fault of an attempt of this tool that is about to begin. It is asked once for each.
    #[cfg(feature = "faults")]
    fn fault(&self, _tool: &ObservedTool) -> Option<Fault> {
        None
    }

    /// The next attempt is held back by the limits of its tool.
    fn queued(&self) {}

    /// It was held back for so long.
    fn unqueued(&self, _waited: Duration) {}

    /// An attempt begins.
    fn attempt_began(&self, _attempt: u32) {}

    /// The call is about to be polled, and with it its tool.
    fn poll_began(&self) {}

    /// The poll is over, and the call has not ended in it.
    fn poll_ended(&self) {}

    /// An observer of the calls inside.
    fn observer(&self) -> Option<&Arc<dyn Observer>> {
        None
    }

    /// What stands for the tools and breakers of the calls inside, if they are isolated from all others.
    fn isolation(&self) -> Option<&Arc<Isolation>> {
        None
    }

    /// The request of a client that a call of this function answers, for its span: once, because there is one such call.
    fn claim_request(&self, _function: &str, _is_served: bool) -> Option<ServedRequest> {
        None
    }

    /// Tells whether an error that the tool returns in this poll is the doing of whoever called it.
    fn is_to_blame(&self) -> bool {
        false
    }

    /// The attempt has ended; without an end if its call was cancelled or dropped.
    fn attempt_ended(&self, _attempt: u32, _end: Option<AttemptEnd>) {}

    /// Takes a call from what the attachment allows; `false` if nothing is left.
    fn take_call(&self) -> bool {
        true
    }

    /// Takes back a call that was granted and not made.
    fn return_call(&self) {}

    /// Takes a retry from what the attachment allows; `false` if nothing is left.
    fn take_retry(&self) -> bool {
        true
    }

    /// Takes back a retry that was granted and not made.
    fn return_retry(&self) {}

    /// What its run has used up by which a call has ended, or at all; once, because its model has to read it once. `None` if it is not
    /// around all that one model is answered, as a run of an agent and a request of a client are.
    fn tell_used_up(&self, _by: Option<Stop>) -> Option<Option<UsedUp>> {
        None
    }

    /// Takes back that it has told what is used up, because nothing that a model reads became of it. `false` if it tells nobody.
    fn untell_used_up(&self, _used_up: UsedUp) -> bool {
        false
    }

    /// A retry has been granted by everything around the call, and its delay begins.
    fn retry_scheduled(&self, _retry: &Retry<'_>) {}

    /// A call has ended. `is_reported` tells whether an attachment closer to the call has reported that to its caller;
    /// returns the same for those further out.
    fn call_ended(&self, _end: &CallEnd<'_>, is_reported: bool) -> bool {
        is_reported
    }

    /// Keeps a failure that the return type of its tool cannot hold; gives it back if the attachment has no use for it.
    #[cfg(feature = "rmcp")]
    fn keep_unreturnable(&self, failure: Failure) -> Result<(), Failure> {
        Err(failure)
    }

    /// The arguments of the request that a client has made, for the tool of that name: once, because they are those of one call.
    #[cfg(feature = "rmcp")]
    fn claim_arguments(&self, _tool: &str) -> Option<Arc<rmcp::model::JsonObject>> {
        None
    }
}

/// Resolves when a call is cancelled. `Sync`, because calls are.
pub(crate) type Cancelled = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A retry whose delay begins.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "rmcp"),
    expect(dead_code, reason = "only a server tells its client of retries")
)]
pub(crate) struct Retry<'a> {
    pub(crate) tool: &'static str,
    pub(crate) site: Option<SiteRef>,
    /// The attempt that has ended, counted from 1.
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    /// How it ended.
    pub(crate) end: AttemptEnd,
    /// What it returned, as far as that is a text.
    pub(crate) error: Option<&'a str>,
    /// How long an attempt may take.
    pub(crate) limit: Duration,
    pub(crate) delay: Duration,
    pub(crate) from: DelaySource,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct CallEnd<'a> {
    #[cfg_attr(not(feature = "rmcp"), expect(dead_code, reason = "only a server names tools"))]
    pub(crate) site: Option<SiteRef>,
    pub(crate) attempts: u32,
    pub(crate) stop: Stop,
    /// Set when the breaker refused an attempt, the first or a further one, and by that ended the call.
    pub(crate) refusal: Option<Refusal>,
    /// Set when the engine returned something for the tool.
    pub(crate) failure: Option<&'a Failure>,
}
