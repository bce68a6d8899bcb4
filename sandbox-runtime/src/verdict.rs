//! [`Verdict`]: what an attempt's outcome means, and what common statuses and errors usually do.

use std::io;
use std::time::Duration;

/// What the outcome of an attempt means for the call and for the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The tool worked.
    Success,
    /// The tool failed; run it again while the policy allows.
    Retry {
        /// The dependency's own word on when, such as a `Retry-After` header. It replaces the backoff, jitter and all; one
        /// that is longer than [`backoff_max`](crate::Policy::backoff_max) or than the time left ends the call.
        after: Option<Duration>,
    },
    /// The tool failed, and running it again would not help.
    Fail,
    /// The caller was at fault, with bad arguments for instance: not run again, and no mark against the tool's health.
    Ignore,
}

impl Verdict {
    /// To be retried after the policy's backoff.
    pub const RETRY: Verdict = Verdict::Retry { after: None };

    /// What the status of an HTTP response usually means.
    ///
    /// | status | verdict | |
    /// |---|---|---|
    /// | 408, 425, 429, 500, 502, 503, 504, other 5xx | retry | the service is not well, or busy |
    /// | 401, 402, 407, 501, 505 | fail | it will never work so: credentials, payment, what the service can do |
    /// | other 4xx | ignore | the request is at fault, and with it most often the model's arguments |
    /// | all others | success | |
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

    /// What an input or output error usually means.
    ///
    /// Paths and addresses most often come from the model: what does not exist, is not allowed, is of the wrong kind or is
    /// malformed is [`Ignore`](Verdict::Ignore). A full disk and a feature that is missing are [`Fail`](Verdict::Fail). All
    /// else is to be retried.
    #[must_use]
    pub fn of_io_error(error: &io::Error) -> Verdict {
        use io::ErrorKind;
        match error.kind() {
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
