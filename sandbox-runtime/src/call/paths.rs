//! The two paths of a poll, for whatever [makes attempts](Attempting): a call, or a loop in the function under the attribute.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::attempt::{AttemptState, PollEnd};
use super::current::Polled;
use super::owed::Owed;
use super::{CallState, Controls, Returned};
use crate::policy::Policy;
use crate::tool::Handler;

/// A future that makes attempts of a call: all of them, or one.
pub(super) trait Attempting {
    type Controls: Controls<Handler: Handler<OutputOf<Self>>>;
    type Begin: Begin;
    /// What it resolves to.
    // Its own, and not one enum of the two below: where a call is all that there is, wrapping and unwrapping what it returns is an
    // instruction more.
    type Output;

    fn parts(self: Pin<&mut Self>) -> Parts<'_, Self::Controls, Self::Begin>;

    /// To what the caller of the call gets.
    fn returned(returned: ReturnedBy<Self>) -> Self::Output;

    /// Once the next attempt may begin, if it is begun elsewhere.
    fn left_to_others(begin: &Self::Begin) -> Option<Self::Output>;
}

/// What a poll works with.
pub(super) struct Parts<'p, S: Controls, B: Begin> {
    pub(super) attempt: Pin<&'p mut AttemptState<B::Attempt, S>>,
    pub(super) begin: &'p mut B,
    pub(super) state: Pin<&'p mut CallState<S>>,
}

/// What begins attempts.
pub(super) trait Begin {
    type Attempt: Future;

    fn begin(&mut self, retry_possible: bool) -> Self::Attempt;
}

type OutputOf<A> = <<<A as Attempting>::Begin as Begin>::Attempt as Future>::Output;

/// What the caller of the call gets.
type ReturnedBy<A> = Returned<<A as Attempting>::Controls, OutputOf<A>>;

#[inline(always)]
pub(super) fn poll<A: Attempting>(mut this: Pin<&mut A>, cx: &mut Context<'_>) -> Poll<A::Output> {
    let end = match this.as_mut().parts().attempt.is_new() {
        true => match poll_first(this.as_mut(), cx) {
            Ok(returned) => return Poll::Ready(A::returned(returned)),
            Err(end) => Some(end),
        },
        false => None,
    };
    // Through a reference: a function that returned it would write to where this function's result is, and so keep what
    // `poll_first` returns out of registers. That took five nanoseconds.
    let mut output = Poll::Pending;
    match this.as_mut().parts().state.rare {
        None => poll_resumed(this, end, cx, &mut output),
        Some(_) => poll_surrounded(this, end, cx, &mut output),
    }
    output
}

/// The fast path: the whole of a call that nothing surrounds, whose breaker is closed and whose tool succeeds at once. What
/// it costs is memory written: so the admission and the number of the attempt are not, until it turns out otherwise.
#[inline(always)]
fn poll_first<A: Attempting>(
    mut this: Pin<&mut A>,
    cx: &mut Context<'_>,
) -> Result<ReturnedBy<A>, PollEnd<OutputOf<A>>> {
    let mut state = this.as_mut().parts().state;
    if state.as_mut().poll_cancelled(cx).is_ready() {
        return Err(PollEnd::Cancelled);
    }
    let Some(owed) = state.as_mut().admit_if_simple() else {
        return Err(PollEnd::NotAdmitted);
    };
    let policy = state.controls.policy();
    start_first(
        this,
        owed,
        &policy,
        |begin, retry_possible| begin.begin(retry_possible),
        cx,
    )
}

/// The same by settings that an operator has given to the tool. Leaves what the poll has ended with if that was not a success.
#[cold]
#[inline(never)]
fn poll_first_overridden<A: Attempting>(
    mut this: Pin<&mut A>,
    end: &mut Option<PollEnd<OutputOf<A>>>,
    cx: &mut Context<'_>,
    output: &mut Poll<A::Output>,
) {
    let found = this.as_mut().parts().state.find_overridden();
    let Some(set) = &*found else {
        *end = Some(PollEnd::NotAdmitted);
        return;
    };
    let begin = |begin: &mut A::Begin, retry_possible| begin.begin(retry_possible);
    let returned = match this.as_mut().parts().state.admit_overridden(&set.policy) {
        Some(owed) => start_first(this.as_mut(), owed, &set.policy, begin, cx),
        None => Err(PollEnd::NotAdmitted),
    };
    match returned {
        Ok(returned) => *output = Poll::Ready(A::returned(returned)),
        Err(other) => {
            this.parts().state.keep_overridden(Arc::clone(set));
            *end = Some(other);
        }
    }
}

/// Makes the first attempt, which has been admitted, by this policy. Each caller has a closure of its own to begin it, with which all
/// of this is compiled for it alone: shared by two, it would be called and not inlined.
#[inline(always)]
fn start_first<A: Attempting>(
    this: Pin<&mut A>,
    owed: Owed,
    policy: &Policy,
    begin: impl FnOnce(&mut A::Begin, bool) -> <A::Begin as Begin>::Attempt,
    cx: &mut Context<'_>,
) -> Result<ReturnedBy<A>, PollEnd<OutputOf<A>>> {
    let mut this = this.parts();
    // The policy itself is handed to nobody: mostly the compiler knows it.
    let (retry_possible, is_limited) = (policy.max_attempts() > 1, policy.is_limited());
    let begin = || begin(this.begin, retry_possible);
    // The breaker is closed: not a probe.
    let first = (None, Polled::first(policy));
    match this.attempt.start(this.state.as_mut(), first, begin, cx) {
        Ok(outcome) => Ok(this.state.finish_first(owed, is_limited, outcome)),
        Err(end) => {
            this.state.note_first_attempt(owed, is_limited);
            Err(end)
        }
    }
}

/// The slow path of a call that something surrounds.
#[cold]
fn poll_surrounded<A: Attempting>(
    mut this: Pin<&mut A>,
    end: Option<PollEnd<OutputOf<A>>>,
    cx: &mut Context<'_>,
    output: &mut Poll<A::Output>,
) {
    let mut state = this.as_mut().parts().state;
    state.as_mut().poll_began();
    // The first poll has found the surroundings and looked at nothing in them; a later one looks for itself.
    let end = match end {
        Some(_) if state.poll_cancelled_around(cx).is_ready() => Some(PollEnd::Cancelled),
        end => end,
    };
    poll_resumed(this.as_mut(), end, cx, output);
    this.parts().state.poll_ended();
}

/// The slow path: every call that does not succeed on its first poll, which ended with `end`.
#[inline(never)]
fn poll_resumed<A: Attempting>(
    mut this: Pin<&mut A>,
    mut end: Option<PollEnd<OutputOf<A>>>,
    cx: &mut Context<'_>,
    output: &mut Poll<A::Output>,
) {
    if matches!(end, Some(PollEnd::NotAdmitted)) && this.as_mut().parts().state.may_be_overridden() {
        // Through a reference: returned in pieces and moved as a whole, it would have to wait for the pieces.
        poll_first_overridden(this.as_mut(), &mut end, cx, output);
        if output.is_ready() {
            return;
        }
        if this.as_mut().parts().state.rare.is_some() {
            return poll_surrounded(this, end, cx, output);
        }
    }
    let mut this = this.parts();
    // The first poll has looked for surroundings by itself.
    if end.is_none() && this.state.as_mut().enters_surroundings() {
        this.attempt.tighten_limit(this.state.as_mut());
    }
    loop {
        match this.attempt.as_mut().poll(this.state.as_mut(), end, cx) {
            Poll::Pending => return,
            Poll::Ready(ControlFlow::Break(returned)) => {
                *output = Poll::Ready(A::returned(returned));
                return;
            }
            Poll::Ready(ControlFlow::Continue(())) => {}
        }
        if let Some(left) = A::left_to_others(this.begin) {
            *output = Poll::Ready(left);
            return;
        }
        let retry_possible = this.state.retry_possible();
        let begin = || this.begin.begin(retry_possible);
        let polled = (this.state.probe_scope(), this.state.polled());
        match this.attempt.as_mut().start(this.state.as_mut(), polled, begin, cx) {
            Ok(outcome) => {
                *output = Poll::Ready(A::returned(this.state.finish_successfully(outcome)));
                return;
            }
            Err(other) => end = Some(other),
        }
    }
}
