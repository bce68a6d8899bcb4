//! Foreign text made fit to be shown, and [`redact`]: what of it is nobody's business.

use std::fmt::{self, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// How many characters are kept of a text.
const LONGEST: usize = 500;
/// How many bytes of a text a redactor gets to read. What it takes away of them may let later ones in.
const LONGEST_TO_REDACT: usize = 64 * 1_024;

type Redactor = dyn Fn(&str) -> String + Send + Sync;

/// Made by the first one: while there is none, nothing is locked.
static REDACTOR: OnceLock<RwLock<Arc<Redactor>>> = OnceLock::new();

/// Passes the texts of errors through `redactor` before they go to a model, a client or into data: for keys, tokens and addresses
/// that must not leave the process.
///
/// ```
/// sandbox_runtime::text::redact(|text| text.replace("sk-12345", "[key]"));
/// ```
///
/// It concerns the whole process, and replaces an earlier redactor. It gets each text whole, up to 64 KiB, with its lines and before
/// it is cut:
///
/// - what [`Failure::last_error`](crate::Failure::last_error) and the text for the model repeat of an earlier error,
/// - [`ToolExecutionResult::error`](crate::ToolExecutionResult::error),
/// - the message of a panic in [`SandboxError::Panicked`](crate::SandboxError::Panicked) and in logs,
/// - in a server in `mcp::Sandboxed`, every text of an answer that is an error, the reports of retries, and the
///   strings in the data of errors.
///
/// What a tool returns to a caller in Rust stays as it is, and so do answers that are not errors.
///
/// A redactor that panics leaves `[redacted]` in place of the whole text.
#[cfg_attr(
    not(feature = "rmcp"),
    expect(rustdoc::broken_intra_doc_links, reason = "`mcp` is there with the feature `rmcp`")
)]
pub fn redact(redactor: impl Fn(&str) -> String + Send + Sync + 'static) {
    let new: Arc<Redactor> = Arc::new(redactor);
    let current = REDACTOR.get_or_init(|| RwLock::new(Arc::clone(&new)));
    // Dropped when the lock is free again: its destructor is the user's.
    let old = std::mem::replace(&mut *current.write().unwrap_or_else(PoisonError::into_inner), new);
    drop(old);
}

/// `text` as the redactor leaves it; `None` if there is none.
pub(crate) fn redacted(text: &str) -> Option<String> {
    // Called when the lock is free again: it is the user's, too.
    let redactor = Arc::clone(&REDACTOR.get()?.read().unwrap_or_else(PoisonError::into_inner));
    let redacted = catch_unwind(AssertUnwindSafe(|| redactor(text)));
    Some(redacted.unwrap_or_else(|_| "[redacted]".to_owned()))
}

/// What `text` displays, redacted, without control characters and cut where it gets too long.
pub(crate) fn sanitized(text: impl Display) -> String {
    let mut line = OneLine::default();
    // Of a `Display` that fails, what it has written until then counts.
    let _ = if REDACTOR.get().is_some() {
        let mut whole = Bounded::default();
        let _ = write!(whole, "{text}");
        let redacted = redacted(&whole.0);
        write!(line, "{}", redacted.unwrap_or(whole.0))
    } else {
        write!(line, "{text}")
    };
    line.text
}

/// A name as [`sanitized`] has it, with its control characters in view: by them it may differ from one that looks the same.
pub(crate) fn shown(name: &str) -> String {
    let visible = name.chars().map(|character| match character.is_control() {
        true => character.escape_debug().to_string(),
        false => character.to_string(),
    });
    sanitized(visible.collect::<String>())
}

/// Takes a text up to its bound, and then stops its writer.
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST_TO_REDACT - self.0.len();
        let fits = |end: &usize| text.is_char_boundary(*end);
        let end = (0..=room.min(text.len())).rev().find(fits).unwrap_or_default();
        self.0.push_str(&text[..end]);
        if end == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Takes what it has room for, and then stops its writer, however long the whole would be.
#[derive(Default)]
struct OneLine {
    text: String,
    length: usize,
    /// Whether a space is due before the next visible character.
    space: bool,
    full: bool,
}

impl Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            // Some writers continue after an error.
            return Err(fmt::Error);
        }
        for character in text.chars() {
            if character.is_control() || character.is_whitespace() {
                self.space = self.length > 0;
                continue;
            }
            if self.length + usize::from(self.space) >= LONGEST {
                self.text.push('…');
                self.full = true;
                return Err(fmt::Error);
            }
            if std::mem::take(&mut self.space) {
                self.push(' ');
            }
            self.push(character);
        }
        Ok(())
    }
}

impl OneLine {
    fn push(&mut self, character: char) {
        self.text.push(character);
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_becomes_one_space() {
        assert_eq!(
            sanitized("\u{1b}[31mbad\u{1b}[0m\r\n\tat line 3\0 \n"),
            "[31mbad [0m at line 3"
        );
        assert_eq!(sanitized(" \n"), "");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let exact = "ä".repeat(LONGEST);
        assert_eq!(sanitized(&exact), exact);
        assert_eq!(sanitized(format!("{exact}b")), format!("{exact}…"));
        assert_eq!(sanitized(format!("{exact} \n")), exact, "what follows cannot be seen");
    }

    #[test]
    fn a_writer_without_end_is_stopped() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again and ")?;
                }
            }
        }
        struct Deaf;
        impl Display for Deaf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for _ in 0..1_000 {
                    let _ = f.write_str("x");
                }
                Ok(())
            }
        }
        assert_eq!(sanitized(Deaf), format!("{}…", "x".repeat(LONGEST)));
        assert_eq!(sanitized(Endless), format!("{}…", "again and ".repeat(50).trim_end()));
    }
}
