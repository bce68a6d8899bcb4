//! [`guard`]: how code of the tool is run, so that a panic ends its attempt and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::text::sanitized;

/// Runs code of the tool; a panic becomes its message.
#[inline]
pub(super) fn guard<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic may leave half done is the tool's own; the engine does not run that tool's future again.
    catch_unwind(AssertUnwindSafe(code)).map_err(message_of)
}

#[cold]
fn message_of(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = sanitized(text.unwrap_or("no message"));
    // The destructor of a payload may panic as well. What that one leaves is never dropped, or there might be no end.
    if let Err(other) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(other);
    }
    message
}
