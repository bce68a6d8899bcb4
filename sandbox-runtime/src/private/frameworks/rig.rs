//! The error of rig's tools.

use rig_core::tool::{ToolErrorKind, ToolExecutionError};

use super::Fault;
use crate::text;
use crate::verdict::Verdict;

impl Fault for ToolExecutionError {
    fn verdict(&self) -> Verdict {
        match (self.kind(), self.retryable(), self.http_status()) {
            (
                ToolErrorKind::InvalidArgs
                | ToolErrorKind::NotFound
                | ToolErrorKind::PermissionDenied
                | ToolErrorKind::Cancelled,
                ..,
            ) => Verdict::Ignore,
            (_, Some(false), _) => Verdict::Fail,
            (_, None, Some(status @ 400..)) => Verdict::of_status(status),
            _ => Verdict::RETRY,
        }
    }

    /// Not its message: that is for operators, and may hold what no model should read.
    fn text(&self) -> Option<String> {
        self.model_feedback().map(text::plain)
    }
}
