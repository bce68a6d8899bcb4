//! What `#[derive(ErrorVerdict)]` makes of the fields that it is pointed to.

use std::error::Error;
use std::ops::Deref;
use std::time::Duration;

use crate::verdict::{ErrorVerdict, Verdict, of_chain};

/// A field that holds a delay.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a delay",
    label = "expected a `Duration` or an `Option<Duration>`",
    note = "point `after` to a field of one of these types"
)]
pub trait Delay {
    /// How long it is.
    fn delay(&self) -> Option<Duration>;

    /// What an error means that asks for it.
    fn retry_after(&self) -> Verdict {
        Verdict::Retry { after: self.delay() }
    }
}

#[diagnostic::do_not_recommend]
impl Delay for Duration {
    fn delay(&self) -> Option<Duration> {
        Some(*self)
    }
}

#[diagnostic::do_not_recommend]
impl Delay for Option<Duration> {
    fn delay(&self) -> Option<Duration> {
        *self
    }
}

/// A field that holds the status of a response.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the status of a response",
    label = "expected a `u16`, or a `Copy` type that converts into one",
    note = "point `status` to a field such as a `u16` or an `http::StatusCode`"
)]
pub trait Status {
    /// Its number.
    fn status(&self) -> u16;
}

#[diagnostic::do_not_recommend]
impl<S: Copy + Into<u16>> Status for S {
    fn status(&self) -> u16 {
        (*self).into()
    }
}

/// The verdict of an error that has a status. One that is not a failure is of an error all the same.
pub fn verdict_of_status(status: u16) -> Verdict {
    match Verdict::of_status(status) {
        Verdict::Success => Verdict::RETRY,
        verdict => verdict,
    }
}

/// The same of one that has a delay, too: for a status that is retried.
pub fn verdict_of_status_after(status: u16, after: Option<Duration>) -> Verdict {
    match verdict_of_status(status) {
        Verdict::Retry { .. } => Verdict::Retry { after },
        verdict => verdict,
    }
}

pub fn is_status_safe_to_retry(status: u16) -> bool {
    Verdict::is_status_safe_to_retry(status)
}

/// The error's source in a field, for [`known`](KnownType::known): what states its meaning, if anything does.
///
/// The method of the outermost type whose bounds hold is the one that is called: each of these types dereferences to the next.
pub fn source<E>(field: &E) -> KnownType<'_, E> {
    KnownType(KnownWrapper(KnownError(Known(field))))
}

/// An error whose type states what its values mean.
#[derive(Debug)]
pub struct KnownType<'a, E>(KnownWrapper<'a, E>);

impl<'a, E: ErrorVerdict> KnownType<'a, E> {
    pub fn known(&self) -> Option<&'a dyn ErrorVerdict> {
        Some(self.0.0.0.0)
    }
}

impl<'a, E> Deref for KnownType<'a, E> {
    type Target = KnownWrapper<'a, E>;

    fn deref(&self) -> &KnownWrapper<'a, E> {
        &self.0
    }
}

/// An error within another type, such as `anyhow::Error`.
#[derive(Debug)]
pub struct KnownWrapper<'a, E>(KnownError<'a, E>);

impl<'a, E: AsRef<dyn Error + 'static>> KnownWrapper<'a, E> {
    pub fn known(&self) -> Option<&'a dyn ErrorVerdict> {
        of_chain(self.0.0.0.as_ref())
    }
}

impl<'a, E> Deref for KnownWrapper<'a, E> {
    type Target = KnownError<'a, E>;

    fn deref(&self) -> &KnownError<'a, E> {
        &self.0
    }
}

/// Any error.
#[derive(Debug)]
pub struct KnownError<'a, E>(Known<'a, E>);

impl<'a, E: Error + 'static> KnownError<'a, E> {
    pub fn known(&self) -> Option<&'a dyn ErrorVerdict> {
        of_chain(self.0.0)
    }
}

impl<'a, E> Deref for KnownError<'a, E> {
    type Target = Known<'a, E>;

    fn deref(&self) -> &Known<'a, E> {
        &self.0
    }
}

/// Anything else.
#[derive(Debug)]
pub struct Known<'a, E>(&'a E);

impl<'a, E> Known<'a, E> {
    pub fn known(&self) -> Option<&'a dyn ErrorVerdict> {
        None
    }
}
