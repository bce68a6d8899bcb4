//! [`Request`]: what surrounds the sandboxed calls of a `tools/call` request, and what is observed of them.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, JsonObject, ProgressNotificationParam, ProgressToken, RequestId};
use rmcp::service::RequestContext;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Observation;
use super::name::Names;
use super::observer::{Observer, locked};
use super::outgoing::Outgoing;
use super::progress::{self, Progression};
use super::trace;
use crate::clock::saturating_add;
use crate::failure::{AttemptEnd, Failure, Stop, UsedUp};
use crate::observe::ServedRequest;
use crate::surroundings::{Attachment, CallEnd, Cancelled, Retry};

/// A request, as the calls in it see it.
#[derive(Debug)]
pub(super) struct Request {
    /// The tool as the client named it.
    tool: Cow<'static, str>,
    arguments: Arc<JsonObject>,
    /// Whether a call has taken the arguments for its own.
    is_claimed: AtomicBool,
    /// Cancelled when the client cancels the request.
    token: CancellationToken,
    limits: Limits,
    ends: Mutex<Option<Instant>>,
    observer: Observer,
    outgoing: UnboundedSender<Outgoing>,
    /// Set if the client wants to know about progress.
    progress_token: Option<ProgressToken>,
    progression: Mutex<Progression>,
    retries: AtomicU32,
    attempts_under_way: AtomicU32,
    /// What attempts have asked the client and what it has not answered yet.
    questions: Mutex<Vec<RequestId>>,
    /// Whether the user has said no since the tool was polled.
    is_declined: AtomicBool,
    /// What a span says of the request; taken by the first call that answers it.
    traced: Mutex<Option<ServedRequest>>,
}

/// How long the sandboxed calls of a request may take together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) total: Option<Duration>,
    /// Whether that begins again when the tool tells its progress.
    pub(super) is_extended_by_progress: bool,
}

impl Request {
    /// A request that begins now.
    pub(super) fn starting_now(
        params: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        limits: Limits,
        outgoing: UnboundedSender<Outgoing>,
    ) -> Arc<Request> {
        Arc::new(Request {
            tool: params.name.clone(),
            arguments: Arc::new(params.arguments.clone().unwrap_or_default()),
            is_claimed: AtomicBool::new(false),
            token: context.ct.clone(),
            limits,
            ends: Mutex::new(limits.total.map(|limit| saturating_add(Instant::now(), limit))),
            observer: Observer::default(),
            outgoing,
            progress_token: context.meta.get_progress_token(),
            progression: Mutex::default(),
            retries: AtomicU32::new(0),
            attempts_under_way: AtomicU32::new(0),
            questions: Mutex::default(),
            is_declined: AtomicBool::new(false),
            traced: Mutex::new(trace::wanted().then(|| trace::served(params, context))),
        })
    }

    /// What was observed until now.
    pub(super) fn observation(&self, names: &Names<'_>) -> Observation {
        self.observer.observation(Some(names))
    }

    /// Tells whether its client knows its progress by this token.
    pub(super) fn has_progress_token(&self, token: &ProgressToken) -> bool {
        self.progress_token.as_ref() == Some(token)
    }

    /// Notes that a notification of progress is on its way to the client, and makes its value greater than the last one.
    pub(super) fn progress_told(&self, notification: &mut ProgressNotificationParam) {
        locked(&self.progression).advance(notification);
        if let Some(limit) = self.limits.total.filter(|_| self.limits.is_extended_by_progress) {
            *locked(&self.ends) = Some(saturating_add(Instant::now(), limit));
        }
    }

    /// Notes that a question is on its way to the client.
    pub(super) fn asked(&self, question: RequestId) {
        // What is asked beside the attempts, the engine does not end.
        if self.attempts_under_way.load(Ordering::SeqCst) > 0 {
            locked(&self.questions).push(question);
        }
    }

    /// Notes the answer to a question.
    pub(super) fn answered(&self, question: &RequestId, is_declined: bool) {
        locked(&self.questions).retain(|open| open != question);
        if is_declined {
            self.is_declined.store(true, Ordering::SeqCst);
        }
    }

    fn withdraw_questions(&self) {
        for question in locked(&self.questions).drain(..) {
            self.send(Outgoing::Withdrawal(question));
        }
    }

    /// Nobody is listening once the request has ended.
    fn send(&self, message: Outgoing) {
        drop(self.outgoing.send(message));
    }
}

impl Attachment for Request {
    fn ends(&self) -> Option<Instant> {
        *locked(&self.ends)
    }

    fn cancelled(&self) -> Option<Cancelled> {
        Some(Box::pin(self.token.clone().cancelled_owned()))
    }

    /// What the calls in it have used up among themselves, its model does not know of.
    fn tell_used_up(&self, _by: Option<Stop>) -> Option<Option<UsedUp>> {
        Some(None)
    }

    fn attempt_began(&self, _attempt: u32) {
        self.attempts_under_way.fetch_add(1, Ordering::SeqCst);
    }

    fn attempt_ended(&self, _attempt: u32, _end: Option<AttemptEnd>) {
        // While another attempt is under way, nobody knows whose question it is.
        if self.attempts_under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.withdraw_questions();
        }
    }

    fn poll_ended(&self) {
        self.is_declined.store(false, Ordering::SeqCst);
    }

    fn is_to_blame(&self) -> bool {
        self.is_declined.load(Ordering::SeqCst)
    }

    fn claim_request(&self, function: &str, is_served: bool) -> Option<ServedRequest> {
        let mut traced = locked(&self.traced);
        (is_served || self.tool == function).then(|| traced.take()).flatten()
    }

    fn retry_scheduled(&self, retry: &Retry<'_>) {
        if let Some(token) = &self.progress_token {
            // Relaxed: a count by itself.
            let number = self.retries.fetch_add(1, Ordering::Relaxed) + 1;
            self.send(Outgoing::Retry {
                function: retry.tool,
                site: retry.site,
                progress: progress::of_retry(token.clone(), number, retry),
            });
        }
    }

    fn call_ended(&self, end: &CallEnd<'_>, is_reported: bool) -> bool {
        self.observer.call_ended(end, is_reported)
    }

    fn keep_unreturnable(&self, failure: Failure) -> Result<(), Failure> {
        self.observer.keep_unreturnable(failure);
        Ok(())
    }

    fn claim_arguments(&self, tool: &str) -> Option<Arc<JsonObject>> {
        // Relaxed: the arguments are never written.
        let is_first = || !self.is_claimed.swap(true, Ordering::Relaxed);
        (self.tool == tool && is_first()).then(|| Arc::clone(&self.arguments))
    }
}
