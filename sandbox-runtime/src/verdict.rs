//! [`Verdict`]: what an attempt's outcome means, and what common statuses and errors usually mean.

mod error_verdict;

use std::io;
use std::time::Duration;

pub use error_verdict::ErrorVerdict;
pub(crate) use error_verdict::of_chain;

/// What the outcome of an attempt means for the call and for the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The tool worked.
    Success,
    /// The tool failed; it is run again if the policy allows another attempt.
    Retry {
        /// The delay that the dependency asks for, such as that of a `Retry-After` header. It replaces the backoff with its
        /// jitter. If it is longer than [`backoff_max`](crate::Policy::backoff_max), or than one minute where that is not set,
        /// or if it does not end before the deadline, the call ends at once.
        after: Option<Duration>,
    },
    /// The tool failed, and running it again would not help.
    Fail,
    /// The caller was at fault, for example with bad arguments: the tool is not run again, and the breaker counts nothing.
    Ignore,
}

impl Verdict {
    /// Retry after the backoff of the policy.
    pub const RETRY: Verdict = Verdict::Retry { after: None };

    /// What the status of an HTTP response usually means.
    ///
    /// | status | verdict | |
    /// |---|---|---|
    /// | 408, 425, 429, 500, 502, 503, 504, other 5xx | retry | the service is unhealthy or busy |
    /// | 401, 402, 407, 501, 505 | fail | another attempt ends the same: credentials, payment, or something that the service does not support |
    /// | other 4xx | ignore | the request is at fault, most often because of the model's arguments |
    /// | all others | success | |
    ///
    /// A tool that is not [idempotent](crate::Policy::idempotent) is run again only after an error that is said to be safe. Of
    /// these statuses only 425 and 429 state that the request was not begun; after a 500 or a 503 it may have taken effect.
    /// [`#[verdict(status = ..)]`](derive@crate::ErrorVerdict) knows that. A function given to `classify` takes the decision
    /// itself, for the tool too: what it answers with `Retry` is retried. For such a tool let it answer
    /// [`Fail`](Verdict::Fail) instead, unless the status is one of these two.
    ///
    /// ```
    /// # use sandbox_runtime::Verdict;
    /// struct FetchError { status: u16 }
    ///
    /// fn verdict(answer: &Result<String, FetchError>) -> Verdict {
    ///     answer.as_ref().map_or_else(|error| Verdict::of_status(error.status), |_| Verdict::Success)
    /// }
    /// # assert_eq!(verdict(&Err(FetchError { status: 404 })), Verdict::Ignore);
    /// ```
    #[must_use]
    pub const fn of_status(status: u16) -> Verdict {
        match status {
            401 | 402 | 407 | 501 | 505 => Verdict::Fail,
            408 | 425 | 429 | 500..=599 => Verdict::RETRY,
            400..=499 => Verdict::Ignore,
            _ => Verdict::Success,
        }
    }

    /// Tells whether a status states that the request was not begun: 425 (Too Early, RFC 8470) and 429 (Too Many Requests,
    /// RFC 6585). A 408 or a 503 may come from a gateway in front of a service that has done its work.
    pub(crate) const fn is_status_safe_to_retry(status: u16) -> bool {
        matches!(status, 425 | 429)
    }

    /// What an I/O error usually means.
    ///
    /// Paths and addresses most often come from the model: one that does not exist, is not permitted, is of the wrong kind or is
    /// malformed means [`Ignore`](Verdict::Ignore). A full disk, a lack of memory and an unsupported operation mean
    /// [`Fail`](Verdict::Fail). All other errors mean [`RETRY`](Verdict::RETRY).
    ///
    /// An error that carries a [`SandboxError`](crate::SandboxError) or a [`Failure`](crate::Failure) comes from a sandboxed call
    /// within the tool and means [what that means](ErrorVerdict#impl-ErrorVerdict-for-SandboxError), whatever its kind.
    ///
    /// A tool that is not [idempotent](crate::Policy::idempotent) is run again only after an error that is said to be safe. The
    /// attribute takes from [the error's type](ErrorVerdict#impl-ErrorVerdict-for-Error) that this is so when there was no
    /// connection. A function given to `classify` takes the decision itself, for the tool too: what it answers with `Retry` is
    /// retried, a connection that broke in the middle of a request as well.
    #[must_use]
    pub fn of_io_error(error: &io::Error) -> Verdict {
        match error_verdict::of_call_within(error) {
            Some(call) => call.verdict(),
            None => Verdict::of_io_error_kind(error.kind()),
        }
    }

    fn of_io_error_kind(kind: io::ErrorKind) -> Verdict {
        use io::ErrorKind;
        match kind {
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidData
            | ErrorKind::InvalidFilename
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty => Verdict::Ignore,
            ErrorKind::StorageFull
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::Unsupported
            | ErrorKind::OutOfMemory => Verdict::Fail,
            _ => Verdict::RETRY,
        }
    }
}
