//! The shape of rig's tools.

use rig_core::tool::{ToolErrorKind, ToolExecutionError};

use super::{ErrorsTell, Telling, errors_tell};
use crate::private::Answers;
use crate::verdict::Verdict;

impl Telling for ToolExecutionError {
    fn verdict(&self) -> Verdict {
        match self.kind() {
            ToolErrorKind::InvalidArgs
            | ToolErrorKind::NotFound
            | ToolErrorKind::PermissionDenied
            | ToolErrorKind::Cancelled => Verdict::Ignore,
            _ if self.retryable() == Some(false) => Verdict::Fail,
            _ => Verdict::RETRY,
        }
    }
}

/// The way to the handler of rig's tools.
pub trait HandledAsToolExecutionError {
    fn __sandboxed_handler(&self) -> ErrorsTell {
        errors_tell()
    }
}

impl<T> HandledAsToolExecutionError for &&Answers<Result<T, ToolExecutionError>> {}
