//! What a call adds to the record of its tool, once somebody has asked for records.

use std::pin::Pin;

use super::current::CallId;
use super::owed::Owed;
use super::{CallState, Controls};
use crate::failure::{Failure, FailureKind, Stop};
use crate::gate;
use crate::policy::Policy;
use crate::record::{Failed, Record, Step, count, is_failure};
use crate::site::SiteRef;
use crate::tool::Handler;

impl<S: Controls> CallState<S> {
    /// The record that the call belongs into, if it is one of an annotated function and somebody wants to know.
    pub(super) fn record(&self) -> Option<&'static Record> {
        record_of(self.site())
    }

    /// Records what the user names by expressions for each call: the policy, and the map that its breaker is from.
    #[inline]
    fn record_given(&self, site: Option<SiteRef>, policy: impl FnOnce() -> Policy) {
        #[cfg(feature = "keyed")]
        self.record_map(site);
        if let Some(site) = site.filter(|site| site.0.info.is_policy_given) {
            record_policy(site, policy);
        }
    }

    #[cfg(feature = "keyed")]
    #[inline]
    fn record_map(&self, site: Option<SiteRef>) {
        let breaker = self.controls.breaker();
        // Of the function's own breaker the compiler knows that it is, and leaves this out.
        if let (Some(site), Some(own)) = (site, self.controls.site())
            && !std::ptr::eq(breaker, &own.0.breaker)
        {
            site.0.breaker_map.note(breaker.origin());
        }
    }

    /// Tells whether the record has the beginning of the call, and owes it an end.
    #[inline]
    pub(super) fn is_recorded(&self) -> bool {
        self.owed.is_some_and(Owed::is_recorded)
    }

    /// Records a call that nothing surrounds and that is expected to succeed at once.
    #[inline]
    pub(super) fn record_ready(&self, owed: Owed, policy: impl Fn(&Self) -> Policy) -> Owed {
        let site = self.controls.site();
        match record_of(site) {
            None => owed,
            Some(record) => {
                record.shard().ready();
                self.record_given(site, || policy(self));
                owed.recorded()
            }
        }
    }

    /// Records that the call begins, unless that is recorded.
    pub(super) fn record_beginning(self: Pin<&mut Self>) {
        if let Some(record) = self.record().filter(|_| !self.is_recorded()) {
            record.shard().begun();
            self.record_given(self.site(), || self.policy());
            let admission = self.admission();
            *self.project().owed = Owed::new(admission, true);
        }
    }

    #[inline]
    pub(super) fn count_end(&self, owed: Owed, stop: Stop) {
        if owed.is_recorded() {
            count(self.site(), Step::Ended(stop));
        }
    }

    /// Records that the call has ended, and how if its tool has failed. The admission is settled by now.
    #[inline]
    pub(super) fn record_end<R>(mut self: Pin<&mut Self>, stop: Stop, last: Result<&R, &Failure>)
    where
        S::Handler: Handler<R>,
    {
        let Some(owed) = self.as_mut().project().owed.take() else {
            return;
        };
        self.count_end(owed, stop);
        if owed.is_recorded()
            && is_failure(stop)
            && let Some(record) = self.record()
        {
            let last = match last {
                // Code of the user; what it has to say about a panic of its own, nobody needs.
                Ok(outcome) => Ok((self.text_of(outcome).unwrap_or_default(), self.call_id())),
                Err(failure) => Err(failure),
            };
            record_failure(record, stop, self.attempts, last);
        }
    }

    /// Ends the record of a call that is refused.
    #[inline]
    pub(super) fn record_refusal(self: Pin<&mut Self>) {
        if self.owed.is_some() {
            self.end_owing(Stop::Refused);
        }
    }

    #[cold]
    fn end_owing(mut self: Pin<&mut Self>, stop: Stop) {
        if let Some(owed) = self.as_mut().project().owed.take() {
            self.count_end(owed, stop);
        }
    }

    /// Gives back what a call owes that is dropped before its end.
    #[cold]
    pub(super) fn drop_owing(mut self: Pin<&mut Self>) {
        self.as_mut().release();
        self.end_owing(Stop::Dropped);
    }
}

/// Out of line, and with the policy still to be made: few functions have one in each call.
#[cold]
#[inline(never)]
fn record_policy(site: SiteRef, policy: impl FnOnce() -> Policy) {
    site.0.record.policy_given(&policy());
}

/// The record of a function, if somebody wants to know.
#[inline]
fn record_of(site: Option<SiteRef>) -> Option<&'static Record> {
    if !gate::is_open_for(gate::RECORDS) {
        return None;
    }
    Some(&site?.0.record)
}

/// Records how a call has failed: with an error of the tool's own, of which its text is known if it has one, or with a failure of the
/// engine.
#[cold]
fn record_failure(record: &Record, stop: Stop, attempts: u32, last: Result<(Option<String>, CallId), &Failure>) {
    let (error, call_id) = match last {
        Ok(own) => own,
        // What a programmer wrote into a panic is for the log, and not for data.
        Err(failure) if failure.kind == FailureKind::Panicked => {
            (Some(format!("`{}` panicked", failure.tool)), failure.call_id)
        }
        Err(failure) => (Some(failure.to_string()), failure.call_id),
    };
    record.failed(Failed {
        stop,
        error,
        call_id,
        attempts,
    });
}
