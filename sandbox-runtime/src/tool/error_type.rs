//! Readers that ask the type of an error what its values mean.

use std::error::Error;
use std::fmt::Display;

use crate::sealed;
use crate::text::sanitized;
use crate::tool::outcome::Reader;
use crate::verdict::{ErrorVerdict, Verdict};

/// Reads an error's meaning from its type.
#[derive(Debug, Clone, Copy)]
pub struct FromErrorType;

impl sealed::Reader for FromErrorType {}

impl<E: ErrorVerdict> Reader<E> for FromErrorType {
    #[inline]
    fn verdict(&self, error: &E) -> Verdict {
        error.verdict()
    }

    #[inline]
    fn is_safe_to_retry(&self, error: &E) -> bool {
        error.is_safe_to_retry()
    }

    fn text(&self, error: &E) -> Option<String> {
        error.text(None).map(sanitized)
    }
}

/// Reads an error's meaning from its type, and its text from `Display`, unless the type has one.
#[derive(Debug, Clone, Copy)]
pub struct FromDisplayedErrorType;

impl sealed::Reader for FromDisplayedErrorType {}

impl<E: ErrorVerdict + Display> Reader<E> for FromDisplayedErrorType {
    #[inline]
    fn verdict(&self, error: &E) -> Verdict {
        error.verdict()
    }

    #[inline]
    fn is_safe_to_retry(&self, error: &E) -> bool {
        error.is_safe_to_retry()
    }

    fn text(&self, error: &E) -> Option<String> {
        error.text(Some(error)).map(sanitized)
    }
}

/// Reads the meaning of what an error is, or has among its sources, behind the type that it is wrapped in.
#[derive(Debug, Clone, Copy)]
pub struct FromWrappedError;

impl sealed::Reader for FromWrappedError {}

impl<E: AsRef<dyn Error + 'static>> Reader<E> for FromWrappedError {
    fn verdict(&self, error: &E) -> Verdict {
        error.as_ref().verdict()
    }

    fn is_safe_to_retry(&self, error: &E) -> bool {
        error.as_ref().is_safe_to_retry()
    }

    fn text(&self, error: &E) -> Option<String> {
        Some(sanitized(error.as_ref()))
    }
}

/// Reads a retry in every error, and takes its text from `Display`.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysRetryDescribed;

impl sealed::Reader for AlwaysRetryDescribed {}

impl<E: Display> Reader<E> for AlwaysRetryDescribed {
    fn verdict(&self, _: &E) -> Verdict {
        Verdict::RETRY
    }

    fn text(&self, error: &E) -> Option<String> {
        Some(sanitized(error))
    }
}

/// Reads `Ok` by one reader and `Err` by another.
#[derive(Debug, Clone, Copy)]
pub struct PerVariant<A, B>(pub(crate) A, pub(crate) B);

impl<A, B> sealed::Reader for PerVariant<A, B> {}

impl<T, E, A: Reader<T>, B: Reader<E>> Reader<Result<T, E>> for PerVariant<A, B> {
    #[inline]
    fn verdict(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Ok(answer) => self.0.verdict(answer),
            Err(error) => self.1.verdict(error),
        }
    }

    #[inline]
    fn is_safe_to_retry(&self, outcome: &Result<T, E>) -> bool {
        match outcome {
            Ok(answer) => self.0.is_safe_to_retry(answer),
            Err(error) => self.1.is_safe_to_retry(error),
        }
    }

    fn text(&self, outcome: &Result<T, E>) -> Option<String> {
        match outcome {
            Ok(answer) => self.0.text(answer),
            Err(error) => self.1.text(error),
        }
    }
}
